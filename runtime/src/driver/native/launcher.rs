//! From nothing to a process that answers: one that stands by, exec, handshake, connection.

use std::collections::{BTreeSet, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use futures_util::TryFutureExt as _;
use futures_util::future::try_join;
use palisade_protocol::cert::{CertError, Identity};

use super::busy_wait::BusyWaits;
use super::channel::Connection;
use super::client::ask_multiplexing;
use super::command;
use super::handshake::{self, Fault};
use super::metadata::{self, OldPlugin, Told};
use super::output::{self, LastWords};
use super::plan::ProcessPlan;
use super::process::NativeProcess;
use super::processes::Shareable;
use super::run_dir::RunDir;
use super::standbys::Standbys;
use super::startup::Startup;
use super::walls;
use crate::driver::{Needs, StartTimes};
use crate::worker::{Answer, Layer, Sandbox, SpawnedProcess};
use crate::{Digest, LaunchError, Timeouts, Workers};

/// Starts processes. Whatever step fails or is abandoned: dropping what was made so far kills the process and removes its
/// folder.
pub(super) struct Launcher {
    workers: Workers,
    timeouts: Timeouts,
    busy_waits: BusyWaits,
    standbys: Arc<Standbys>,
    required: BTreeSet<Layer>,
    /// The executables that make their sockets among their temporary files.
    know_no_folder: Mutex<HashSet<Digest>>,
}

impl Launcher {
    /// One that starts its processes through `workers`, and none without the `required` walls.
    pub(super) fn new(workers: Workers, timeouts: Timeouts, required: BTreeSet<Layer>) -> Self {
        Self {
            standbys: Arc::new(Standbys::new(workers.clone())),
            busy_waits: BusyWaits::new(timeouts.busy_wait),
            required,
            know_no_folder: Mutex::default(),
            workers,
            timeouts,
        }
    }

    /// The start of a plugin of that name, call by call.
    pub(super) fn startup<'a>(&self, label: &'a str) -> Startup<'a> {
        Startup::new(label, self.timeouts.startup_call)
    }

    /// Has a process stand by for a plugin of these needs. Whatever is in the way of that is told when it is launched.
    pub(super) async fn expect(&self, needs: Needs<'_>) {
        if let Ok(walls) = walls::around(needs, &self.workers, &self.required).await {
            self.standbys.keep(walls);
        }
    }

    /// Nobody stands by any more.
    pub(super) fn close(&self) {
        self.standbys.close();
    }

    /// A process for mounts, which has said whether they can share it. One that speaks a protocol of old is asked what it
    /// is, for the error.
    pub(super) async fn backend(&self, plan: &ProcessPlan) -> Result<Shareable, LaunchError> {
        match Box::pin(self.start(plan)).await {
            Ok((process, _)) => {
                let startup = self.startup(&plan.label);
                let multiplexes = ask_multiplexing(process.wire(), &startup).await?;
                Ok(Shareable::new(process, multiplexes))
            }
            Err(NotStarted::Failed(error) | NotStarted::KnowsNoFolder(error)) => Err(error),
            Err(NotStarted::Old(old)) => {
                let said = self.read_metadata(&plan.for_metadata()).await;
                Err(old.explained(&plan.label, said))
            }
        }
    }

    /// A process for databases.
    pub(super) async fn database(&self, plan: &ProcessPlan) -> Result<NativeProcess, LaunchError> {
        let (process, _) = Box::pin(self.start(plan)).await?;
        Ok(process)
    }

    /// What a plugin of old tells of itself, within the time of one call: the launch that failed had its own.
    async fn read_metadata(&self, plan: &ProcessPlan) -> Result<Told, LaunchError> {
        let startup = self.startup(&plan.label);
        let read = async {
            let (process, version) = Box::pin(self.start(plan)).await?;
            let asking = metadata::ask(&process, &plan.label, &startup, self.timeouts.grace);
            let description = Box::pin(asking).await?;
            Ok(Told {
                version,
                description,
            })
        };
        startup.within("metadata mode", read).await?
    }

    /// A process that answers and, where its dialect asks for that, has proven who it is; and the version that it speaks.
    ///
    /// One that turns out to make its socket among its temporary files is started again, with those in the one folder where
    /// it is looked for.
    async fn start(&self, plan: &ProcessPlan) -> Result<(NativeProcess, u32), NotStarted> {
        let digest = plan.program.digest();
        if self.know_no_folder().contains(&digest) {
            let plan = plan.with_temporary_files_beside_sockets();
            return self.start_once(&plan).await;
        }
        match self.start_once(plan).await {
            Err(NotStarted::KnowsNoFolder(_)) if !plan.names_its_temporary_folder() => {
                let plan = plan.with_temporary_files_beside_sockets();
                let started = Box::pin(self.start_once(&plan)).await?;
                self.know_no_folder().insert(digest);
                Ok(started)
            }
            outcome => outcome,
        }
    }

    fn know_no_folder(&self) -> MutexGuard<'_, HashSet<Digest>> {
        let known = self.know_no_folder.lock();
        known.unwrap_or_else(PoisonError::into_inner)
    }

    async fn start_once(&self, plan: &ProcessPlan) -> Result<(NativeProcess, u32), NotStarted> {
        let startup = self.startup(&plan.label);
        let walls = walls::around(plan.needs(), &self.workers, &self.required)
            .await
            .map_err(|fault| startup.unwalled(fault))?;
        let begun = Instant::now();
        let identity = identity(plan).map_err(|fault| startup.failed(fault))?;
        let begin = self.begin(plan, &startup, &walls, identity.as_ref());
        let (spawned, answer, directory) = begin.await?;
        let SpawnedProcess {
            process,
            stdout,
            stderr,
        } = spawned;
        let words = LastWords::default();
        let errors = output::follow_stderr(stderr, &plan.log, &words)
            .map_err(|fault| startup.failed(fault))?;
        let executed = async {
            let executed = answer.executed().await;
            executed.map_err(|error| startup.not_spawned(error))?;
            Ok(Instant::now())
        };
        let greeting = handshake::read(stdout, &process, &words, self.timeouts.handshake);
        let greeting = greeting.map_err(|fault| self.no_greeting(&plan.label, fault));
        let (executed, greeting) = try_join(executed, greeting).await?;
        let greeted = Instant::now();
        let outputs = [errors, output::follow_stdout(greeting.stdout, &plan.log)];
        let version = greeting.handshake.protocol_version;
        let peer = handshake::peer(&greeting.handshake, plan.dialect, &directory)
            .map_err(|fault| self.no_greeting(&plan.label, fault))?;
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
        self.standbys.restock(walls);
        let (log, busy_wait) = (&plan.log, self.busy_waits.of_a_process());
        let process = NativeProcess::new(
            process, connection, directory, outputs, times, log, busy_wait,
        );
        Ok((process, version))
    }

    /// A process that stands by becomes the plugin's.
    async fn begin(
        &self,
        plan: &ProcessPlan,
        startup: &Startup<'_>,
        walls: &Sandbox,
        identity: Option<&Identity>,
    ) -> Result<(SpawnedProcess, Answer, RunDir), LaunchError> {
        let ready = self.standbys.take(walls, &plan.program).await;
        let ready = ready.map_err(|fault| startup.not_ready(fault))?;
        let execution = command::of(plan, &ready.directory, identity, walls);
        let execution = execution.map_err(|fault| startup.failed(fault))?;
        let begun = ready.standby.execute(execution);
        let (spawned, answer) = begun.map_err(|error| startup.not_spawned(error))?;
        Ok((spawned, answer, ready.directory))
    }

    fn no_greeting(&self, label: &str, fault: Fault) -> NotStarted {
        let (old, knows_no_folder) = (fault.speaks_old(), fault.knows_no_folder());
        let failure = fault.into_launch_error(label, self.timeouts.handshake);
        match old {
            Some(version) => NotStarted::Old(OldPlugin { version, failure }),
            None if knows_no_folder => NotStarted::KnowsNoFolder(failure),
            None => NotStarted::Failed(failure),
        }
    }
}

fn identity(plan: &ProcessPlan) -> Result<Option<Identity>, CertError> {
    plan.dialect.has_tls().then(Identity::generate).transpose()
}

/// Why there is no process that answers.
enum NotStarted {
    /// It speaks a protocol of old.
    Old(OldPlugin),
    /// Its socket is among its temporary files.
    KnowsNoFolder(LaunchError),
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
            NotStarted::Failed(error) | NotStarted::KnowsNoFolder(error) => error,
        }
    }
}
