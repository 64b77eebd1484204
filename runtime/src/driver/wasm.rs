//! Runs plugins as WebAssembly components, each in a store of its own under fuel, a deadline and a memory limit.
//!
//! A component is read and compiled in worker processes; this process loads what its own worker made, links it with
//! what every entry is granted, and instantiates it once for each store. A request runs in a store that no other
//! request is using, sees the host through one scope of its mount's services, and what it wrote becomes visible when
//! the guest has returned. A store that trapped, ran over a limit or was abandoned is dropped.

mod admit;
mod ask;
#[cfg(test)]
mod attacks;
mod bindings;
mod bounds;
mod clip;
mod clocks;
mod compile;
mod convert;
mod deny;
// Reachable for the examples in its documentation, one of which must not compile; no part of the surface.
#[doc(hidden)]
pub mod engine;
mod files;
mod inspect;
mod instance;
mod jobs;
mod limiter;
mod linker;
mod load;
mod mount;
mod pool;
mod producers;
mod queue;
mod random;
mod recorder;
mod services;
mod settings;
mod store;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod threads;
mod trap;
mod wasi;
mod witness;

pub(crate) use admit::admit;
pub(crate) use compile::compile;
pub(crate) use inspect::inspect;
pub(crate) use jobs::{inspect_artifact, survey_artifact};

use std::sync::Arc;

use async_trait::async_trait;

use crate::catalog::{ComponentInspector, Program, Survey, Verified};
use crate::driver::{Compilation, CompilationCounts, Driver, Instance, LaunchPlan};
use crate::{
    Digest, FolderRoot, LaunchError, Profile, RegisterError, RuntimeKind, Timeouts, Workers,
};
use compile::{Compiled, CompiledCache};
use engine::{Class, Large, Ordinary, Shared};
use instance::WasmInstance;
use queue::CompileQueue;
use threads::GuestThreads;

/// Starts components. Clones share what was compiled.
#[derive(Clone)]
pub struct WasmDriver {
    workers: Workers,
    timeouts: Timeouts,
    ordinary: Engine<Ordinary>,
    large: Engine<Large>,
    queue: Arc<CompileQueue>,
    threads: Arc<GuestThreads>,
    folders: Option<FolderRoot>,
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
        let threads = GuestThreads::start().map_err(unusable)?;
        Ok(Self {
            workers,
            timeouts,
            ordinary: Engine::of_process()?,
            large: Engine::of_process()?,
            queue: Arc::default(),
            threads: Arc::new(threads),
            folders: None,
        })
    }

    /// The same with folders that an entry may be granted.
    pub fn with_folders(mut self, root: Option<FolderRoot>) -> Self {
        self.folders = root;
        self
    }

    async fn launch_in<C: Class>(
        &self,
        engine: &Engine<C>,
        plan: LaunchPlan,
    ) -> Result<Arc<dyn Instance>, LaunchError> {
        let artifact = component_of(&plan)?;
        let compiled = self.compiled(engine, artifact, &plan.label).await?;
        let threads = Arc::clone(&self.threads);
        let step_limit = self.timeouts.startup_call;
        let folders = self.folders.as_ref();
        let instance = WasmInstance::start(
            plan,
            &engine.shared,
            &compiled,
            threads,
            folders,
            step_limit,
        );
        Ok(Arc::new(instance.await?))
    }

    async fn compiled<C: Class>(
        &self,
        engine: &Engine<C>,
        artifact: Verified,
        plugin: &str,
    ) -> Result<Arc<Compiled<C>>, LaunchError> {
        let digest = artifact.digest();
        let compile = || {
            let (workers, timeouts) = (self.workers.clone(), self.timeouts.clone());
            let (shared, plugin) = (engine.shared.clone(), plugin.to_owned());
            let queue = Arc::clone(&self.queue);
            async move {
                let artifact = artifact.artifact();
                let compile =
                    jobs::compile_artifact(&workers, artifact, &plugin, C::PROFILE, &timeouts);
                let answer = queue.run(digest, &plugin, compile).await?;
                load(answer, shared, plugin).await
            }
        };
        engine.compiled.get(digest, compile).await
    }
}

/// Makes a worker's answer ready to run, on a thread that may be held: a large one takes tens of milliseconds.
async fn load<C: Class>(
    answer: Vec<u8>,
    engine: Shared<C>,
    plugin: String,
) -> Result<Arc<Compiled<C>>, LaunchError> {
    let load = move || Compiled::from_worker(answer, &engine).map_err(|error| format!("{error:#}"));
    let loaded = tokio::task::spawn_blocking(load).await;
    let loaded = loaded.map_err(|error| error.to_string()).flatten();
    loaded.map(Arc::new).map_err(|fault| LaunchError::Compile {
        plugin,
        fault: clip::text(&fault),
    })
}

#[async_trait]
impl Driver for WasmDriver {
    async fn launch(&self, plan: LaunchPlan) -> Result<Arc<dyn Instance>, LaunchError> {
        match plan.limits.profile {
            Profile::Ordinary => self.launch_in(&self.ordinary, plan).await,
            Profile::Large => self.launch_in(&self.large, plan).await,
        }
    }

    fn compilation(&self, digest: Digest) -> Option<Compilation> {
        self.queue.progress(digest)
    }

    fn compilation_counts(&self) -> Option<CompilationCounts> {
        Some(self.queue.counts())
    }
}

#[async_trait]
impl ComponentInspector for WasmDriver {
    async fn inspect(
        &self,
        artifact: &Verified,
        profile: Profile,
    ) -> Result<Survey, RegisterError> {
        let limit = self.timeouts.inspect;
        inspect_artifact(&self.workers, artifact.artifact(), profile, limit).await
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
