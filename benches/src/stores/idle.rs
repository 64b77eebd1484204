//! What an enabled mount costs that nobody asks anything.

use std::fmt;

use palisade_runtime::MountInfo;

use crate::embedded::Embedded;
use crate::memory::resident_bytes;
use palisade_demo::sampler::Effort;

/// What many mounts cost.
pub(super) struct Idle {
    mounts: u64,
    bytes: u64,
    stores: u64,
}

/// Enables one component many times, and disables it again.
pub(super) async fn measure(runtime: &Embedded, effort: Effort) -> anyhow::Result<Idle> {
    let mounts = if effort.rounds > 2 { 10_000 } else { 20 };
    // What is made once is there already.
    enable(runtime, "warm", 20).await?;
    let before = resident_bytes()?;
    enable(runtime, "idle", mounts).await?;
    let bytes = resident_bytes()?.saturating_sub(before);
    let held = |mount: &MountInfo| mount.memory_bytes.unwrap_or(0) > 0;
    let all = runtime.runtime().mounts();
    let idle = all
        .iter()
        .filter(|mount| mount.path.as_str().starts_with("idle-"));
    Ok(Idle {
        mounts,
        bytes,
        stores: idle.filter(|mount| held(mount)).count() as u64,
    })
}

async fn enable(runtime: &Embedded, kind: &str, mounts: u64) -> anyhow::Result<()> {
    for number in 0..mounts {
        runtime
            .enable(&format!("{kind}-{number}"), "per-call")
            .await?;
    }
    Ok(())
}

impl fmt::Display for Idle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let each = self.bytes / self.mounts;
        write!(
            f,
            "{} idle mounts of one component: {each} bytes of memory each; {} of them hold a store.",
            self.mounts, self.stores
        )
    }
}
