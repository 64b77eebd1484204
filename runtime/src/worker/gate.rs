//! Where a process stands by behind its walls: what it is to execute comes through the gate in one packet.
//!
//! Its answer is that the gate closes, because exec closes it; or else another packet, with the fault.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, send, socketpair};
use serde::{Deserialize, Serialize};
use tokio::io::AsyncReadExt as _;
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::link::WorkerError;
use super::message::{self, MESSAGE_BYTES_MAX};

/// How long an exec may take. It normally takes less than a millisecond.
const EXEC_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest fault that is read, in bytes.
const FAULT_BYTES_MAX: usize = 1 << 10;

/// What the executable is started with.
#[derive(Serialize, Deserialize)]
pub(super) struct Arguments {
    /// The argument list, the name included.
    pub(super) argv: Vec<String>,
    /// The whole environment.
    pub(super) env: Vec<(String, String)>,
}

/// The server's side of it. When it is dropped, the process that stands by ends.
pub(super) struct Gate(OwnedFd);

impl Gate {
    /// One, and the side of the process.
    pub(super) fn open() -> io::Result<(Self, OwnedFd)> {
        let flags = SocketFlags::CLOEXEC;
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        rustix::io::ioctl_fionbio(&ours, true)?;
        Ok((Self(ours), theirs))
    }

    /// Has `executable` executed, of which the answer tells.
    ///
    /// # Errors
    ///
    /// That the arguments are too long, or that the process has died.
    pub(super) fn pass(
        self,
        arguments: &Arguments,
        executable: BorrowedFd<'_>,
    ) -> Result<Answer, WorkerError> {
        let bytes = message::encode(arguments).map_err(|bytes| WorkerError::TooLong {
            bytes,
            limit: MESSAGE_BYTES_MAX,
        })?;
        // Nothing else was ever sent, so there is room.
        message::send(self.0.as_fd(), &bytes, &[executable], SendFlags::empty())
            .map_err(|fault| refused(&format_args!("it died while it stood by: {fault}")))?;
        Ok(Answer(self.0))
    }
}

/// What becomes of a file that is to be executed. It need not be waited for.
pub struct Answer(OwnedFd);

impl Answer {
    /// Waits until the file is executed, or the process has died.
    ///
    /// # Errors
    ///
    /// Why it cannot be.
    pub async fn executed(self) -> Result<(), WorkerError> {
        let answer = timeout(EXEC_TIMEOUT, self.read()).await;
        answer.unwrap_or(Err(WorkerError::TimedOut(EXEC_TIMEOUT)))
    }

    async fn read(self) -> Result<(), WorkerError> {
        // A stream to the runtime, which reads packets of it all the same.
        let mut gate = UnixStream::from_std(self.0.into()).map_err(|fault| refused(&fault))?;
        let mut words = [0; FAULT_BYTES_MAX];
        match gate.read(&mut words).await {
            Ok(0) => Ok(()),
            Ok(count) => Err(refused(&String::from_utf8_lossy(&words[..count]))),
            // It died before it read anything. Its exit says of what.
            Err(fault) if fault.kind() == io::ErrorKind::ConnectionReset => Ok(()),
            Err(fault) => Err(refused(&fault)),
        }
    }
}

fn refused(fault: &impl ToString) -> WorkerError {
    WorkerError::Refused(fault.to_string())
}

/// The process's side: waits for what to execute, and with what. Nothing when nobody wants it any more.
pub(super) fn wait(gate: BorrowedFd<'_>) -> Option<(Arguments, OwnedFd)> {
    let (arguments, descriptors) = message::receive(gate)?;
    Some((arguments, descriptors.into_iter().next()?))
}

/// The process's side: tells why it cannot be executed.
pub(super) fn refuse(gate: BorrowedFd<'_>, fault: &str) {
    let told = fault.len().min(FAULT_BYTES_MAX);
    // Nobody listens when the server has gone away.
    let _ = send(gate, &fault.as_bytes()[..told], SendFlags::NOSIGNAL);
}
