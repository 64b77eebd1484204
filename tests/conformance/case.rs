//! A case, and how it becomes one test for each mode.

use std::pin::Pin;
use std::sync::OnceLock;
use std::time::Duration;

use libtest_mimic::{Failed, Trial};
use palisade_tests::{Harness, Mode};
use tokio::runtime::Runtime;

use crate::differences;

/// One thing that has to hold.
pub(crate) struct Case {
    /// The sentence it proves, which is also the function's name.
    pub(crate) name: &'static str,
    pub(crate) run: fn(Harness) -> Pin<Box<dyn Future<Output = ()> + Send>>,
}

/// Makes functions the cases of their file.
macro_rules! cases {
    ($($name:ident),* $(,)?) => {
        /// Every case of this file.
        pub(crate) const CASES: &[$crate::case::Case] = &[$($crate::case::Case {
            name: stringify!($name),
            run: |harness| Box::pin($name(harness)),
        }),*];
    };
}
pub(crate) use cases;

/// How long a case may take before it counts as hung.
const CASE_TIMEOUT: Duration = Duration::from_secs(120);

/// One test for each mode that can do it.
pub(crate) fn trials(case: &'static Case) -> Vec<Trial> {
    Mode::ALL
        .into_iter()
        .filter(|mode| differences::reason(case.name, *mode).is_none())
        .map(|mode| trial(case, mode, mode.name()))
        .collect()
}

/// One test for a case in which no plugin runs, or which chooses its modes itself.
pub(crate) fn trial_without_mode(case: &'static Case) -> Trial {
    trial(case, Mode::Native, "once")
}

fn trial(case: &'static Case, mode: Mode, prefix: &str) -> Trial {
    let run = move || {
        block_on(async {
            let harness = Harness::new(mode).await;
            run(case, harness).await;
        })
    };
    Trial::test(format!("{prefix}::{}", case.name), run)
}

/// What a trial does, to its end.
pub(crate) fn block_on(work: impl Future<Output = ()>) -> Result<(), Failed> {
    tokio_runtime().block_on(work);
    Ok(())
}

/// Runs a case and stops everything after it.
pub(crate) async fn run(case: &Case, harness: Harness) {
    let done = tokio::time::timeout(CASE_TIMEOUT, (case.run)(harness.clone())).await;
    assert!(done.is_ok(), "hung for {CASE_TIMEOUT:?}");
    harness.shutdown().await;
}

/// One for all cases: what the spawner's handle waits on belongs to one.
fn tokio_runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| Runtime::new().expect("threads can be started"))
}
