//! The thread of whoever asks, borrowed: a request begins there, which saves two changes of thread, and gives it back when
//! it takes long or its guest becomes large.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

/// How often a request is polled on a borrowed thread. A guest that computes is stopped at the end of each slice of its
/// fuel, so these are some hundreds of microseconds; a request that waits for storage a few times ends where it began.
const POLLS_MAX: u32 = 8;

/// The most that a store may hold on a borrowed thread, in bytes. One bulk instruction cannot be interrupted, and the memory
/// it can touch bounds how long it holds the thread.
pub(super) const BYTES_MAX: u64 = 4 << 20;

thread_local! {
    static THIS: Cell<State> = const { Cell::new(State::Own) };
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
    let mut polls_left = POLLS_MAX;
    poll_fn(|context| {
        let (polled, is_returned) = lend(|| Pin::new(&mut *work).poll(context));
        polls_left -= 1;
        match polled {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if is_returned || polls_left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// A guest that holds so many bytes goes on, on another thread when this is a borrowed one and they are too many for it.
pub(super) async fn hold(bytes: u64) {
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
    THIS.with(|state| {
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
            THIS.set(self.0);
        }
    }
    let _restore = Restore(THIS.replace(State::Borrowed));
    let done = work();
    (done, THIS.get() == State::Returned)
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use tokio::task::yield_now;

    use super::*;

    #[tokio::test]
    async fn what_is_short_ends_where_it_began() {
        let short = async {
            for _ in 1..POLLS_MAX {
                yield_now().await;
            }
            "done"
        };
        assert_eq!(begin(&mut pin!(short)).await, Some("done"));
    }

    #[tokio::test]
    async fn what_is_long_goes_on_elsewhere() {
        let mut long = pin!(async {
            for _ in 0..POLLS_MAX {
                yield_now().await;
            }
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
                hold(BYTES_MAX).await;
                steps += 1;
                hold(BYTES_MAX + 1).await;
                steps += 1;
            });
            assert_eq!(begin(&mut large).await, None);
            large.await;
        }
        assert_eq!(steps, 2);
        // On a thread of its own it may.
        hold(BYTES_MAX + 1).await;
    }
}
