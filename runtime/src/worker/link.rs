//! The server's end of the socket to the spawner.
//!
//! Requests are sent by whoever has one. Reports are read by one thread of its own, which is bound to no async runtime:
//! a server may have several, and tests make and drop them.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SendFlags, Shutdown, SocketFlags, SocketType, shutdown, socketpair,
};
use rustix::process::{Signal, pidfd_send_signal};
use tokio::sync::{oneshot, watch};
use tokio::time::{sleep, timeout};

use super::message::{self, Limit, MESSAGE_BYTES_MAX, ProcessExit, Program, Report, Start};
use super::process::Process;
use super::role::{ROLE_VARIABLE, SPAWNER_NAME};
use super::sandbox::Sandbox;

/// How long the spawner may take to start a process. It normally takes a millisecond.
const START_TIMEOUT: Duration = Duration::from_secs(10);

/// How long to wait before a full socket is tried again.
const RETRY_AFTER: Duration = Duration::from_millis(1);

/// The most processes at once, jobs included.
const PROCESSES_MAX: usize = 4096;

/// Why the spawner started nothing.
#[derive(Clone, Debug, thiserror::Error)]
pub enum WorkerError {
    /// There is no spawner.
    #[error("worker processes cannot be started: {0}")]
    Missing(String),
    /// Too many processes run already.
    #[error("{limit} worker and plugin processes run already, which is the most there may be")]
    TooMany {
        /// How many there may be.
        limit: usize,
    },
    /// Arguments and environment are too long.
    #[error(
        "arguments and environment of the process have {bytes} bytes as a message, {limit} are allowed; shorten the entry's `args` or `env`"
    )]
    TooLong {
        /// How long they are.
        bytes: usize,
        /// How long they may be.
        limit: usize,
    },
    /// The spawner did not answer.
    #[error("the spawner did not start the process within {0:?}")]
    TimedOut(Duration),
    /// The operating system refused.
    #[error("the process could not be started: {0}")]
    Refused(String),
}

/// The way to the spawner.
pub(super) struct Link {
    socket: Arc<OwnedFd>,
    waiting: Arc<Waiting>,
    next_id: AtomicU64,
    process_id: u32,
}

/// What was asked for and has not ended.
#[derive(Default)]
struct Waiting {
    state: Mutex<WaitingState>,
}

#[derive(Default)]
struct WaitingState {
    gone: bool,
    asked: HashMap<u64, Asked>,
}

struct Asked {
    started: Option<oneshot::Sender<Result<Process, WorkerError>>>,
    exit: watch::Sender<Option<ProcessExit>>,
    /// Stands for the process, once there is one.
    process: Option<Arc<OwnedFd>>,
}

/// What to start, before it has a number.
pub(super) struct Order {
    pub(super) program: Program,
    pub(super) directory: Option<String>,
    pub(super) remnant: Option<String>,
    pub(super) limits: Vec<(Limit, u64)>,
    pub(super) sandbox: Option<Sandbox>,
}

impl Link {
    /// Makes the spawner.
    pub(super) fn open() -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC;
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        let spawner = spawn_spawner(theirs)?;
        let process_id = spawner.id();
        let (socket, waiting) = (Arc::new(ours), Arc::<Waiting>::default());
        let (reader_socket, reader_waiting) = (Arc::clone(&socket), Arc::clone(&waiting));
        thread::Builder::new()
            .name("palisade-workers".to_owned())
            .spawn(move || read_reports(reader_socket.as_fd(), &reader_waiting, spawner))?;
        Ok(Self {
            socket,
            waiting,
            next_id: AtomicU64::new(1),
            process_id,
        })
    }

    /// The spawner's process.
    pub(super) fn process_id(&self) -> u32 {
        self.process_id
    }

    /// Whether the spawner has died.
    pub(super) fn is_gone(&self) -> bool {
        self.waiting.state().gone
    }

    /// Has a process started. When the caller goes away meanwhile, the process is killed as soon as it is there.
    pub(super) async fn start(
        &self,
        order: Order,
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<Process, WorkerError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let bytes = encoded(id, order)?;
        let started = self.waiting.ask(id)?;
        let answer = async {
            self.send(&bytes, descriptors).await?;
            started.await.unwrap_or_else(|_| Err(gone()))
        };
        let result = timeout(START_TIMEOUT, answer).await;
        result.unwrap_or(Err(WorkerError::TimedOut(START_TIMEOUT)))
    }

    /// Sends without blocking the thread, which may serve an async runtime.
    async fn send(&self, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> Result<(), WorkerError> {
        loop {
            match message::send(self.socket.as_fd(), bytes, descriptors, SendFlags::DONTWAIT) {
                Ok(()) => return Ok(()),
                Err(Errno::AGAIN) => sleep(RETRY_AFTER).await,
                Err(_) => return Err(gone()),
            }
        }
    }
}

