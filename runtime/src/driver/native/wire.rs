//! gRPC calls over the one HTTP/2 connection to a process.
//!
//! tonic's own channel would put a queue, a reconnecting task and a timer of its own between a call and the connection,
//! and hyper's client another queue and the connection's task. None of them has a place here: there is no second
//! connection, since what would answer on it is unknown, every call has its caller's deadline, and a caller can write to
//! the connection itself. What is left costs a call no more than its own bytes, and says whether a request ever left.

mod background;
mod body;
mod driver;
mod exchange;
mod held;
mod seat;
mod seats;
mod turn;
mod upload;

use std::sync::Arc;
use std::task::{Context, Poll, ready};

use palisade_protocol::joined::Joined;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::PollSemaphore;
use tonic::Status;
use tonic::body::Body as RequestBody;
use tonic::transport::Uri;
use tower::Service;

use background::Background;
use body::Body;
use driver::Driver;
use exchange::Exchange;
use turn::Line;

/// HTTP/2 windows of a connection between two processes of one machine: a body of some size does not wait for updates.
pub(super) const WINDOW_BYTES: u32 = 1 << 20;

/// The most that the names and values of a message's headers may have, in bytes.
pub(super) const HEADERS_BYTES_MAX: u32 = 16 << 10;

/// Streams that are opened before the peer has said how many it admits.
const UNANNOUNCED_STREAMS_MAX: usize = 100;

/// Requests that may wait for the peer to admit their streams, which it may never do.
const QUEUE_MAX: usize = 256;

/// A client's end of the connection. The connection ends with the last clone, once the calls under way are done.
pub(super) struct Wire {
    hold: Arc<Hold>,
    places: PollSemaphore,
    place: Option<OwnedSemaphorePermit>,
}

impl Clone for Wire {
    fn clone(&self) -> Self {
        Self {
            hold: Arc::clone(&self.hold),
            places: self.places.clone(),
            place: None,
        }
    }
}

/// What keeps the connection open: the last one closes it.
struct Hold {
    driver: Arc<Driver>,
}

impl Hold {
    fn driver(&self) -> &Arc<Driver> {
        &self.driver
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.driver.release();
    }
}

impl Wire {
    /// HTTP/2 over a stream that is connected already.
    pub(super) async fn open(
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ) -> Result<Self, h2::Error> {
        let (wire, background) = Self::connect(stream).await?;
        // How the connection ends is told to each call on it.
        tokio::spawn(background);
        Ok(wire)
    }

    async fn connect(
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ) -> Result<(Self, Background), h2::Error> {
        let (sender, connection) = h2::client::Builder::new()
            .initial_window_size(WINDOW_BYTES)
            .initial_connection_window_size(WINDOW_BYTES)
            .initial_max_send_streams(UNANNOUNCED_STREAMS_MAX)
            .max_header_list_size(HEADERS_BYTES_MAX)
            .enable_push(false)
            .handshake(Joined(stream))
            .await?;
        let places = Arc::new(Semaphore::new(QUEUE_MAX));
        let line = Line::new(Box::pin(connection), sender);
        let driver = Driver::new(line, Arc::clone(&places));
        let wire = Self {
            hold: Arc::new(Hold {
                driver: Arc::clone(&driver),
            }),
            places: PollSemaphore::new(places),
            place: None,
        };
        Ok((wire, Background::new(driver)))
    }

    /// Whether the connection is gone.
    pub(super) fn has_ended(&self) -> bool {
        self.hold.driver().has_ended()
    }

    /// The authority that calls name: any will do on a connection that has one server.
    pub(super) fn origin() -> Uri {
        Uri::from_static("http://localhost")
    }
}

impl Service<http::Request<RequestBody>> for Wire {
    type Response = http::Response<Body>;
    type Error = WireError;
    type Future = Exchange;

    /// Waits for a place. That the connection is gone is said by the call: what is said here reaches nobody as a cause.
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        if self.place.is_none() {
            self.place = ready!(self.places.poll_acquire(context));
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<RequestBody>) -> Self::Future {
        Exchange::new(Arc::clone(&self.hold), request, self.place.take())
    }
}

/// What became of a call without an answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum WireError {
    /// The connection was gone before the request could leave.
    #[error("the connection to the process is gone")]
    NeverSent,
    /// The request may have arrived. The status has the kind of the failure, and h2's error behind it.
    #[error("{0}")]
    Broken(#[source] Status),
}

impl WireError {
    fn broken(fault: h2::Error) -> Self {
        Self::Broken(Status::from_error(Box::new(fault)))
    }

    /// This side did not finish its request.
    fn unfinished() -> Self {
        Self::broken(h2::Reason::CANCEL.into())
    }
}

#[cfg(test)]
mod tests;
