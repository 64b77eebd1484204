//! Runs plugins as processes that speak go-plugin: mutual TLS and gRPC on a unix socket.
//!
//! ```text
//! Standbys ──▶ Launcher ──▶ NativeProcess ◀── Place ── Seat ── NativeInstance   one for each mount
//!  who is ready                 ▲                ▲
//!                               └─── Processes ──┘   who shares which process
//! ```

mod bell;
mod broker;
mod busy_wait;
mod call;
mod channel;
mod client;
mod command;
mod database;
mod dialect;
mod frames;
mod handshake;
mod instance;
mod launcher;
mod lines;
mod metadata;
mod output;
mod plan;
mod process;
mod processes;
mod run_dir;
mod seat;
mod services;
mod serving;
mod standbys;
mod startup;
mod stdio;
mod transactions;
mod walls;
mod wire;

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::FutureExt as _;

use crate::driver::{DatabasePlan, DatabasePlugin, Driver, Instance, LaunchPlan, Needs};
use crate::worker::Layer;
use crate::{LaunchError, Timeouts, Workers};

use database::NativeDatabasePlugin;
use instance::NativeInstance;
use launcher::Launcher;
use plan::ProcessPlan;
use processes::{Processes, Start};

/// Starts plugins as processes.
pub struct NativeDriver {
    launcher: Arc<Launcher>,
    processes: Processes,
}

impl NativeDriver {
    /// A driver that starts its processes through `workers`, and none without the `required` walls.
    pub fn new(workers: Workers, timeouts: Timeouts, required: BTreeSet<Layer>) -> Self {
        Self {
            launcher: Arc::new(Launcher::new(workers, timeouts, required)),
            processes: Processes::default(),
        }
    }

    /// A start that goes on as long as anybody waits for it.
    fn start(&self, plan: &Arc<ProcessPlan>) -> Start {
        let (launcher, plan) = (Arc::clone(&self.launcher), Arc::clone(plan));
        async move { launcher.backend(&plan).await }.boxed()
    }
}

#[async_trait]
impl Driver for NativeDriver {
    fn close(&self) {
        self.launcher.close();
    }

    fn expect(&self, needs: Needs<'_>) {
        let launcher = Arc::clone(&self.launcher);
        let (limits, grants, process) = (
            needs.limits.clone(),
            needs.grants.clone(),
            needs.process.clone(),
        );
        tokio::spawn(async move {
            let needs = Needs {
                limits: &limits,
                grants: &grants,
                process: &process,
            };
            launcher.expect(needs).await;
        });
    }

    async fn launch(&self, plan: LaunchPlan) -> Result<Arc<dyn Instance>, LaunchError> {
        let label = plan.label.clone();
        let startup = self.launcher.startup(&label);
        let version = startup::server_version(&plan, &startup).await;
        let process = Arc::new(ProcessPlan::of_backend(&plan, version)?);
        let place = self
            .processes
            .place(&process, plan.started_after, || self.start(&process))
            .await?;
        let instance = NativeInstance::set_up(place, plan, &startup).await?;
        Ok(Arc::new(instance))
    }

    async fn launch_database(
        &self,
        plan: DatabasePlan,
    ) -> Result<Arc<dyn DatabasePlugin>, LaunchError> {
        let process = ProcessPlan::of_database(&plan)?;
        let process = self.launcher.database(&process).await?;
        let startup = self.launcher.startup(&plan.label);
        let plugin = NativeDatabasePlugin::of(process, &plan, &startup).await?;
        Ok(Arc::new(plugin))
    }
}
