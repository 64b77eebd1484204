//! When a caller stops waiting, and the one way to wait no longer than that.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::{Duration, Instant};

use palisade_contract::HostError;
use tokio::runtime::Handle;
use tokio::task::unconstrained;
use tokio::time::sleep_until;

/// When a caller stops waiting. It covers queueing, guest time, host calls and the reply.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    at: Instant,
    limit: Duration,
}

/// Longer than anything is waited for, and short enough to add to any clock.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

impl Deadline {
    /// So long from now; ten years at the most.
    pub fn after(limit: Duration) -> Self {
        let limit = limit.min(LONGEST);
        Self {
            at: Instant::now() + limit,
            limit,
        }
    }

    /// The moment it passes.
    pub fn at(&self) -> Instant {
        self.at
    }

    /// How long it was when it was made, for errors.
    pub fn limit(&self) -> Duration {
        self.limit
    }

    /// How long is left; zero once it has passed.
    pub fn left(&self) -> Duration {
        self.at.saturating_duration_since(Instant::now())
    }

    /// Waits for `work` until the deadline; `None` when it has passed, before or meanwhile.
    ///
    /// What is ready at once needs no timer, so reads work on threads without a runtime too. There, what is not ready is
    /// waited for without one: whoever polls from such a thread has the deadline in its own hands.
    pub(crate) async fn wait_for<T>(self, work: impl Future<Output = T>) -> Option<T> {
        if self.left().is_zero() {
            return None;
        }
        let mut work = pin!(work);
        let mut timer = None;
        poll_fn(|context| {
            if let Poll::Ready(done) = work.as_mut().poll(context) {
                return Poll::Ready(Some(done));
            }
            match timer.get_or_insert_with(|| self.timer()) {
                Some(timer) => timer.as_mut().poll(context).map(|()| None),
                None => Poll::Pending,
            }
        })
        .await
    }

    /// Rings at the deadline, even beside work that never leaves it a turn. Boxed, so that what is ready at once carries no
    /// room for it.
    fn timer(self) -> Option<Pin<Box<impl Future<Output = ()>>>> {
        Handle::try_current().ok()?;
        Some(Box::pin(unconstrained(sleep_until(self.at.into()))))
    }

    /// The same for a call to the host, which tells the plugin.
    pub(super) async fn bound<T>(
        self,
        doing: &'static str,
        work: impl Future<Output = Result<T, HostError>>,
    ) -> Result<T, HostError> {
        self.wait_for(work).await.unwrap_or_else(|| {
            let limit = self.limit;
            Err(HostError::other(format!(
                "the request's deadline of {limit:?} passed while {doing} storage"
            )))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ready_needs_no_runtime() {
        let deadline = Deadline::after(Duration::from_secs(60));
        let ready = deadline.wait_for(std::future::ready(7));
        assert_eq!(
            futures_util::future::FutureExt::now_or_never(ready),
            Some(Some(7))
        );
    }

    #[tokio::test]
    async fn what_has_to_wait_leaves_the_thread_to_others_before_it_is_asked_again() {
        let others = tokio::spawn(async { "had a turn" });
        let deadline = Deadline::after(Duration::from_secs(60));
        let had_one = deadline.wait_for(async {
            tokio::task::yield_now().await;
            others.is_finished()
        });
        assert_eq!(had_one.await, Some(true));
    }

    #[tokio::test]
    async fn what_takes_every_turn_ends_at_the_deadline() {
        let busy = async {
            loop {
                tokio::task::consume_budget().await;
            }
        };
        assert_eq!(
            Deadline::after(Duration::from_millis(20))
                .wait_for(busy)
                .await,
            None
        );
    }

    #[tokio::test]
    async fn what_is_never_ready_ends_at_the_deadline_with_a_clear_error() {
        let deadline = Deadline::after(Duration::from_millis(20));
        let never = std::future::pending::<Result<(), HostError>>();
        let error = deadline.bound("reading", never).await.unwrap_err();
        assert!(error.message.contains("20ms passed while reading storage"));
    }

    #[test]
    fn the_longest_duration_is_no_overflow() {
        assert!(Deadline::after(Duration::MAX).left() > Duration::from_secs(3600));
    }
}
