//! The breaker, half open: what was started after failures in a row answers one request before it gets the others.
//!
//! Open, it is [`State::Resting`](super::state::State::Resting) for longer and longer; closed, there is no trial.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout_at;

/// A trial under way, or passed.
pub(super) struct Trial {
    /// One request at a time; closed once one was answered.
    turn: Arc<Semaphore>,
}

/// What a request found that came to a generation on trial.
pub(super) enum Turn {
    /// It is the one that tries. Its turn ends with this.
    Its(#[expect(dead_code, reason = "held, not read")] OwnedSemaphorePermit),
    /// The trial is passed.
    Everyones,
}

impl Trial {
    pub(super) fn new() -> Self {
        Self {
            turn: Arc::new(Semaphore::new(1)),
        }
    }

    /// Waits for the request's turn, or for the end of the trial; `None` when neither came in time.
    pub(super) async fn turn(&self, until: Instant) -> Option<Turn> {
        let turn = Arc::clone(&self.turn).acquire_owned();
        match timeout_at(until.into(), turn).await {
            Ok(Ok(permit)) => Some(Turn::Its(permit)),
            Ok(Err(_closed)) => Some(Turn::Everyones),
            Err(_elapsed) => None,
        }
    }

    /// A request was answered: there is nothing left to try.
    pub(super) fn pass(&self) {
        self.turn.close();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_millis(20)
    }

    #[tokio::test]
    async fn one_tries_and_the_next_only_after_it() {
        let trial = Trial::new();
        let first = trial.turn(soon()).await;
        assert!(matches!(first, Some(Turn::Its(_))));
        assert!(trial.turn(soon()).await.is_none());
        drop(first);
        assert!(matches!(trial.turn(soon()).await, Some(Turn::Its(_))));
    }

    #[tokio::test]
    async fn who_waits_goes_in_with_everybody_once_it_is_passed() {
        let trial = Trial::new();
        let trying = trial.turn(soon()).await;
        let waiting = trial.turn(Instant::now() + Duration::from_secs(20));
        let (waited, ()) = tokio::join!(waiting, async { trial.pass() });
        assert!(matches!(waited, Some(Turn::Everyones)));
        assert!(matches!(trial.turn(soon()).await, Some(Turn::Everyones)));
        drop(trying);
    }
}
