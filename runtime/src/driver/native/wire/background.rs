//! The connection's own task: drives it whenever no caller does, and takes over from callers that keep it waiting.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

use super::driver::Driver;

/// How long callers are counted on. A future that its owner does not poll holds up the connection for twice as long at
/// most, and never again.
const WATCH_INTERVAL: Duration = Duration::from_millis(10);

/// Done with the connection. Dropping it earlier, as a runtime does at its own end, ends the connection.
pub(super) struct Background {
    driver: Arc<Driver>,
    clock: Pin<Box<Sleep>>,
    /// The clock stands still while no caller comes.
    runs: bool,
}

impl Background {
    pub(super) fn new(driver: Arc<Driver>) -> Self {
        Self {
            driver,
            clock: Box::pin(sleep(WATCH_INTERVAL)),
            runs: false,
        }
    }
}

impl Future for Background {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        loop {
            let struck = this.runs && this.clock.as_mut().poll(context).is_ready();
            let Some(attendance) = this.driver.attend(context.waker(), struck) else {
                return Poll::Ready(());
            };
            if let Some(turn) = attendance.turn {
                turn.drive();
            }
            let starts = attendance.watched && (struck || !this.runs);
            this.runs = attendance.watched;
            if !starts {
                return Poll::Pending;
            }
            this.clock.as_mut().reset(Instant::now() + WATCH_INTERVAL);
        }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.driver.end(true);
    }
}
