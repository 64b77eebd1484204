//! A long run of hostile requests: the host must not fall, a neighbour must not answer wrongly, and memory must not grow.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use anyhow::ensure;
use palisade_contract::{Json, Operation};
use palisade_runtime::store::MemoryStore;
use palisade_runtime::{Isolation, Workers};

use crate::embedded::Embedded;
use crate::memory::resident_bytes;
use crate::table::table;
use palisade_demo::sampler::Effort;

/// Hostile requests of a full run.
const CALLS: u64 = 1_000_000;

/// How often the neighbour is asked: once in so many.
const CONTROL_EVERY: u64 = 50;

/// What each hostile entry may use: little, so that a million of its requests end.
const TIGHT: &[(&str, &str)] = &[("memory_bytes", "4194304"), ("fuel", "1000000")];

/// What the neighbour may use. Its store is replaced four times in a tenth of the run. Each time the hostile requests get the
/// place that it had, which keeps from then on what they touch of it; that is over before memory is first looked at.
const REPLACED: &[(&str, &str)] = &[("store_uses", "1000")];

/// The ways to misbehave, by how often each has its turn among a thousand.
const WAYS: [(&str, &str, u64); 8] = [
    ("crash", "null", 300),
    ("panic", "null", 200),
    ("exit", r#"{"code":7}"#, 200),
    ("spin", "null", 100),
    ("deep", "null", 50),
    ("hog", "null", 50),
    ("spin-memory", r#"{"bytes":65536}"#, 50),
    ("write-then/trap/k", r#"{"value":"half"}"#, 50),
];

/// Among how many calls each way has its share, and from which of them to which it goes on: with no divisor in common, all
/// have their turn.
const TURNS: u64 = 1_000;
const STEP: u64 = 617;

const _: () = {
    let (mut at, mut shares) = (0, 0);
    while at < WAYS.len() {
        shares += WAYS[at].2;
        at += 1;
    }
    assert!(shares == TURNS, "the shares add up to all turns");
    assert!(
        !STEP.is_multiple_of(2) && !STEP.is_multiple_of(5),
        "a thousand is of twos and fives"
    );
};

/// What became of the run.
pub struct Soak {
    calls: u64,
    ends: BTreeMap<String, u64>,
    controls: u64,
    /// After a tenth of the run, when all that is bounded is full, after half of it, and at its end.
    resident: [u64; 3],
}

/// Runs it, a tenth of the requests in the isolation `mount`.
///
/// # Errors
///
/// When a hostile request succeeds, or the neighbour answers wrongly.
pub async fn run(workers: Workers, effort: Effort) -> anyhow::Result<Soak> {
    let runtime = runtime(workers).await?;
    let calls = if effort.rounds > 2 { CALLS } else { 2_000 };
    let mut soak = Soak {
        calls,
        ends: BTreeMap::new(),
        controls: 0,
        resident: [0; 3],
    };
    for call in 0..calls {
        if call == calls / 10 {
            soak.resident[0] = resident_bytes()?;
        }
        if call == calls / 2 {
            soak.resident[1] = resident_bytes()?;
        }
        soak.misbehave(&runtime, call).await?;
        if call % CONTROL_EVERY == 0 {
            soak.ask_the_neighbour(&runtime, call).await?;
        }
    }
    soak.resident[2] = resident_bytes()?;
    runtime.runtime().shutdown().await;
    Ok(soak)
}

async fn runtime(workers: Workers) -> anyhow::Result<Embedded> {
    let ways = [
        ("per-call", Isolation::Call, TIGHT),
        ("per-mount", Isolation::Mount, TIGHT),
        ("neighbour", Isolation::Mount, REPLACED),
    ];
    Embedded::of_hostile(Arc::new(MemoryStore::new()), workers, &ways).await
}

impl Soak {
    async fn misbehave(&mut self, runtime: &Embedded, call: u64) -> anyhow::Result<()> {
        let (way, body) = way(call);
        let mount = if call % 10 == 3 {
            "per-mount"
        } else {
            "per-call"
        };
        let path = format!("{mount}/{way}");
        let end = runtime
            .ask(Operation::Update, &path, Json::from_text(body), None)
            .await;
        let end = match end {
            Err(error) => error.kind().code().to_owned(),
            // Its memory ended before its request did, and it said so.
            Ok(_) if way == "hog" => "refused memory, and answered".to_owned(),
            Ok(_) => anyhow::bail!("{path} was answered"),
        };
        *self.ends.entry(format!("{way}: {end}")).or_default() += 1;
        Ok(())
    }

    async fn ask_the_neighbour(&mut self, runtime: &Embedded, call: u64) -> anyhow::Result<()> {
        let value = format!("value {call}");
        let body = Json::from_text(format!(r#"{{"value":"{value}"}}"#));
        let path = "neighbour/store/k";
        runtime.ask(Operation::Update, path, body, None).await?;
        let found = runtime.read(path).await?;
        let expected = format!(r#"{{"value":"{value}"}}"#);
        ensure!(
            found.as_str() == expected,
            "the neighbour answered {}, not {expected}",
            found.as_str()
        );
        self.controls += 1;
        Ok(())
    }
}

/// Which way it is that call's turn to misbehave.
fn way(call: u64) -> (&'static str, &'static str) {
    let mut at = call.wrapping_mul(STEP) % TURNS;
    for (way, body, share) in WAYS {
        if at < share {
            return (way, body);
        }
        at -= share;
    }
    unreachable!("the shares add up to all turns")
}

impl fmt::Display for Soak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut ends = table(["hostile requests, and how each ended", "times"]);
        for (end, times) in &self.ends {
            ends.add_row([end.clone(), times.to_string()]);
        }
        let [tenth, half, end] = self.resident;
        writeln!(f, "{ends}")?;
        writeln!(
            f,
            "{} hostile requests; the neighbour answered rightly {} times of {}.",
            self.calls, self.controls, self.controls
        )?;
        write!(
            f,
            "Resident memory: {} KiB after a tenth of them, {} KiB after half, {} KiB at the end; {:+.2} % over the last \
             nine tenths, {:+.2} % over the second half.",
            tenth >> 10,
            half >> 10,
            end >> 10,
            drift_percent(tenth, end),
            drift_percent(half, end)
        )
    }
}

fn drift_percent(from: u64, to: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "bytes, far below 2^52")]
    let (from, to) = (from as f64, to as f64);
    (to / from - 1.0) * 100.0
}
