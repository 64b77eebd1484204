//! Runs plugins as WebAssembly components, each in a store of its own under fuel, a deadline and a memory limit.
//!
//! A component is read and compiled in worker processes; this process loads what its own worker made, links it with
//! what every entry is granted, and instantiates it once for each store. A request runs in a store that no other
//! request is using, sees the host through one scope of its mount's services, and what it wrote becomes visible when
//! the guest has returned. A store that trapped, ran over a limit or was abandoned is dropped.

mod ask;
mod bindings;
mod clip;
mod compile;
mod convert;
mod engine;
mod inspect;
mod instance;
mod jobs;
mod limiter;
mod linker;
mod load;
mod mount;
mod pool;
mod services;
mod store;
mod threads;
mod trap;
mod wasi;

pub(crate) use compile::compile;
pub(crate) use inspect::{Inspection, inspect};
pub(crate) use jobs::inspect_artifact;

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::Semaphore;
use wasmtime::Engine;
use wasmtime::component::Linker;

use crate::catalog::{Program, Verified};
use crate::driver::{Driver, Instance, LaunchPlan};
use crate::{LaunchError, RuntimeKind, Timeouts, Workers};
use compile::{Compiled, CompiledCache};
use instance::WasmInstance;
use store::StoreState;
use threads::GuestThreads;

/// Starts components.
pub struct WasmDriver {
    workers: Workers,
    timeouts: Timeouts,
    engine: Engine,
    linker: Arc<Linker<StoreState>>,
    compiled: CompiledCache,
    threads: Arc<GuestThreads>,
    /// One permit for each store that may be alive.
    places: Arc<Semaphore>,
}

impl WasmDriver {
    /// Reserves the stores' address space and starts the guests' threads.
    ///
    /// # Errors
    ///
    /// When the address space cannot be reserved, or no thread started; a limit on virtual memory is the usual cause.
    pub fn new(workers: Workers, timeouts: Timeouts) -> Result<Self, LaunchError> {
        let engine = engine::serving().map_err(unusable)?;
        let linker = Arc::new(linker::linker(&engine).map_err(unusable)?);
        let threads = GuestThreads::start().map_err(unusable)?;
        Ok(Self {
            workers,
            timeouts,
            engine,
            linker,
            compiled: CompiledCache::default(),
            threads: Arc::new(threads),
            places: Arc::new(Semaphore::new(engine::STORES_MAX as usize)),
        })
    }

    async fn compiled(
        &self,
        artifact: Verified,
        plugin: &str,
    ) -> Result<Arc<Compiled>, LaunchError> {
        let digest = artifact.digest();
        let compile = || {
            let (workers, engine) = (self.workers.clone(), self.engine.clone());
            let (linker, limit) = (Arc::clone(&self.linker), self.timeouts.compile);
            let plugin = plugin.to_owned();
            async move {
                let answer = jobs::compile_artifact(&workers, &artifact, &plugin, limit).await?;
                let compiled = Compiled::from_worker(answer, &engine, &linker);
                compiled
                    .map(Arc::new)
                    .map_err(|error| LaunchError::Compile {
                        plugin,
                        fault: clip::text(&format!("{error:#}")),
                    })
            }
        };
        self.compiled.get(digest, compile).await
    }
}

#[async_trait]
impl Driver for WasmDriver {
    async fn launch(&self, plan: LaunchPlan) -> Result<Arc<dyn Instance>, LaunchError> {
        let artifact = component_of(&plan)?;
        let compiled = self.compiled(artifact, &plan.label).await?;
        let (threads, places) = (Arc::clone(&self.threads), Arc::clone(&self.places));
        let step_limit = self.timeouts.startup_call;
        let instance = WasmInstance::start(plan, &compiled, threads, places, step_limit).await?;
        Ok(Arc::new(instance))
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
