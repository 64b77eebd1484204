//! Where guests run: on threads of their own with low priority, or in place when they cannot hold a thread for long.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::thread::available_parallelism;

use futures_util::FutureExt;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use super::trap;
use crate::services::Deadline;
use crate::{CallError, Limits, Profile};

/// The most memory with which an entry runs in place. One bulk instruction cannot be interrupted, and the memory it can
/// touch bounds how long it holds the thread. What it saves is the hop: a request to a store that is kept took 3.7 µs in
/// place and 16.5 µs on a thread of its own, where the bare call into the guest took 1.4 µs.
const IN_PLACE_MEMORY_BYTES_MAX: u64 = 16 << 20;

/// Threads that wait for files at once, of all guests. What else is asked of files waits for one of them; with a file system
/// that hangs they are all that is lost.
const BLOCKING_THREADS_MAX: usize = 64;

/// How much lower than the server's own threads the guests' are, in steps of `nice`.
const NICENESS: i32 = 10;

/// Threads for guests. They share nothing with those that serve I/O.
pub(super) struct GuestThreads {
    runtime: Option<Runtime>,
}

impl GuestThreads {
    /// Starts one thread for each processor.
    pub(super) fn start() -> std::io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(available_parallelism().map_or(1, usize::from))
            .max_blocking_threads(BLOCKING_THREADS_MAX)
            .thread_name("palisade-guest")
            .on_thread_start(lower_priority)
            // Alarms are looked at after every slice of a guest, so that a deadline is not late by sixty of them.
            .event_interval(1)
            .enable_time()
            .build()?;
        Ok(Self {
            runtime: Some(runtime),
        })
    }

    /// Where an entry with these limits runs. Whatever waits for files does so on threads that belong to the runtime on
    /// which the guest runs: what has folders runs on this one, and never keeps the server's own threads waiting.
    pub(super) fn place(&self, limits: &Limits, has_folders: bool) -> Place {
        // A large component takes milliseconds to be instantiated alone.
        let is_short = limits.memory_bytes <= IN_PLACE_MEMORY_BYTES_MAX;
        if is_short && limits.profile == Profile::Ordinary && !has_folders {
            return Place::Here;
        }
        let runtime = self.runtime.as_ref();
        let runtime = runtime.expect("the runtime is taken when this is dropped, and not before");
        Place::Threads(runtime.handle().clone())
    }
}

impl Drop for GuestThreads {
    fn drop(&mut self) {
        // Waiting for guests here could block a thread that serves I/O; they end at their next yield.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Guests yield to everything else. On Linux the calling thread alone is meant, whatever the name says.
fn lower_priority() {
    if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
        tracing::warn!(%error, "guest threads keep the server's priority");
    }
}

/// Where the guests of one mount run.
pub(super) enum Place {
    /// On the thread of the caller.
    Here,
    /// On the guests' threads.
    Threads(Handle),
}

impl Place {
    /// Runs a guest until it is done or the deadline passes. Dropping the future ends the guest at its next yield, and
    /// drops whatever `work` owned.
    pub(super) async fn run<T>(
        &self,
        plugin: &str,
        deadline: Deadline,
        work: impl Future<Output = Result<T, CallError>> + Send + 'static,
    ) -> Result<T, CallError>
    where
        T: Send + 'static,
    {
        if deadline.left().is_zero() {
            return Err(too_late(plugin, deadline));
        }
        let until = Instant::from_std(deadline.at());
        let work = AssertUnwindSafe(work).catch_unwind();
        let done = match self {
            Self::Here => timeout_at(until, work).await.ok(),
            Self::Threads(handle) => {
                let mut task = AbortOnDrop(handle.spawn(work));
                match timeout_at(until, &mut task.0).await {
                    // The task's own panics are caught inside; what is left is a runtime that shuts down.
                    Ok(Err(_)) => return Err(CallError::Stopping),
                    Ok(Ok(done)) => Some(done),
                    Err(_) => None,
                }
            }
        };
        match done {
            Some(Ok(done)) => done,
            Some(Err(_)) => Err(trap::host_panic(plugin)),
            None => Err(too_late(plugin, deadline)),
        }
    }
}

/// What a caller is told whose deadline passed.
fn too_late(plugin: &str, deadline: Deadline) -> CallError {
    CallError::Timeout {
        plugin: plugin.to_owned(),
        limit: deadline.limit(),
    }
}

/// A task that ends with whoever waits for it.
struct AbortOnDrop<T>(JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_ordinary_guest_with_little_memory_and_no_folders_runs_in_place() {
        let threads = GuestThreads::start().expect("threads can be started");
        let place = |memory_bytes, profile, has_folders| {
            let limits = Limits {
                memory_bytes,
                profile,
                ..Limits::default()
            };
            threads.place(&limits, has_folders)
        };
        let here = place(16 << 20, Profile::Ordinary, false);
        assert!(matches!(here, Place::Here));
        for (memory_bytes, profile, has_folders) in [
            (64 << 20, Profile::Ordinary, false),
            (16 << 20, Profile::Large, false),
            (16 << 20, Profile::Ordinary, true),
        ] {
            let place = place(memory_bytes, profile, has_folders);
            assert!(matches!(place, Place::Threads(_)));
        }
    }
}
