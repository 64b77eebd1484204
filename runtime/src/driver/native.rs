//! Runs plugins as processes that speak go-plugin: mutual TLS and gRPC on a unix socket.

mod broker;
mod call;
mod channel;
mod command;
mod handshake;
mod instance;
mod lines;
mod output;
mod process;
mod run_dir;
mod services;
mod startup;
mod stdio;
mod transactions;
mod walls;
mod wire;

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use palisade_protocol::cert::Identity;

use crate::catalog::Program;
use crate::driver::{Driver, Instance, LaunchPlan};
use crate::worker::{Layer, ProcessSpec, Sandbox, SpawnedProcess};
use crate::{LaunchError, Timeouts, Workers};

use channel::Connection;
use instance::NativeInstance;
use output::LastWords;
use process::NativeProcess;
use run_dir::{RunDir, RunDirs};
use startup::Startup;
use walls::Users;

/// Starts plugins as processes.
pub struct NativeDriver {
    workers: Workers,
    timeouts: Timeouts,
    run_dirs: RunDirs,
    users: Users,
    required: BTreeSet<Layer>,
}

impl NativeDriver {
    /// A driver that starts its processes through `workers`, and none without the `required` walls.
    pub fn new(workers: Workers, timeouts: Timeouts, required: BTreeSet<Layer>) -> Self {
        Self {
            required,
            workers,
            timeouts,
            run_dirs: RunDirs::default(),
            users: Users::default(),
        }
    }
}

#[async_trait]
impl Driver for NativeDriver {
    async fn launch(&self, plan: LaunchPlan) -> Result<Arc<dyn Instance>, LaunchError> {
        // Whatever step fails or is abandoned: dropping what was made so far kills the process and removes its folder.
        let process = self.start_process(&plan).await?;
        let label = plan.label.clone();
        let startup = Startup::new(&label, self.timeouts.startup_call);
        let instance = NativeInstance::set_up(process, plan, &startup).await?;
        Ok(Arc::new(instance))
    }
}

impl NativeDriver {
    /// From nothing to a process that has proven who it is and answers.
    async fn start_process(&self, plan: &LaunchPlan) -> Result<Arc<NativeProcess>, LaunchError> {
        let startup = Startup::new(&plan.label, self.timeouts.startup_call);
        let sandbox = self.walls(plan, &startup).await?;
        let directory = self
            .run_dirs
            .create(sandbox.own_user())
            .map_err(|fault| startup.failed(fault))?;
        let identity = Identity::generate().map_err(|fault| startup.failed(fault))?;
        let SpawnedProcess {
            process,
            stdout,
            stderr,
        } = self
            .spawn(plan, &startup, &directory, &identity, sandbox)
            .await?;
        let words = LastWords::default();
        let errors = output::follow_stderr(stderr, &plan.services, &words)
            .map_err(|fault| startup.failed(fault))?;
        let limit = self.timeouts.handshake;
        let greeting = handshake::read(stdout, &process, &words, limit)
            .await
            .map_err(|fault| fault.into_launch_error(&plan.label, limit))?;
        let outputs = [
            errors,
            output::follow_stdout(greeting.stdout, &plan.services),
        ];
        let peer = handshake::peer(&greeting.handshake, &directory)
            .map_err(|fault| startup.failed(fault))?;
        let connection = Connection::open(&startup, &process, peer, identity).await?;
        Ok(NativeProcess::new(
            process,
            connection,
            directory,
            outputs,
            &plan.services,
        ))
    }

    async fn walls(
        &self,
        plan: &LaunchPlan,
        startup: &Startup<'_>,
    ) -> Result<Sandbox, LaunchError> {
        walls::around(plan, &self.workers, &self.users, &self.required, startup).await
    }

    async fn spawn(
        &self,
        plan: &LaunchPlan,
        startup: &Startup<'_>,
        directory: &RunDir,
        identity: &Identity,
        sandbox: Sandbox,
    ) -> Result<SpawnedProcess, LaunchError> {
        let Program::Verified(verified) = &plan.program else {
            return Err(startup.failed("it is linked into the server, and has no process"));
        };
        let version = startup::server_version(plan, startup).await;
        let spec = command::of(plan, verified, directory, identity, &version)
            .map_err(|fault| startup.failed(fault))?;
        let spec = ProcessSpec {
            sandbox: Some(sandbox),
            ..spec
        };
        self.workers
            .spawn(spec)
            .await
            .map_err(|error| startup.not_spawned(error))
    }
}
