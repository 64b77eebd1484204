//! A process that the spawner started, as the server sees it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Signal, pidfd_send_signal};
use tokio::sync::watch;
use tokio::time::timeout;

use super::gate::{Answer, Arguments, Gate};
use super::link::{Link, Order, WorkerError};
use super::message::{Limit, ProcessExit, Program};
use super::sandbox::Sandbox;

/// What surrounds a process, whatever it executes.
#[derive(Default)]
pub struct Surroundings {
    /// The working directory; the root directory when none is given.
    pub directory: Option<String>,
    /// A folder that the spawner removes after the server's death, with all that is in it; an orderly server does that
    /// itself.
    pub remnant: Option<String>,
    /// Resource limits, soft and hard.
    pub limits: Vec<(Limit, u64)>,
    /// The walls around it; none for a program that is trusted as much as this one.
    pub sandbox: Option<Sandbox>,
}

/// What a process executes, and with what. It gets exactly this: no variable, descriptor or argument besides.
pub struct Execution<'a> {
    /// The file that is executed; a sealed memory file, so that what was hashed is what runs.
    pub executable: BorrowedFd<'a>,
    /// The argument list, the name included.
    pub argv: Vec<String>,
    /// The whole environment.
    pub env: Vec<(String, String)>,
}

/// A started process and the reading ends of its output.
pub struct SpawnedProcess {
    /// The only handle to the process.
    pub process: Process,
    /// What it writes to standard output.
    pub stdout: OwnedFd,
    /// What it writes to standard error.
    pub stderr: OwnedFd,
}

/// The only handle to a running process. Dropping it kills the process and its group.
pub struct Process {
    pid: u32,
    pidfd: Arc<OwnedFd>,
    exit: watch::Receiver<Option<ProcessExit>>,
}

impl Process {
    pub(super) fn new(
        pid: u32,
        pidfd: Arc<OwnedFd>,
        exit: watch::Receiver<Option<ProcessExit>>,
    ) -> Self {
        Self { pid, pidfd, exit }
    }

    /// The operating system's number, for logs. Signals go to the descriptor: a number may be somebody else's by now.
    pub fn id(&self) -> u32 {
        self.pid
    }

    /// Kills it. The spawner then kills its process group and reaps it. Killing what has ended does nothing.
    pub fn kill(&self) {
        let _ = pidfd_send_signal(&*self.pidfd, Signal::KILL);
    }

    /// Waits until it has ended, its group was killed and it was reaped.
    pub async fn exited(&self) -> ProcessExit {
        let mut exit = self.exit.clone();
        let ended = exit.wait_for(Option::is_some).await;
        ended
            .ok()
            .and_then(|exit| *exit)
            .unwrap_or(ProcessExit::Unknown)
    }

    /// Waits so long for its end.
    pub async fn exited_within(&self, limit: Duration) -> Option<ProcessExit> {
        timeout(limit, self.exited()).await.ok()
    }

    /// Whether it has died, reaped or not. The kernel knows it first, unless the spawner went and takes it along.
    pub fn has_died(&self) -> bool {
        self.exit().is_some() || self.is_ended_for_the_kernel()
    }

    fn is_ended_for_the_kernel(&self) -> bool {
        let mut fds = [PollFd::new(&*self.pidfd, PollFlags::IN)];
        let now = Timespec::default();
        poll(&mut fds, Some(&now)).is_ok_and(|ready| ready > 0)
    }

    /// How it ended, if it has.
    pub fn exit(&self) -> Option<ProcessExit> {
        *self.exit.borrow()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A process behind its walls that has executed nothing yet. Dropping it ends it.
pub struct Standby {
    spawned: SpawnedProcess,
    gate: Gate,
}

impl Standby {
    /// The process, which may have died meanwhile.
    pub fn process(&self) -> &Process {
        &self.spawned.process
    }

    /// Becomes the program that it stands by for, of which the answer tells. One that finds itself as a file executes what
    /// it was made with.
    ///
    /// # Errors
    ///
    /// That arguments and environment are too long, or that it has died.
    pub fn execute(
        self,
        execution: Execution<'_>,
    ) -> Result<(SpawnedProcess, Answer), WorkerError> {
        let Execution {
            executable,
            argv,
            env,
        } = execution;
        let answer = self.gate.pass(&Arguments { argv, env }, executable)?;
        Ok((self.spawned, answer))
    }
}

/// Has a process stand by, which finds `image` as a file if its sandbox says so.
pub(super) async fn stand_by(
    link: &Link,
    surroundings: Surroundings,
    image: Option<BorrowedFd<'_>>,
) -> Result<Standby, WorkerError> {
    let refused = |error: io::Error| WorkerError::Refused(error.to_string());
    let (gate, child_gate) = Gate::open().map_err(refused)?;
    let (stdout, child_stdout) = pipe().map_err(refused)?;
    let (stderr, child_stderr) = pipe().map_err(refused)?;
    let order = Order {
        program: Program::StandBy,
        directory: surroundings.directory,
        remnant: surroundings.remnant,
        limits: surroundings.limits,
        sandbox: surroundings.sandbox,
    };
    let mut descriptors = vec![
        child_gate.as_fd(),
        child_stdout.as_fd(),
        child_stderr.as_fd(),
    ];
    descriptors.extend(image);
    let process = link.start(order, &descriptors).await?;
    let spawned = SpawnedProcess {
        process,
        stdout,
        stderr,
    };
    Ok(Standby { spawned, gate })
}

fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(pipe_with(PipeFlags::CLOEXEC)?)
}
