//! What server and spawner say to each other: one JSON message per packet, with the descriptors it is about.
//!
//! Both ends are the same executable, so the encoding has no versions. The socket is private to the two.

use std::fmt;
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::role::JobRole;
use super::sandbox::{Layer, Sandbox};

/// The longest message, in bytes. Unix packet sockets carry a little over 200 KiB by default.
pub(super) const MESSAGE_BYTES_MAX: usize = 128 << 10;

/// The most descriptors in one message.
const DESCRIPTORS_MAX: usize = 4;

/// From the server: start this. With it come three descriptors: the gate at which it stands by, or standard input of a
/// job; standard output; standard error. And a fourth, if it is to find itself as a file: what it will execute.
#[derive(Serialize, Deserialize)]
pub(super) struct Start {
    /// The server's name for the process.
    pub(super) id: u64,
    /// What to run.
    pub(super) program: Program,
    /// Its working directory; the root directory when none is given.
    pub(super) directory: Option<String>,
    /// A folder to remove once the server is gone.
    pub(super) remnant: Option<String>,
    /// Its resource limits, soft and hard.
    pub(super) limits: Vec<(Limit, u64)>,
    /// The walls around it.
    pub(super) sandbox: Option<Sandbox>,
}

/// What to run.
#[derive(Serialize, Deserialize)]
pub(super) enum Program {
    /// Whatever comes through the gate that is the first descriptor.
    StandBy,
    /// This very executable, as a job worker; the first descriptor is its standard input.
    Job(JobRole),
    /// A look from inside at whether this wall holds.
    Probe(Layer),
}

/// A resource limit of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Limit {
    /// Bytes of private writable memory.
    Data,
    /// Bytes of address space.
    AddressSpace,
    /// Seconds of processor time; at one second more it is killed.
    CpuSeconds,
    /// Bytes that any file may grow to.
    FileBytes,
    /// Descriptors.
    Descriptors,
    /// Bytes of stack of the main thread.
    Stack,
    /// Bytes of a core dump.
    Core,
}

/// From the spawner.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Report {
    /// It stands by, or runs. With it comes one descriptor that stands for the process.
    Started { id: u64, pid: u32 },
    /// It could not be started.
    Failed { id: u64, fault: String },
    /// It has ended, its process group was killed, and it was reaped.
    Exited { id: u64, exit: ProcessExit },
}

/// The signal that nobody can catch, with which the kernel also ends a process for want of memory.
pub(super) const SIGNAL_KILL: i32 = 9;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProcessExit {
    /// By itself, with this status.
    Code(i32),
    /// By a signal.
    Signal(i32),
    /// By the kernel, because it and its descendants had no memory left of what they may have.
    OutOfMemory,
    /// The spawner went first, which ends it as well.
    Unknown,
}

impl fmt::Display for ProcessExit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exited with status {code}"),
            Self::Signal(signal) => write!(f, "killed by signal {signal}"),
            Self::OutOfMemory => f.write_str("killed, because its memory limit was reached"),
            Self::Unknown => f.write_str("ended together with the spawner"),
        }
    }
}

/// Encodes a message.
///
/// # Errors
///
/// How long it would be, when that is too long.
pub(super) fn encode(message: &impl Serialize) -> Result<Vec<u8>, usize> {
    let bytes = serde_json::to_vec(message).expect("messages have string keys only");
    match bytes.len() {
        length if length > MESSAGE_BYTES_MAX => Err(length),
        _ => Ok(bytes),
    }
}

/// Sends one encoded message.
pub(super) fn send(
    socket: BorrowedFd<'_>,
    bytes: &[u8],
    descriptors: &[BorrowedFd<'_>],
    flags: SendFlags,
) -> Result<(), Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() {
        let pushed = ancillary.push(SendAncillaryMessage::ScmRights(descriptors));
        assert!(
            pushed,
            "no message has more than {DESCRIPTORS_MAX} descriptors"
        );
    }
    let parts = [IoSlice::new(bytes)];
    rustix::io::retry_on_intr(|| {
        sendmsg(socket, &parts, &mut ancillary, flags | SendFlags::NOSIGNAL)
    })?;
    Ok(())
}

/// Waits for one message; `None` when the other side is gone or speaks nonsense, which is the same to both.
pub(super) fn receive<M: DeserializeOwned>(socket: BorrowedFd<'_>) -> Option<(M, Vec<OwnedFd>)> {
    let mut buffer = vec![0; MESSAGE_BYTES_MAX];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let received = rustix::io::retry_on_intr(|| {
        let mut parts = [IoSliceMut::new(&mut buffer)];
        recvmsg(socket, &mut parts, &mut ancillary, RecvFlags::CMSG_CLOEXEC)
    })
    .ok()?;
    let descriptors = taken(&mut ancillary);
    let whole = !received
        .flags
        .intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC);
    let bytes = buffer
        .get(..received.bytes)
        .filter(|bytes| whole && !bytes.is_empty())?;
    Some((serde_json::from_slice(bytes).ok()?, descriptors))
}

fn taken(ancillary: &mut RecvAncillaryBuffer<'_>) -> Vec<OwnedFd> {
    ancillary
        .drain()
        .filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
            _ => None,
        })
        .flatten()
        .collect()
}