impl Drop for Link {
    /// The spawner ends when it sees the end of the socket; the reading thread then reaps it.
    fn drop(&mut self) {
        let _ = shutdown(&*self.socket, Shutdown::Both);
    }
}

fn encoded(id: u64, order: Order) -> Result<Vec<u8>, WorkerError> {
    let Order {
        program,
        directory,
        remnant,
        limits,
        sandbox,
    } = order;
    let start = Start {
        id,
        program,
        directory,
        remnant,
        limits,
        sandbox,
    };
    message::encode(&start).map_err(|bytes| WorkerError::TooLong {
        bytes,
        limit: MESSAGE_BYTES_MAX,
    })
}

fn gone() -> WorkerError {
    WorkerError::Missing("the spawner has died".to_owned())
}

fn spawn_spawner(socket: OwnedFd) -> io::Result<Child> {
    Command::new("/proc/self/exe")
        .arg0(SPAWNER_NAME)
        .env_clear()
        .env(ROLE_VARIABLE, SPAWNER_NAME)
        .current_dir("/")
        .stdin(Stdio::from(socket))
        .stdout(Stdio::null())
        // A key press in the terminal is for the server, which then ends its plugins in order.
        .process_group(0)
        .spawn()
}

fn read_reports(socket: BorrowedFd<'_>, waiting: &Waiting, mut spawner: Child) {
    while let Some((report, descriptors)) = message::receive::<Report>(socket) {
        waiting.take(report, descriptors);
    }
    waiting.close();
    let _ = spawner.wait();
}

impl Waiting {
    fn state(&self) -> MutexGuard<'_, WaitingState> {
        // The state is whole after each statement, so a panic elsewhere leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask(&self, id: u64) -> Result<oneshot::Receiver<Result<Process, WorkerError>>, WorkerError> {
        let mut state = self.state();
        if state.gone {
            return Err(gone());
        }
        if state.asked.len() >= PROCESSES_MAX {
            return Err(WorkerError::TooMany {
                limit: PROCESSES_MAX,
            });
        }
        let (started, receiver) = oneshot::channel();
        let (exit, _) = watch::channel(None);
        state.asked.insert(
            id,
            Asked {
                started: Some(started),
                exit,
                process: None,
            },
        );
        Ok(receiver)
    }

    fn take(&self, report: Report, descriptors: Vec<OwnedFd>) {
        match report {
            Report::Started { id, pid } => self.started(id, pid, descriptors),
            Report::Failed { id, fault } => self.failed(id, fault),
            Report::Exited { id, exit } => self.exited(id, exit),
        }
    }

    fn started(&self, id: u64, pid: u32, descriptors: Vec<OwnedFd>) {
        let mut state = self.state();
        let (Some(asked), Some(pidfd)) = (state.asked.get_mut(&id), descriptors.into_iter().next())
        else {
            return;
        };
        let pidfd = asked.process.insert(Arc::new(pidfd));
        let process = Process::new(pid, Arc::clone(pidfd), asked.exit.subscribe());
        if let Some(started) = asked.started.take() {
            // Nobody waits any more: the process comes back, and dropping it kills it.
            drop(started.send(Ok(process)));
        }
    }

    fn failed(&self, id: u64, fault: String) {
        let asked = self.state().asked.remove(&id);
        if let Some(started) = asked.and_then(|asked| asked.started) {
            drop(started.send(Err(WorkerError::Refused(fault))));
        }
    }

    fn exited(&self, id: u64, exit: ProcessExit) {
        if let Some(asked) = self.state().asked.remove(&id) {
            asked.exit.send_replace(Some(exit));
        }
    }

    /// The spawner has died, and with it everything it started, but for what refused the signal that comes with it.
    fn close(&self) {
        let mut state = self.state();
        state.gone = true;
        for (_, asked) in state.asked.drain() {
            if let Some(process) = &asked.process {
                let _ = pidfd_send_signal(&**process, Signal::KILL);
            }
            asked.exit.send_replace(Some(ProcessExit::Unknown));
        }
    }
}
