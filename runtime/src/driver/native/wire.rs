//! gRPC calls over the one HTTP/2 connection to a process.
//!
//! tonic's own channel would put a queue, a reconnecting task and a timer of its own between a call and the connection.
//! None of them has a place here: there is no second connection, since what would answer on it is unknown, and every call
//! has its caller's deadline. What is left costs a call less, and says whether a request ever left.

use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_util::future::BoxFuture;
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use palisade_protocol::joined::Joined;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::PollSemaphore;
use tonic::body::Body;
use tonic::transport::Uri;
use tower::Service;

/// HTTP/2 windows of a connection between two processes of one machine: a body of some size does not wait for updates.
const WINDOW_BYTES: u32 = 1 << 20;

/// Requests that may wait for the peer to admit their streams: the queue beneath has no bound of its own, and a peer may
/// admit none.
const QUEUE_MAX: usize = 256;

/// A client's end of the connection. The connection ends with the last clone.
pub(super) struct Wire {
    sender: SendRequest<Body>,
    places: PollSemaphore,
    place: Option<OwnedSemaphorePermit>,
}

impl Clone for Wire {
    fn clone(&self) -> Self {
        Self {
            sender: self.sender.clone(),
            places: self.places.clone(),
            place: None,
        }
    }
}

/// A request's place in the queue. The connection drops it with the head of the request, once the stream is open.
#[derive(Clone)]
struct Place {
    _place: Arc<OwnedSemaphorePermit>,
}

impl Wire {
    /// HTTP/2 over a stream that is connected already.
    pub(super) async fn open(
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ) -> Result<Self, hyper::Error> {
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .initial_stream_window_size(WINDOW_BYTES)
            .initial_connection_window_size(WINDOW_BYTES)
            .handshake(Joined(TokioIo::new(stream)))
            .await?;
        // How it ends is told to each call on it.
        tokio::spawn(connection);
        Ok(Self {
            sender,
            places: PollSemaphore::new(Arc::new(Semaphore::new(QUEUE_MAX))),
            place: None,
        })
    }

    /// The authority that calls name: any will do on a connection that has one server.
    pub(super) fn origin() -> Uri {
        Uri::from_static("http://localhost")
    }
}

impl Service<hyper::Request<Body>> for Wire {
    type Response = hyper::Response<Incoming>;
    type Error = WireError;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    /// Waits for a place. That the connection is gone is said by the call: what is said here reaches nobody as a cause.
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        if self.place.is_none() && !self.sender.is_closed() {
            self.place = ready!(self.places.poll_acquire(context));
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: hyper::Request<Body>) -> Self::Future {
        if let Some(place) = self.place.take() {
            request.extensions_mut().insert(Place {
                _place: Arc::new(place),
            });
        }
        let answer = self.sender.try_send_request(request);
        Box::pin(async move {
            answer
                .await
                .map_err(|mut failure| match failure.take_message() {
                    Some(_request) => WireError::NeverSent,
                    None => WireError::Broken(failure.into_error()),
                })
        })
    }
}

/// What became of a call without an answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum WireError {
    /// The connection was gone before the request could leave.
    #[error("the connection to the process is gone")]
    NeverSent,
    /// The request may have arrived.
    #[error(transparent)]
    Broken(hyper::Error),
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use palisade_protocol::health::HealthCheckRequest;
    use palisade_protocol::health::health_client::HealthClient;
    use tonic::Status;

    use super::super::call::was_never_sent;
    use super::*;

    async fn ask(wire: &Wire) -> Status {
        let mut client = HealthClient::with_origin(wire.clone(), Wire::origin());
        let question = client.check(HealthCheckRequest::default());
        question.await.expect_err("nobody answers")
    }

    #[tokio::test]
    async fn what_is_asked_after_the_end_of_the_connection_has_never_left() {
        let (near, far) = tokio::io::duplex(1 << 16);
        let wire = Wire::open(near).await.unwrap();
        drop(far);
        let closed = async {
            while !wire.sender.is_closed() {
                tokio::task::yield_now().await;
            }
        };
        let limit = Duration::from_secs(10);
        tokio::time::timeout(limit, closed)
            .await
            .expect("the end is seen");
        assert!(was_never_sent(&ask(&wire).await));
    }

    #[tokio::test]
    async fn what_waits_for_a_peer_that_admits_nothing_is_bounded() {
        let (near, _far) = tokio::io::duplex(1 << 16);
        let wire = Wire::open(near).await.unwrap();
        // Until a peer says how many streams it admits, a hundred are taken as given.
        let queued: Vec<_> = (0..QUEUE_MAX + 200)
            .map(|_| {
                let wire = wire.clone();
                tokio::spawn(async move { ask(&wire).await })
            })
            .collect();
        // The connection takes some of them at first; then everything stands still.
        for _ in 0..10_000 {
            tokio::task::yield_now().await;
        }
        assert_eq!(wire.free_places(), 0);
        let mut next = wire.clone();
        let ready = std::future::poll_fn(|context| next.poll_ready(context));
        let waits = tokio::time::timeout(Duration::from_millis(50), ready).await;
        assert!(waits.is_err());
        queued.iter().for_each(tokio::task::JoinHandle::abort);
    }

    impl Wire {
        fn free_places(&self) -> usize {
            self.places.available_permits()
        }
    }
}
