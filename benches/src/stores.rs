//! What keeps components apart, and what it costs: fresh stores on one and two threads, reads of storage, the answer after
//! a trap, the end of a runaway, mounts that nobody asks, and a start from code on disk.

mod activation;
mod idle;
mod recovery;
mod runaway;
mod scaling;
mod storage;

use std::fmt;
use std::sync::Arc;

use palisade_runtime::store::{MemoryStore, RedbStore, Store};
use palisade_runtime::{Isolation, Workers};

use crate::embedded::Embedded;
use palisade_demo::sampler::Effort;

/// Everything that was measured, as it is shown.
pub struct Stores(Vec<String>);

/// Measures all of it.
///
/// # Errors
///
/// When the guests are not built, or a call fails that should not.
pub async fn compare(workers: Workers, effort: Effort) -> anyhow::Result<Stores> {
    let activation = activation::measure(&workers, effort).await?;
    let on_disk = reads_of_a_file(&workers, effort).await?;
    let runtime = runtime(Arc::new(MemoryStore::new()), workers).await?;
    let in_memory = storage::measure("a map in memory", &runtime, effort).await?;
    let parts = vec![
        scaling::measure(&runtime, effort).await?.to_string(),
        in_memory.to_string(),
        on_disk.to_string(),
        recovery::measure(&runtime, effort).await?.to_string(),
        runaway::measure(&runtime, effort).await?.to_string(),
        idle::measure(&runtime, effort).await?.to_string(),
        activation.to_string(),
    ];
    runtime.runtime().shutdown().await;
    Ok(Stores(parts))
}

/// What reads cost of the file in which a server keeps its store, without the barrier over it.
async fn reads_of_a_file(workers: &Workers, effort: Effort) -> anyhow::Result<storage::Reads> {
    let folder = tempfile::tempdir()?;
    let store = RedbStore::open(&folder.path().join("store.redb"))?;
    let runtime = runtime(Arc::new(store), workers.clone()).await?;
    let reads = storage::measure("a file of redb, without a barrier", &runtime, effort).await?;
    runtime.runtime().shutdown().await;
    Ok(reads)
}

/// The hostile guest in both isolations, and linked in, over that store.
async fn runtime(store: Arc<dyn Store>, workers: Workers) -> anyhow::Result<Arc<Embedded>> {
    let ways = [
        ("per-call", Isolation::Call, &[][..]),
        ("per-mount", Isolation::Mount, &[]),
    ];
    let runtime = Embedded::of_hostile(store, workers, &ways).await?;
    runtime.enable("builtin", "hostile").await?;
    Ok(Arc::new(runtime))
}

impl fmt::Display for Stores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n\n"))
    }
}
