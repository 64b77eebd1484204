//! How soon a mount answers again after one of its requests trapped.

use std::fmt;
use std::time::Instant;

use anyhow::ensure;
use palisade_contract::{Json, Operation};
use palisade_runtime::ErrorKind;

use crate::embedded::Embedded;
use crate::table::{micros, row, table, times};
use palisade_demo::sampler::{Effort, Samples};

/// What was measured.
#[derive(Default)]
pub(super) struct Recovery {
    fresh: Samples,
    next: Samples,
    both: Samples,
}

/// Takes turns: a request, one that traps, and the next.
pub(super) async fn measure(runtime: &Embedded, effort: Effort) -> anyhow::Result<Recovery> {
    let mut measured = Recovery::default();
    for _ in 0..effort.rounds * effort.calls {
        let begun = Instant::now();
        answer(runtime).await?;
        measured.fresh.push(begun.elapsed());
        let begun = Instant::now();
        trap(runtime).await?;
        let trapped = Instant::now();
        answer(runtime).await?;
        measured.next.push(trapped.elapsed());
        measured.both.push(begun.elapsed());
    }
    Ok(measured)
}

async fn answer(runtime: &Embedded) -> anyhow::Result<()> {
    let echo = runtime.ask(Operation::Update, "per-call/echo", Json::null(), None);
    ensure!(echo.await?.is_some(), "echo had nothing to say");
    Ok(())
}

async fn trap(runtime: &Embedded) -> anyhow::Result<()> {
    let crash = runtime.ask(Operation::Update, "per-call/crash", Json::null(), None);
    let kind = crash.await.err().map(|error| error.kind());
    ensure!(kind == Some(ErrorKind::Trap), "it did not trap: {kind:?}");
    Ok(())
}

impl fmt::Display for Recovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = table([
            "after a trap, a store per call",
            "p50",
            "p99",
            "p99 to a request",
        ]);
        let floor = self.fresh.p99();
        for (label, samples) in [
            ("a request", &self.fresh),
            ("from the error to the next answer", &self.next),
            ("from the request that traps to the next answer", &self.both),
        ] {
            table.add_row(row(label, samples, micros, times(samples.p99(), floor)));
        }
        write!(f, "{table}")
    }
}
