//! What changes the process as a whole: its environment and its standard output. Both need `unsafe`, and both happen
//! once, at the start.

#![allow(
    unsafe_code,
    reason = "the environment and descriptor 1 belong to the whole process"
)]

use std::fs::{self, File};
use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::{FromRawFd as _, OwnedFd};

use palisade_protocol::env::{EnvError, OF_ONE_LAUNCH, PluginEnv};

use crate::log;

/// Reads what the host set for this launch, and removes it, so that no process started from here takes it for its own.
pub(crate) fn take_environment() -> Result<PluginEnv, EnvError> {
    let env = PluginEnv::read(|name| std::env::var_os(name))?;
    if is_single_threaded() {
        for name in OF_ONE_LAUNCH {
            // SAFETY: no other thread exists that could read the environment meanwhile, as was just counted, and none
            // can appear, because this is the only one.
            unsafe { std::env::remove_var(name) };
        }
    } else {
        log::warn(
            "the launch's variables stay in the environment: other threads run already, or /proc is not there to tell. \
             Call serve first in main",
        );
    }
    Ok(env)
}

/// Whether this is the only thread; false where that cannot be told.
fn is_single_threaded() -> bool {
    fs::read_dir("/proc/self/task").is_ok_and(|tasks| tasks.count() == 1)
}

/// Standard output, taken apart.
pub(crate) struct Stdout {
    /// The real one. It carries the handshake line, and stays open because hosts take its end for the plugin's.
    pub(crate) real: File,
    /// What is printed from now on.
    pub(crate) captured: File,
}

/// Puts a pipe in the place of descriptor 1, so that not even a C library can print over the handshake.
pub(crate) fn take_stdout() -> io::Result<Stdout> {
    let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    // SAFETY: descriptor 1 is not closed through this value, which is never dropped, and not by anything else here:
    // `dup2` replaces what it refers to, and it stays open throughout.
    let mut one = ManuallyDrop::new(unsafe { OwnedFd::from_raw_fd(1) });
    let real = rustix::io::fcntl_dupfd_cloexec(&*one, 3)?;
    rustix::io::dup2(&writer, &mut one)?;
    Ok(Stdout {
        real: real.into(),
        captured: reader.into(),
    })
}
