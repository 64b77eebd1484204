//! How late a request that never ends is ended, beside the one thing that nobody can interrupt: filling its memory once.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::ensure;
use palisade_contract::{Json, Operation};
use palisade_runtime::ErrorKind;

use crate::embedded::Embedded;
use crate::table::{millis, row, table};
use palisade_demo::sampler::{Effort, Samples};

/// What a guest fills in one instruction: nearly all that it may have.
const FILLED_BYTES: usize = 48 << 20;

/// How long each request may take.
const BUDGET: Duration = Duration::from_millis(50);

/// How late each was ended.
pub(super) struct Runaways {
    rows: Vec<(&'static str, Samples)>,
    fill: Samples,
}

/// Lets guests run away in turns, and fills as much memory here.
pub(super) async fn measure(runtime: &Embedded, effort: Effort) -> anyhow::Result<Runaways> {
    let cases = [
        ("a loop", "per-call/spin", "null".to_owned()),
        (
            "filling 48 MiB over and over",
            "per-call/spin-memory",
            format!(r#"{{"bytes":{FILLED_BYTES}}}"#),
        ),
    ];
    let mut rows: Vec<_> = cases.iter().map(|it| (it.0, Samples::default())).collect();
    let mut fill = Samples::default();
    for _ in 0..effort.rounds * 20 {
        for ((_, path, body), (_, late)) in cases.iter().zip(&mut rows) {
            late.push(run_away(runtime, path, body).await?);
        }
        fill.push(fill_once());
    }
    Ok(Runaways { rows, fill })
}

async fn run_away(runtime: &Embedded, path: &str, body: &str) -> anyhow::Result<Duration> {
    let body = Json::from_text(body);
    let begun = Instant::now();
    let ended = runtime
        .ask(Operation::Update, path, body, Some(BUDGET))
        .await;
    let took = begun.elapsed();
    let kind = ended.err().map(|error| error.kind());
    ensure!(
        kind == Some(ErrorKind::Timeout),
        "{path} ended otherwise: {kind:?}"
    );
    Ok(took.saturating_sub(BUDGET))
}

/// Memory that was never touched, as a guest's is at first.
fn fill_once() -> Duration {
    let begun = Instant::now();
    let mut memory = Vec::<u8>::with_capacity(64 << 20);
    memory.resize(64 << 20, 1);
    let filled = std::hint::black_box(&memory).len();
    let took = begun.elapsed();
    assert_eq!(filled, 64 << 20);
    took
}

impl fmt::Display for Runaways {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = table([
            "ended after its 50 ms, and how much later",
            "p50",
            "p99",
            "longest",
        ]);
        let fill = ("filling 64 MiB once, for comparison", &self.fill);
        let rows = self.rows.iter().map(|(label, samples)| (*label, samples));
        for (label, samples) in rows.chain([fill]) {
            table.add_row(row(label, samples, millis, millis(samples.percentile(1.0))));
        }
        write!(f, "{table}")
    }
}
