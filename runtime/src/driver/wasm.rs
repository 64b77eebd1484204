//! Runs plugins as WebAssembly components, each in a store of its own under fuel, a deadline and a memory limit.
//!
//! A component is read and compiled in worker processes; this process loads what its own worker made, moments ago or
//! under a seal on disk, links it with what every entry is granted, and instantiates it once for each store. A request runs in a store that no other
//! request is using, sees the host through one scope of its mount's services, and what it wrote becomes visible when
//! the guest has returned. A store that trapped, ran over a limit or was abandoned is dropped.

mod admit;
mod ask;
#[cfg(test)]
mod attacks;
mod bindings;
mod borrowed;
mod bounds;
mod budget;
mod cache;
mod canary;
mod clip;
mod clocks;
mod compile;
mod convert;
mod deny;
// Reachable for the examples in its documentation, one of which must not compile; no part of the surface.
#[doc(hidden)]
pub mod engine;
mod exports;
mod files;
mod inspect;
mod instance;
mod jobs;
mod limiter;
mod linker;
mod load;
mod messages;
mod mount;
mod obtain;
mod places;
mod pool;
mod producers;
mod queue;
mod random;
mod rare;
mod recorder;
mod services;
mod settings;
mod store;
mod streams;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod threads;
mod trap;
mod unmap;
mod wasi;
mod witness;

pub(crate) use admit::admit;
pub(crate) use compile::compile;
pub(crate) use inspect::inspect;
pub(crate) use jobs::{inspect_artifact, survey_artifact};

use std::sync::Arc;

use async_trait::async_trait;

use crate::catalog::{Program, Verified};
use crate::driver::{CodeCache, Compilation, CompilationCounts, Driver, Instance, LaunchPlan};
use crate::{Digest, FolderRoot, LaunchError, Profile, RuntimeKind, Timeouts, Workers};
use budget::Budgets;
use cache::{DiskCache, Identity};
use compile::{Compiled, CompiledCache};
use engine::{Class, Large, Ordinary, Shared};
use instance::WasmInstance;
use obtain::Order;
use queue::CompileQueue;
use threads::GuestThreads;

/// Starts components. Clones share what was compiled, and nothing that is counted over time.
#[derive(Clone)]
pub struct WasmDriver {
    workers: Workers,
    ordinary: Engine<Ordinary>,
    large: Engine<Large>,
    queue: Arc<CompileQueue>,
    disk: Arc<DiskCache>,
    premises: Premises,
}

/// What all components of a driver have in common, beside their engines.
struct Premises {
    threads: Arc<GuestThreads>,
    /// The folders that an entry may be granted lie beneath it.
    folders: Option<FolderRoot>,
    budgets: Budgets,
    timeouts: Timeouts,
}

impl Premises {
    fn new(timeouts: Timeouts) -> std::io::Result<Self> {
        Ok(Self {
            threads: Arc::new(GuestThreads::start()?),
            folders: None,
            budgets: Budgets::default(),
            timeouts,
        })
    }
}

/// A clone is for another runtime, whose entries have accounts of their own.
impl Clone for Premises {
    fn clone(&self) -> Self {
        Self {
            threads: Arc::clone(&self.threads),
            folders: self.folders.clone(),
            budgets: Budgets::default(),
            timeouts: self.timeouts.clone(),
        }
    }
}

/// One engine, and what was compiled for it.
struct Engine<C> {
    shared: Shared<C>,
    compiled: Arc<CompiledCache<Compiled<C>>>,
}

impl<C> Clone for Engine<C> {
    fn clone(&self) -> Self {
        Self {
            shared: self.shared.clone(),
            compiled: Arc::clone(&self.compiled),
        }
    }
}

impl<C: Class> Engine<C> {
    fn of_process() -> Result<Self, LaunchError> {
        Ok(Self {
            shared: Shared::of_process().map_err(unusable)?,
            compiled: Arc::default(),
        })
    }
}

impl WasmDriver {
    /// Starts the guests' threads and, for the first driver of a process, reserves the stores' address space.
    ///
    /// # Errors
    ///
    /// When no thread can be started or the address space not be reserved; a limit on virtual memory is the usual cause.
    pub fn new(workers: Workers, timeouts: Timeouts) -> Result<Self, LaunchError> {
        let premises = Premises::new(timeouts).map_err(unusable)?;
        Ok(Self {
            workers,
            ordinary: Engine::of_process()?,
            large: Engine::of_process()?,
            queue: Arc::default(),
            disk: Arc::new(DiskCache::none()),
            premises,
        })
    }

    /// The same with folders that an entry may be granted.
    pub fn with_folders(mut self, root: Option<FolderRoot>) -> Self {
        self.premises.folders = root;
        self
    }

    /// Keeps what is compiled in a folder, over restarts.
    pub fn caching(self, cache: CodeCache) -> Self {
        let disk = Arc::new(DiskCache::open(cache, self.ordinary.shared.engine()));
        Self { disk, ..self }
    }

    async fn launch_in<C: Class>(
        &self,
        engine: &Engine<C>,
        plan: LaunchPlan,
    ) -> Result<Arc<dyn Instance>, LaunchError> {
        let artifact = component_of(&plan)?;
        let identity = Identity {
            entry: format!("{}/{}/{}", C::PROFILE, plan.plugin_type, plan.label),
            artifact: artifact.digest(),
        };
        let compiled = self
            .compiled(engine, artifact, identity, &plan.label)
            .await?;
        let instance = WasmInstance::start(plan, &engine.shared, &compiled, &self.premises);
        Ok(Arc::new(instance.await?))
    }

    async fn compiled<C: Class>(
        &self,
        engine: &Engine<C>,
        artifact: Verified,
        identity: Identity,
        plugin: &str,
    ) -> Result<Arc<Compiled<C>>, LaunchError> {
        let order = Order {
            workers: self.workers.clone(),
            timeouts: self.premises.timeouts.clone(),
            shared: engine.shared.clone(),
            queue: Arc::clone(&self.queue),
            disk: Arc::clone(&self.disk),
            artifact,
            identity,
            plugin: plugin.to_owned(),
        };
        let digest = order.artifact.digest();
        engine.compiled.get(digest, || order.fill()).await
    }
}

#[async_trait]
impl Driver for WasmDriver {
    async fn launch(&self, plan: LaunchPlan) -> Result<Arc<dyn Instance>, LaunchError> {
        match plan.limits.profile {
            Profile::Ordinary => self.launch_in(&self.ordinary, plan).await,
            Profile::Large => self.launch_in(&self.large, plan).await,
        }
    }

    fn compilation(&self, profile: Profile, digest: Digest) -> Option<Compilation> {
        self.queue.progress((profile, digest))
    }

    fn compilation_counts(&self) -> Option<CompilationCounts> {
        let disk = self.disk.counts();
        Some(CompilationCounts {
            disk_hits: disk.hits,
            disk_misses: disk.misses,
            disk_rejections: disk.rejections,
            ..self.queue.counts()
        })
    }
}

fn component_of(plan: &LaunchPlan) -> Result<Verified, LaunchError> {
    match &plan.program {
        Program::Verified(artifact) if artifact.runtime() == RuntimeKind::Wasm => {
            Ok(artifact.clone())
        }
        _ => Err(LaunchError::Failed {
            plugin: plan.label.clone(),
            fault: "it is no component".to_owned(),
        }),
    }
}

fn unusable(error: impl std::fmt::Display) -> LaunchError {
    LaunchError::Failed {
        plugin: "the engine for components".to_owned(),
        fault: format!("{error:#}"),
    }
}
