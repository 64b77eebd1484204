//! Makes a child of this process, in namespaces of its own where that is asked for.
#![expect(
    unsafe_code,
    reason = "neither the standard library nor a crate in use can make a child with namespaces and its descriptor at once"
)]

use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};

use rustix::process::{Pid, WaitId, WaitIdOptions, WaitIdStatus, waitid};

/// The flag of `clone3`, since Linux 5.7.
const CLONE_INTO_CGROUP: u64 = 1 << 33;

/// A child, until it is reaped.
pub(super) struct Child {
    pub(super) pid: Pid,
    /// Stands for the process, whatever becomes of its number.
    pub(super) pidfd: OwnedFd,
}

impl Child {
    /// Waits for its end, and lets its number go.
    pub(super) fn reap(&self) -> Option<WaitIdStatus> {
        let wait = || waitid(WaitId::PidFd(self.pidfd.as_fd()), WaitIdOptions::EXITED);
        rustix::io::retry_on_intr(wait).ok().flatten()
    }
}

/// Which of the two this is after a fork.
pub(super) enum Side {
    /// The one that called.
    Parent(Child),
    /// The new one.
    Child,
}

/// Makes a child with these `CLONE_NEW…` flags, as a member of this control group of version 2 if one is given. It has a
/// copy of this process's memory and of its one thread.
///
/// To be born into a group costs nothing; to move there later takes a moment in which the kernel waits for all processors,
/// some ten milliseconds.
///
/// # Safety
///
/// This process has no other thread: the child could wait for ever on a lock that another one held. The child must never
/// return to its caller's caller, but end or execute something.
pub(super) unsafe fn fork(namespaces: i32, group: Option<BorrowedFd<'_>>) -> io::Result<Side> {
    let mut pidfd: RawFd = -1;
    // SAFETY: the kernel's structure is plain numbers, for which zero means that nothing is asked for.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = u64::from((libc::CLONE_PIDFD | namespaces).cast_unsigned());
    args.pidfd = (&raw mut pidfd) as u64;
    if let Some(group) = group {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = u64::from(group.as_raw_fd().unsigned_abs());
    }
    args.exit_signal = u64::from(libc::SIGCHLD.unsigned_abs());
    // SAFETY: the structure lives until the call returns, and its pointer leads to a descriptor's number. Memory is copied
    // and not shared, and no stack is given, so the child goes on from here on its copy of this stack.
    let answer = unsafe { libc::syscall(libc::SYS_clone3, &raw mut args, size_of_val(&args)) };
    match answer {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Side::Child),
        pid => {
            let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
            Ok(Side::Parent(Child {
                pid: pid.expect("the kernel gives a child a positive number"),
                // SAFETY: the kernel has just opened it for this process, and nobody else knows of it.
                pidfd: unsafe { OwnedFd::from_raw_fd(pidfd) },
            }))
        }
    }
}
