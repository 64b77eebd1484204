//! The thread of whoever asks, borrowed: a request begins there, which saves two changes of thread, and gives it back when
//! it takes long or its guest becomes large.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, Instant};

/// How long a request may keep a borrowed thread from others, all in all. A guest that computes or calls the host is stopped
/// after every slice of it, and the slice in which this passes is the last one.
const TIME_MAX: Duration = Duration::from_micros(300);

/// The most that a store may hold on a borrowed thread, in bytes. A slice cannot be cut within one bulk instruction, and the
/// memory that it can touch bounds how long that takes. (Nor within one call of the host, which copies a message at most.)
const BYTES_MAX: u64 = 4 << 20;

thread_local! {
    static THREAD: Cell<State> = const { Cell::new(State::Own) };
}

/// What a thread is to the work that is polled on it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nobody waits for it.
    Own,
    Borrowed,
    /// Borrowed, and the work is done with it.
    Returned,
}

/// Polls `work` on this thread until it is done, in which case this is its output, or has to go on elsewhere.
pub(super) async fn begin<F: Future + Unpin>(work: &mut F) -> Option<F::Output> {
    let mut used = Duration::ZERO;
    poll_fn(|context| {
        let begun = Instant::now();
        let (polled, is_returned) = lend(|| Pin::new(&mut *work).poll(context));
        if let Poll::Ready(output) = polled {
            return Poll::Ready(Some(output));
        }
        used += begun.elapsed();
        match is_returned || used > TIME_MAX {
            true => Poll::Ready(None),
            false => Poll::Pending,
        }
    })
    .await
}

/// Gives the thread back when it is a borrowed one and the guest holds more bytes than it may there.
pub(super) async fn leave_if_large(bytes: u64) {
    if bytes > BYTES_MAX {
        give_back().await;
    }
}

/// What follows runs on a thread that is nobody else's.
async fn give_back() {
    poll_fn(|context| match is_own() {
        true => Poll::Ready(()),
        false => {
            context.waker().wake_by_ref();
            Poll::Pending
        }
    })
    .await;
}

/// Whether the thread is nobody else's; if it is, that ends with this.
///
/// A guest is resumed on whichever thread is free, so where the thread's own state lies is found out at every call.
#[inline(never)]
fn is_own() -> bool {
    THREAD.with(|state| {
        let is_own = state.get() == State::Own;
        if !is_own {
            state.set(State::Returned);
        }
        is_own
    })
}

/// Does this with the thread lent out, and says whether it was given back.
fn lend<T>(work: impl FnOnce() -> T) -> (T, bool) {
    struct Restore(State);
    impl Drop for Restore {
        fn drop(&mut self) {
            THREAD.set(self.0);
        }
    }
    let _restore = Restore(THREAD.replace(State::Borrowed));
    let done = work();
    (done, THREAD.get() == State::Returned)
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::thread::sleep;

    use tokio::task::yield_now;

    use super::*;

    #[tokio::test]
    async fn what_is_short_ends_where_it_began_however_often_it_waits() {
        let mut short = pin!(async {
            for _ in 0..10 {
                yield_now().await;
            }
            "done"
        });
        assert_eq!(begin(&mut short).await, Some("done"));
    }

    #[tokio::test]
    async fn what_is_long_goes_on_elsewhere() {
        let mut long = pin!(async {
            sleep(TIME_MAX);
            yield_now().await;
            "done"
        });
        assert_eq!(begin(&mut long).await, None);
        assert_eq!(long.await, "done");
    }

    #[tokio::test]
    async fn what_is_large_goes_on_elsewhere_at_once() {
        let mut steps = 0;
        {
            let mut large = pin!(async {
                leave_if_large(BYTES_MAX).await;
                steps += 1;
                leave_if_large(BYTES_MAX + 1).await;
                steps += 1;
            });
            assert_eq!(begin(&mut large).await, None);
            large.await;
        }
        assert_eq!(steps, 2);
        // On a thread of its own it may.
        leave_if_large(BYTES_MAX + 1).await;
    }

    #[tokio::test]
    async fn a_panic_gives_the_thread_back() {
        let mut broken = pin!(async { panic!("on purpose") });
        let polled = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            lend(|| {
                broken
                    .as_mut()
                    .poll(&mut std::task::Context::from_waker(std::task::Waker::noop()))
            })
        }));
        assert!(polled.is_err() && is_own());
    }
}
