//! What a job would try that somebody else has taken over by its input. Each attempt is harmless where it succeeds.

use std::fs::{self, File};
use std::io;
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::thread;

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::{
    PidfdFlags, Resource, getpid, getrlimit, pidfd_open, setrlimit, test_kill_process,
};
use serde::{Deserialize, Serialize};

/// One attempt to reach beyond input and output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Attack {
    /// Opens a file that everybody may read.
    ReadFile,
    /// Lists the root directory.
    ListFolder,
    /// Makes a file among the temporary ones.
    WriteFile,
    /// Makes a file in memory.
    MakeMemoryFile,
    /// Connects to this port of this machine.
    Connect(u16),
    /// Listens on a port of this machine.
    Listen,
    /// Makes a socket of the machine's own kind.
    MakeSocket,
    /// Starts a thread.
    StartThread,
    /// Starts a program.
    StartProgram,
    /// Asks whether it may signal a process.
    Signal,
    /// Takes hold of a process.
    HoldProcess,
    /// Sets a resource limit of its own.
    SetLimit,
}

impl Attack {
    /// All of them; `port` is one that somebody listens on.
    pub fn all(port: u16) -> [Self; 12] {
        [
            Self::ReadFile,
            Self::ListFolder,
            Self::WriteFile,
            Self::MakeMemoryFile,
            Self::Connect(port),
            Self::Listen,
            Self::MakeSocket,
            Self::StartThread,
            Self::StartProgram,
            Self::Signal,
            Self::HoldProcess,
            Self::SetLimit,
        ]
    }

    /// Tries it.
    ///
    /// # Errors
    ///
    /// What kept it from succeeding.
    pub fn attempt(self) -> io::Result<()> {
        match self {
            Self::ReadFile => File::open("/etc/passwd").map(drop),
            Self::ListFolder => fs::read_dir("/").map(drop),
            Self::WriteFile => tempfile::tempfile().map(drop),
            Self::MakeMemoryFile => Ok(memfd_create("attack", MemfdFlags::CLOEXEC).map(drop)?),
            Self::Connect(port) => TcpStream::connect(("127.0.0.1", port)).map(drop),
            Self::Listen => TcpListener::bind(("127.0.0.1", 0)).map(drop),
            Self::MakeSocket => UnixDatagram::unbound().map(drop),
            Self::StartThread => start_thread(),
            Self::StartProgram => start_program(),
            Self::Signal => Ok(test_kill_process(getpid())?),
            Self::HoldProcess => Ok(pidfd_open(getpid(), PidfdFlags::empty()).map(drop)?),
            Self::SetLimit => Ok(setrlimit(Resource::Core, getrlimit(Resource::Core))?),
        }
    }
}

fn start_thread() -> io::Result<()> {
    let thread = thread::Builder::new().spawn(|| ())?;
    thread
        .join()
        .map_err(|_| io::Error::other("it does nothing that could panic"))
}

fn start_program() -> io::Result<()> {
    let mut program = Command::new("/bin/true");
    program.stdin(Stdio::null()).stdout(Stdio::null());
    program.status().map(drop)
}
