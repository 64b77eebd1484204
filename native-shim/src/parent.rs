//! Notices that the host is gone. go-plugin has nothing for it, and orphans are its oldest complaint.

use std::io;
use std::os::fd::OwnedFd;
use std::thread;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{PidfdFlags, getppid, pidfd_open};

use crate::log;
use crate::stop::Stop;

/// The watching thread does nothing but wait.
const STACK_BYTES: usize = 64 * 1024;

/// Makes the wish to end when the process that started this one ends.
///
/// The parent's descriptor is watched, and no death signal asked for: that one is sent when the *thread* ends that
/// started us, and a host may start us from a thread that it does not keep.
pub(crate) fn watch(stop: Stop) -> io::Result<()> {
    let parent = match open() {
        Ok(parent) => parent,
        Err(fault) => {
            // In a sandbox the host sees to it itself.
            log::debug(&format!(
                "the host's process cannot be watched from here: {fault}"
            ));
            return Ok(());
        }
    };
    thread::Builder::new()
        .name("parent".to_owned())
        .stack_size(STACK_BYTES)
        .spawn(move || {
            wait(&parent);
            stop.request();
        })?;
    Ok(())
}

fn open() -> Result<OwnedFd, Errno> {
    // In a process namespace of our own the parent has no number here.
    let parent = getppid().ok_or(Errno::SRCH)?;
    let descriptor = pidfd_open(parent, PidfdFlags::empty())?;
    // If it ended before, somebody else has adopted us, and the descriptor is of nobody that matters.
    if getppid() == Some(parent) {
        Ok(descriptor)
    } else {
        Err(Errno::SRCH)
    }
}

/// The one wait without a deadline: it is for the end of the host.
fn wait(parent: &OwnedFd) {
    let mut watched = [PollFd::new(parent, PollFlags::IN)];
    while poll(&mut watched, None) == Err(Errno::INTR) {}
}
