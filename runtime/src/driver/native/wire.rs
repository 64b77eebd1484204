//! gRPC calls over the one HTTP/2 connection to a process.
//!
//! tonic's own channel would put a queue, a reconnecting task and a timer of its own between a call and the connection.
//! None of them has a place here: there is no second connection, since what would answer on it is unknown, and every call
//! has its caller's deadline. What is left is a third faster, and says whether a request ever left.

use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use palisade_protocol::joined::Joined;
use tokio::net::UnixStream;
use tokio_rustls::client::TlsStream;
use tonic::body::Body;
use tonic::transport::Uri;
use tower::Service;

/// HTTP/2 windows of a connection between two processes of one machine: a body of some size does not wait for updates.
const WINDOW_BYTES: u32 = 1 << 20;

/// A client's end of the connection. The connection ends with the last clone.
#[derive(Clone)]
pub(super) struct Wire {
    sender: SendRequest<Body>,
}

impl Wire {
    /// HTTP/2 over a stream that is connected already.
    pub(super) async fn open(stream: TlsStream<UnixStream>) -> Result<Self, hyper::Error> {
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .initial_stream_window_size(WINDOW_BYTES)
            .initial_connection_window_size(WINDOW_BYTES)
            .handshake(Joined(TokioIo::new(stream)))
            .await?;
        // How it ends is told to each call on it.
        tokio::spawn(connection);
        Ok(Self { sender })
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

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.sender
            .poll_ready(context)
            .map_err(|_closed| WireError::NeverSent)
    }

    fn call(&mut self, request: hyper::Request<Body>) -> Self::Future {
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
