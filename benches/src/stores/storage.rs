//! What a read of storage costs a guest, beside the same read by a plugin that is linked into the server. That one sees the
//! store as it is at each read, as a process does; all reads of a component's request are of one snapshot.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::ensure;
use palisade_contract::{Json, Operation};

use crate::embedded::Embedded;
use crate::table::{micros, row, table, times};
use palisade_demo::sampler::{Effort, Samples};

/// How often one request reads the key.
const READS: u32 = 1_000;

/// What one read took of a store.
pub(super) struct Reads {
    store: &'static str,
    mounts: [(&'static str, Samples); 3],
}

/// Measures each mount in interleaved rounds: a request that reads many times, less one that reads once.
pub(super) async fn measure(
    store: &'static str,
    runtime: &Embedded,
    effort: Effort,
) -> anyhow::Result<Reads> {
    let mut mounts = ["builtin", "per-mount", "per-call"].map(|it| (it, Samples::default()));
    for (mount, _) in &mounts {
        let value = Json::from_text(r#"{"value":"a secret of ordinary length"}"#);
        let path = format!("{mount}/store/k");
        runtime.ask(Operation::Update, &path, value, None).await?;
    }
    for _ in 0..effort.rounds * 20 {
        for (mount, samples) in &mut mounts {
            let many = read(runtime, mount, READS + 1).await?;
            let once = read(runtime, mount, 1).await?;
            samples.push(many.saturating_sub(once) / READS);
        }
    }
    Ok(Reads { store, mounts })
}

async fn read(runtime: &Embedded, mount: &str, times: u32) -> anyhow::Result<Duration> {
    let path = format!("{mount}/reads/k");
    let body = Json::from_text(format!(r#"{{"times":{times}}}"#));
    let begun = Instant::now();
    let answer = runtime.ask(Operation::Update, &path, body, None).await?;
    let took = begun.elapsed();
    ensure!(answer.is_some(), "{path} had nothing to say");
    Ok(took)
}

impl fmt::Display for Reads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = table([
            &format!("one read of {} among many of a request", self.store),
            "p50",
            "p99",
            "p50 to builtin",
        ]);
        let floor = self.mounts[0].1.p50();
        for (mount, samples) in &self.mounts {
            table.add_row(row(mount, samples, micros, times(samples.p50(), floor)));
        }
        write!(f, "{table}")
    }
}
