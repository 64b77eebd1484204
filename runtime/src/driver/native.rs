//! Runs plugins as processes that speak go-plugin: mutual TLS and gRPC on a unix socket.

mod broker;
mod call;
mod channel;
mod client;
mod command;
mod database;
mod dialect;
mod handshake;
mod instance;
mod lines;
mod metadata;
mod output;
mod plan;
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
use std::time::Instant;

use async_trait::async_trait;
use palisade_protocol::cert::{CertError, Identity};

use crate::catalog::Program;
use crate::driver::{DatabasePlan, DatabasePlugin, Driver, Instance, LaunchPlan, StartTimes};
use crate::worker::{Layer, Sandbox, SpawnedProcess};
use crate::{LaunchError, Timeouts, Workers};

use channel::Connection;
use database::NativeDatabasePlugin;
use handshake::Fault;
use instance::NativeInstance;
use metadata::{OldPlugin, Told};
use output::LastWords;
use plan::ProcessPlan;
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
        let process = self.backend_process(&plan).await?;
        let label = plan.label.clone();
        let startup = self.startup(&label);
        let instance = NativeInstance::set_up(process, plan, &startup).await?;
        Ok(Arc::new(instance))
    }

    async fn launch_database(
        &self,
        plan: DatabasePlan,
    ) -> Result<Arc<dyn DatabasePlugin>, LaunchError> {
        let starting = self.start_process(ProcessPlan::of_database(&plan));
        let (process, _) = Box::pin(starting).await?;
        let startup = self.startup(&plan.label);
        let plugin = NativeDatabasePlugin::of(process, &plan, &startup).await?;
        Ok(Arc::new(plugin))
    }
}

impl NativeDriver {
    fn startup<'a>(&self, label: &'a str) -> Startup<'a> {
        Startup::new(label, self.timeouts.startup_call)
    }

    /// A process for a mount. One that speaks a protocol of old is asked what it is, for the error.
    async fn backend_process(&self, plan: &LaunchPlan) -> Result<Arc<NativeProcess>, LaunchError> {
        let version = startup::server_version(plan, &self.startup(&plan.label)).await;
        let plan = ProcessPlan::of_backend(plan, &version);
        match Box::pin(self.start_process(plan)).await {
            Ok((process, _)) => Ok(process),
            Err(NotStarted::Failed(error)) => Err(error),
            Err(NotStarted::Old(old)) => {
                let said = self.read_metadata(plan.for_metadata()).await;
                Err(old.explained(plan.label, said))
            }
        }
    }

    /// What a plugin of old tells of itself, within the time of one call: the launch that failed had its own.
    async fn read_metadata(&self, plan: ProcessPlan<'_>) -> Result<Told, LaunchError> {
        let startup = self.startup(plan.label);
        let read = async {
            let (process, version) = Box::pin(self.start_process(plan)).await?;
            let asking = metadata::ask(process, plan.label, &startup, self.timeouts.grace);
            let description = Box::pin(asking).await?;
            Ok(Told {
                version,
                description,
            })
        };
        startup.within("metadata mode", read).await?
    }

    /// From nothing to a process that answers and, where its dialect asks for that, has proven who it is; and the
    /// version that it speaks.
    async fn start_process(
        &self,
        plan: ProcessPlan<'_>,
    ) -> Result<(Arc<NativeProcess>, u32), NotStarted> {
        let startup = self.startup(plan.label);
        let sandbox = self.walls(plan, &startup).await?;
        let directory = self
            .run_dirs
            .create(sandbox.own_user())
            .map_err(|fault| startup.failed(fault))?;
        let identity = identity(plan).map_err(|fault| startup.failed(fault))?;
        let begun = Instant::now();
        let SpawnedProcess {
            process,
            stdout,
            stderr,
        } = self
            .spawn(plan, &startup, &directory, identity.as_ref(), sandbox)
            .await?;
        let executed = Instant::now();
        let words = LastWords::default();
        let errors = output::follow_stderr(stderr, plan.log, &words)
            .map_err(|fault| startup.failed(fault))?;
        let greeting = handshake::read(stdout, &process, &words, self.timeouts.handshake).await;
        let greeting = greeting.map_err(|fault| self.no_greeting(plan.label, fault))?;
        let greeted = Instant::now();
        let outputs = [errors, output::follow_stdout(greeting.stdout, plan.log)];
        let version = greeting.handshake.protocol_version;
        let peer = handshake::peer(&greeting.handshake, plan.dialect, &directory)
            .map_err(|fault| self.no_greeting(plan.label, fault))?;
        let connection = Connection::open(&startup, &process, peer, identity.as_ref()).await?;
        let times = StartTimes {
            exec: executed - begun,
            handshake: greeted - executed,
            connection: greeted.elapsed(),
        };
        tracing::debug!(
            plugin = plan.label,
            pid = process.id(),
            ?times,
            "a process was started"
        );
        let process = NativeProcess::new(process, connection, directory, outputs, times, plan.log);
        Ok((process, version))
    }

    async fn walls(
        &self,
        plan: ProcessPlan<'_>,
        startup: &Startup<'_>,
    ) -> Result<Sandbox, LaunchError> {
        walls::around(plan, &self.workers, &self.users, &self.required, startup).await
    }

    async fn spawn(
        &self,
        plan: ProcessPlan<'_>,
        startup: &Startup<'_>,
        directory: &RunDir,
        identity: Option<&Identity>,
        sandbox: Sandbox,
    ) -> Result<SpawnedProcess, LaunchError> {
        let Program::Verified(verified) = plan.program else {
            return Err(startup.failed("it is linked into the server, and has no process"));
        };
        let spec = command::of(&plan, verified, directory, identity, sandbox)
            .map_err(|fault| startup.failed(fault))?;
        self.workers
            .spawn(spec)
            .await
            .map_err(|error| startup.not_spawned(error))
    }

    fn no_greeting(&self, label: &str, fault: Fault) -> NotStarted {
        let old = fault.speaks_old();
        let failure = fault.into_launch_error(label, self.timeouts.handshake);
        match old {
            Some(version) => NotStarted::Old(OldPlugin { version, failure }),
            None => NotStarted::Failed(failure),
        }
    }
}

fn identity(plan: ProcessPlan<'_>) -> Result<Option<Identity>, CertError> {
    plan.dialect.has_tls().then(Identity::generate).transpose()
}

/// Why there is no process that answers.
enum NotStarted {
    /// It speaks a protocol of old.
    Old(OldPlugin),
    /// Anything else.
    Failed(LaunchError),
}

impl From<LaunchError> for NotStarted {
    fn from(error: LaunchError) -> Self {
        Self::Failed(error)
    }
}

impl From<NotStarted> for LaunchError {
    fn from(reason: NotStarted) -> Self {
        match reason {
            NotStarted::Old(old) => old.failure,
            NotStarted::Failed(error) => error,
        }
    }
}
