//! Who may go on to the plugin: so many at once, so many waiting, and nobody whose time is up.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::sync::{Semaphore, SemaphorePermit, TryAcquireError};
use tokio::time::timeout_at;

use crate::services::Deadline;
use crate::{CallError, Limits};

/// The entrance of one mount.
pub(crate) struct Admission {
    label: String,
    limits: Arc<Limits>,
    places: Semaphore,
    waiting: AtomicU32,
}

impl Admission {
    /// An entrance with the places and the queue of `limits`.
    pub(crate) fn new(label: &str, limits: Arc<Limits>) -> Self {
        Self {
            label: label.to_owned(),
            places: Semaphore::new(limits.concurrency as usize),
            limits,
            waiting: AtomicU32::new(0),
        }
    }

    /// What the mount may use.
    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Waits for a place until `deadline`.
    ///
    /// # Errors
    ///
    /// [`CallError::Timeout`] when the time is up, [`CallError::Overloaded`] when too many wait already.
    pub(crate) async fn enter(&self, deadline: Deadline) -> Result<SemaphorePermit<'_>, CallError> {
        if deadline.left().is_zero() {
            return Err(self.late(deadline));
        }
        match self.places.try_acquire() {
            Ok(place) => Ok(place),
            Err(TryAcquireError::NoPermits) => self.queue(deadline).await,
            Err(TryAcquireError::Closed) => Err(CallError::Stopping),
        }
    }

    async fn queue(&self, deadline: Deadline) -> Result<SemaphorePermit<'_>, CallError> {
        let _waiting = self.line_up()?;
        match timeout_at(deadline.at().into(), self.places.acquire()).await {
            Ok(Ok(place)) => Ok(place),
            Ok(Err(_closed)) => Err(CallError::Stopping),
            Err(_elapsed) => Err(self.late(deadline)),
        }
    }

    fn line_up(&self) -> Result<Waiting<'_>, CallError> {
        let place = Waiting(&self.waiting);
        let waiting = self.waiting.fetch_add(1, Ordering::AcqRel);
        if waiting < self.limits.queue {
            return Ok(place);
        }
        Err(CallError::Overloaded {
            plugin: self.label.clone(),
            waiting,
        })
    }

    fn late(&self, deadline: Deadline) -> CallError {
        CallError::Timeout {
            plugin: self.label.clone(),
            limit: deadline.limit(),
        }
    }
}

/// One in the queue; leaves it when dropped.
struct Waiting<'a>(&'a AtomicU32);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use std::time::Duration;

    fn entrance(concurrency: u32, queue: u32) -> Admission {
        let limits = Limits {
            concurrency,
            queue,
            ..Limits::default()
        };
        Admission::new("kv", Arc::new(limits))
    }

    fn soon() -> Deadline {
        Deadline::after(Duration::from_secs(30))
    }

    #[tokio::test]
    async fn whose_time_is_up_does_not_even_wait() {
        let entrance = entrance(1, 1);
        let refused = entrance.enter(Deadline::after(Duration::ZERO)).await.err();
        assert!(matches!(refused, Some(CallError::Timeout { .. })));
    }

    #[tokio::test]
    async fn a_full_queue_refuses_and_a_place_that_frees_up_goes_to_who_waits() {
        let entrance = entrance(1, 1);
        let first = entrance.enter(soon()).await.expect("there is a place");
        let second = entrance.enter(soon());
        tokio::pin!(second);
        assert!(second.as_mut().now_or_never().is_none());
        let third = entrance.enter(soon()).await.err();
        assert!(matches!(
            third,
            Some(CallError::Overloaded { waiting: 1, .. })
        ));
        drop(first);
        assert!(second.await.is_ok());
        assert!(entrance.enter(soon()).await.is_ok());
    }

    #[tokio::test]
    async fn waiting_ends_at_the_deadline_and_who_leaves_makes_room() {
        let entrance = entrance(1, 1);
        let _first = entrance.enter(soon()).await.expect("there is a place");
        for _ in 0..3 {
            let late = entrance
                .enter(Deadline::after(Duration::from_millis(1)))
                .await;
            assert!(matches!(late.err(), Some(CallError::Timeout { .. })));
        }
    }
}
