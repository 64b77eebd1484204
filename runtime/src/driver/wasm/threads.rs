//! Where guests run: on threads of their own with low priority, and before that for a short while on the thread of whoever
//! asks.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::thread::available_parallelism;

use futures_util::FutureExt;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::{JoinError, JoinHandle};

use super::{borrowed, trap};
use crate::services::Deadline;
use crate::{CallError, Profile};

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

    /// Where the requests of an entry run. Whatever waits for files does so on threads that belong to the runtime on which
    /// the guest runs: what has folders runs on this one, and never keeps the server's own threads waiting.
    pub(super) fn place(&self, profile: Profile, has_folders: bool) -> Place {
        let runtime = self.runtime.as_ref();
        let runtime = runtime.expect("the runtime is taken when this is dropped, and not before");
        Place {
            threads: runtime.handle().clone(),
            // A large component takes milliseconds to be instantiated alone.
            begins_here: profile == Profile::Ordinary && !has_folders,
        }
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
pub(super) struct Place {
    threads: Handle,
    /// On a borrowed thread as long as that is allowed: for a short request the two changes of thread are most of its time.
    begins_here: bool,
}

impl Place {
    /// Runs a guest until it is done or the deadline passes. Dropping the future ends the guest at its next yield, and
    /// drops whatever `work` owned. That is large, and boxed by whoever makes it: then it is copied once.
    pub(super) async fn run<T>(
        &self,
        plugin: &str,
        deadline: Deadline,
        work: Pin<Box<impl Future<Output = Result<T, CallError>> + Send + 'static>>,
    ) -> Result<T, CallError>
    where
        T: Send + 'static,
    {
        let work = AssertUnwindSafe(work).catch_unwind();
        match deadline.wait_for(self.run_to_end(work)).await {
            Some(Ok(Ok(done))) => done,
            Some(Ok(Err(_panic))) => Err(trap::host_panic(plugin)),
            // The task's own panics are caught inside; what is left is a runtime that shuts down.
            Some(Err(_cancelled)) => Err(CallError::Stopping),
            None => Err(too_late(plugin, deadline)),
        }
    }

    async fn run_to_end<F>(&self, mut work: F) -> Result<F::Output, JoinError>
    where
        F: Future<Output: Send + 'static> + Unpin + Send + 'static,
    {
        if self.begins_here
            && let Some(done) = borrowed::begin(&mut work).await
        {
            return Ok(done);
        }
        let mut task = AbortOnDrop(self.threads.spawn(work));
        (&mut task.0).await
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
    use std::thread::{self, ThreadId};
    use std::time::Duration;

    use super::*;

    /// The threads on which a request finds itself before and after it has done this.
    async fn before_and_after(
        place: &Place,
        act: impl Future<Output = ()> + Send + 'static,
    ) -> [ThreadId; 2] {
        let here = || thread::current().id();
        let work = async move {
            let before = here();
            act.await;
            Ok([before, here()])
        };
        let deadline = Deadline::after(Duration::from_secs(20));
        place.run("p", deadline, Box::pin(work)).await.unwrap()
    }

    #[tokio::test]
    async fn only_an_ordinary_guest_without_folders_begins_on_the_thread_that_asks() {
        let threads = GuestThreads::start().unwrap();
        let this = thread::current().id();
        for (profile, has_folders, is_here) in [
            (Profile::Ordinary, false, true),
            (Profile::Large, false, false),
            (Profile::Ordinary, true, false),
        ] {
            let place = threads.place(profile, has_folders);
            let ran = before_and_after(&place, async {}).await;
            assert_eq!(ran.map(|thread| thread == this), [is_here; 2]);
        }
    }
}
