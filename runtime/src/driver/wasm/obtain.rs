//! One component on its way to code that runs: from the disk, or from a compiler.

use std::sync::Arc;
use std::time::Instant;

use super::cache::{DiskCache, Identity};
use super::compile::Compiled;
use super::engine::{Class, Shared};
use super::load::OwnWork;
use super::queue::{CompileQueue, Job};
use super::{clip, jobs};
use crate::catalog::Verified;
use crate::{LaunchError, Timeouts, Workers};

/// What it takes to have one.
pub(super) struct Order<C> {
    pub(super) workers: Workers,
    pub(super) timeouts: Timeouts,
    pub(super) shared: Shared<C>,
    pub(super) queue: Arc<CompileQueue>,
    pub(super) disk: Arc<DiskCache>,
    pub(super) artifact: Verified,
    pub(super) identity: Identity,
    pub(super) plugin: String,
}

impl<C: Class> Order<C> {
    /// Loads it, or has it compiled.
    ///
    /// # Errors
    ///
    /// When it cannot be compiled, or is refused by now.
    pub(super) async fn fill(self) -> Result<Arc<Compiled<C>>, LaunchError> {
        if let Some(compiled) = self.loaded().await {
            return Ok(Arc::new(compiled));
        }
        let compile = jobs::compile_artifact(
            &self.workers,
            self.artifact.artifact(),
            &self.plugin,
            C::PROFILE,
            &self.timeouts,
        );
        let answer = self.queue.run(self.job(), &self.plugin, compile).await?;
        match self.linked(OwnWork::from_worker(answer)).await {
            Ok((compiled, work)) => {
                self.disk.keep(&self.identity, work.into_bytes()).await;
                Ok(Arc::new(compiled))
            }
            Err(fault) => Err(LaunchError::Compile {
                plugin: self.plugin,
                fault,
            }),
        }
    }

    fn job(&self) -> Job {
        (C::PROFILE, self.artifact.digest())
    }

    async fn loaded(&self) -> Option<Compiled<C>> {
        let begun = Instant::now();
        let work = OwnWork::from_cache(self.disk.load(&self.identity).await?);
        match self.linked(work).await {
            Ok((compiled, _)) => {
                self.queue.skip(self.job(), begun.elapsed());
                Some(compiled)
            }
            Err(fault) => {
                self.disk.take_back(&self.identity, &fault);
                None
            }
        }
    }

    /// Makes it ready to run, on a thread that may be held: a large one takes tens of milliseconds.
    async fn linked(&self, work: OwnWork<C>) -> Result<(Compiled<C>, OwnWork<C>), String> {
        let engine = self.shared.clone();
        let link = move || {
            let compiled = Compiled::from_work(&work, &engine);
            compiled
                .map(|compiled| (compiled, work))
                .map_err(|error| format!("{error:#}"))
        };
        let linked = tokio::task::spawn_blocking(link).await;
        let linked = linked.map_err(|error| error.to_string()).flatten();
        linked.map_err(|fault| clip::text(&fault))
    }
}
