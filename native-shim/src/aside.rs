//! Threads for the plugin's own code, once it serves several mounts: one that computes for long keeps no other waiting.
//!
//! Connections are served by the main thread. With a single mount the plugin's code runs there as well, which spares each
//! call two changes of thread, and holds up nobody but that mount.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::OnceLock;

use tokio::runtime::{Builder, Handle};
use tokio::task::JoinHandle;

/// As many mounts as this can compute at once, on a machine with few processors.
const THREADS_MIN: usize = 4;

/// And no more than this, on one with many: each thread counts against what the host allows the process.
const THREADS_MAX: usize = 8;

/// Runs `work` on one of the threads aside. It ends with the call that waits for it.
pub(crate) async fn run<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    let mut running = Running(threads().spawn(work));
    match (&mut running.0).await {
        Ok(outcome) => outcome,
        // Nobody cancels it but this call, so it was a panic.
        Err(failure) => resume_unwind(failure.into_panic()),
    }
}

struct Running<T>(JoinHandle<T>);

impl<T> Drop for Running<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The threads, which live as long as the process; the main one where no other can be made.
fn threads() -> &'static Handle {
    static THREADS: OnceLock<Handle> = OnceLock::new();
    THREADS.get_or_init(|| start(Builder::new_multi_thread()).unwrap_or_else(Handle::current))
}

fn start(mut builder: Builder) -> Option<Handle> {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    builder
        .worker_threads(processors.clamp(THREADS_MIN, THREADS_MAX))
        .enable_all();
    // The builder panics where the system refuses it the first thread.
    let built = catch_unwind(AssertUnwindSafe(|| builder.build()));
    let threads = built.ok()?.ok()?;
    let handle = threads.handle().clone();
    std::mem::forget(threads);
    Some(handle)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(flavor = "current_thread")]
    async fn one_that_blocks_its_thread_keeps_neither_caller_nor_others_waiting() {
        let (release, blocked) = std::sync::mpsc::channel::<()>();
        let blocking = tokio::spawn(run(async move { blocked.recv() }));
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(run(async { 7 }).await, 7);
        release.send(()).expect("it waits");
        blocking.await.expect("it ends").expect("it was released");
    }

    #[tokio::test(flavor = "current_thread")]
    async fn it_ends_with_the_call_that_waits_for_it() {
        let (held, dropped) = tokio::sync::oneshot::channel::<()>();
        let work = run(async move {
            let _held = held;
            std::future::pending::<()>().await;
        });
        assert!(
            tokio::time::timeout(Duration::from_millis(20), work)
                .await
                .is_err()
        );
        dropped.await.expect_err("what it held is gone");
    }
}
