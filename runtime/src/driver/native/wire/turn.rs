//! One turn at the connection: what is queued is sent, what has come is taken.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use h2::client::SendRequest;
use tokio::sync::OwnedSemaphorePermit;

use super::driver::Driver;
use crate::driver::native::bell::ROUNDS_MAX;

/// What drives h2 on, and ends with the connection.
pub(super) type Connection = Pin<Box<dyn Future<Output = Result<(), h2::Error>> + Send>>;

/// The connection, and h2's end for requests.
pub(super) struct Line {
    connection: Connection,
    sender: Option<SendRequest<Bytes>>,
    /// The place of the one request that h2 has and for which the peer admits no stream yet.
    opening: Option<OwnedSemaphorePermit>,
}

impl Line {
    pub(super) fn new(connection: Connection, sender: SendRequest<Bytes>) -> Self {
        Self {
            connection,
            sender: Some(sender),
            opening: None,
        }
    }

    pub(super) fn take_sender(&mut self) -> Option<SendRequest<Bytes>> {
        self.sender.take()
    }

    /// Whether h2 takes a request: it has none that waits for a stream.
    fn poll_sender(&mut self, context: &mut Context<'_>) -> Poll<Option<&mut SendRequest<Bytes>>> {
        let Some(sender) = &mut self.sender else {
            return Poll::Ready(None);
        };
        let Poll::Ready(outcome) = sender.poll_ready(context) else {
            return Poll::Pending;
        };
        self.opening = None;
        Poll::Ready(outcome.is_ok().then_some(sender))
    }
}

/// The connection in the hands of one. Dropping it gives it back.
pub(super) struct Turn<'a> {
    driver: &'a Arc<Driver>,
    /// Not here when it has ended, or a poll of it panicked.
    line: Option<Line>,
    orderly: bool,
}

impl<'a> Turn<'a> {
    pub(super) fn new(driver: &'a Arc<Driver>, line: Line) -> Self {
        Self {
            driver,
            line: Some(line),
            orderly: false,
        }
    }

    /// Sends what is queued and takes what has come.
    pub(super) fn drive(mut self) {
        let waker = Waker::from(Arc::clone(self.driver));
        let mut context = Context::from_waker(&waker);
        for _ in 0..ROUNDS_MAX {
            if !self.go_round(&mut context) {
                return;
            }
        }
    }

    /// One round; whether there is more to do.
    fn go_round(&mut self, context: &mut Context<'_>) -> bool {
        // A panic in here drops the connection, and whoever gives it back finds it missing.
        let Some(mut line) = self.line.take() else {
            return false;
        };
        self.driver.calm();
        self.admit(&mut line, context);
        if line.connection.as_mut().poll(context).is_ready() {
            self.orderly = true;
            return false;
        }
        if line.opening.is_some() && line.poll_sender(context).is_ready() {
            // There is a stream for the next one.
            self.driver.stir();
        }
        self.line = Some(line);
        self.driver.is_stirred()
    }

    /// Gives h2 what is queued, as long as it takes it.
    fn admit(&self, line: &mut Line, context: &mut Context<'_>) {
        while let Poll::Ready(sender) = line.poll_sender(context) {
            let Some(queued) = self.driver.next_queued() else {
                return;
            };
            // Without a sender it is dropped, which says that it never left.
            if let Some(sender) = sender
                && let Some(place) = queued.send(sender)
            {
                line.opening = Some(place);
            }
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        match self.line.take() {
            Some(line) => self.driver.give_back(line),
            None => self.driver.end(self.orderly),
        }
    }
}
