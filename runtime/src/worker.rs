//! Worker processes made from the embedder's own executable before it has threads.
//!
//! `main` of an embedder begins with [`enter_worker`]. In an ordinary start it makes the *spawner*, a small process
//! with one thread, and returns a handle to it. In a process that was started as a worker it does that worker's job and
//! never returns. The spawner starts plugin processes, and the short-lived workers that inspect and compile components:
//! neither parsing nor compiling an untrusted component runs in the server's process.
//!
//! Why a process of its own: a parent-death signal is tied to the *thread* that forked, and the spawner's one thread
//! lives as long as it does; forking there needs no care for other threads' locks and copies no large page tables;
//! and when the server dies by whatever signal, the spawner is still there to end what it started.

mod attack;
mod canary;
mod command;
mod fork;
mod gate;
mod image;
mod job;
mod link;
mod memory_file;
mod message;
mod process;
mod protections;
mod role;
mod sandbox;
mod spawner;
mod walls;
mod work;

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex, PoisonError};

pub use attack::Attack;
pub use canary::CanaryDeed;
pub use gate::Answer;
pub use job::{JobBudget, JobError, JobInput};
pub use link::WorkerError;
pub use message::{Limit, ProcessExit};
pub use process::{Execution, Process, SpawnedProcess, Standby, Surroundings};
pub use protections::Protections;
pub use role::JobRole;
pub use sandbox::{Layer, MachineFiles, Sandbox};

use link::Link;
use role::Role;
use tokio::sync::OnceCell;

/// The handle to the spawner. Dropping the last one ends it, and with it everything it started. When the spawner dies by
/// itself, so do the processes it started, and the next use makes another.
#[derive(Clone)]
pub struct Workers {
    link: Arc<Mutex<Result<Arc<Link>, String>>>,
    protections: Arc<OnceCell<Protections>>,
}

/// Does a worker's job and exits if this process was started as one; otherwise makes the spawner and returns.
///
/// Call it first in `main`, from the main thread: the spawner should be made before there are threads. When it cannot
/// be made, the handle says so at its first use.
pub fn enter_worker() -> Workers {
    match role::of_this_process() {
        None => Workers {
            link: Arc::new(Mutex::new(open_link())),
            protections: Arc::default(),
        },
        Some(Role::Spawner) => leave(spawner::run(std::io::stdin().as_fd())),
        Some(Role::Job(role)) => leave(work::run(role)),
    }
}

fn open_link() -> Result<Arc<Link>, String> {
    let link = Link::open().map_err(|fault| fault.to_string())?;
    Ok(Arc::new(link))
}

/// Ends a worker process, which owns nothing that would have to be dropped.
#[expect(
    clippy::disallowed_methods,
    reason = "a worker must not return into the embedder's main, and everything it owned is dropped by now"
)]
fn leave(code: u8) -> ! {
    std::process::exit(i32::from(code))
}

impl Workers {
    /// Has a process stand by behind its walls, until it is told what to execute. One that is to find itself as a file
    /// (its sandbox says so) needs to have that file now, as `image`; to all others that is nothing.
    ///
    /// # Errors
    ///
    /// What the operating system said, or that the spawner is missing.
    pub async fn stand_by(
        &self,
        surroundings: Surroundings,
        image: Option<BorrowedFd<'_>>,
    ) -> Result<Standby, WorkerError> {
        process::stand_by(&*self.link()?, surroundings, image).await
    }

    /// Starts a process and hands back the only handle to it.
    ///
    /// # Errors
    ///
    /// What the operating system said, or that the spawner is missing.
    pub async fn spawn(
        &self,
        surroundings: Surroundings,
        execution: Execution<'_>,
    ) -> Result<SpawnedProcess, WorkerError> {
        let image = Some(execution.executable);
        let standby = self.stand_by(surroundings, image).await?;
        let (process, answer) = standby.execute(execution)?;
        answer.executed().await?;
        Ok(process)
    }

    /// Runs one job in a fresh process under a budget, and returns what it made.
    ///
    /// # Errors
    ///
    /// [`JobError::Refused`] with the job's own text, or which limit ended it, or how it died.
    pub async fn run_job(
        &self,
        role: JobRole,
        input: JobInput<'_>,
        budget: JobBudget,
    ) -> Result<Vec<u8>, JobError> {
        let protections = self.protections().await?;
        job::run(&*self.link()?, protections, role, input, budget).await
    }

    /// Which walls can be put up around a process on this machine, by this user. Tried once, in some tens of milliseconds.
    ///
    /// # Errors
    ///
    /// That the spawner is missing.
    pub async fn protections(&self) -> Result<&Protections, WorkerError> {
        self.protections
            .get_or_try_init(async || Ok(Protections::find(&*self.link()?).await))
            .await
    }

    /// The spawner's process, dead or alive, for diagnostics.
    pub fn process_id(&self) -> Option<u32> {
        let link = self.link.lock().unwrap_or_else(PoisonError::into_inner);
        link.as_ref().ok().map(|link| link.process_id())
    }

    fn link(&self) -> Result<Arc<Link>, WorkerError> {
        let mut link = self.link.lock().unwrap_or_else(PoisonError::into_inner);
        if !matches!(&*link, Ok(link) if !link.is_gone()) {
            tracing::error!(
                "the spawner is gone, and with it every process of a plugin; a new one is made"
            );
            *link = open_link();
        }
        link.clone().map_err(WorkerError::Missing)
    }
}
