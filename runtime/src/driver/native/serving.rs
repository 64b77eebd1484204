//! Serves an instance's services on one connection of its plugin.
//!
//! tonic's own server would start a task for each call, route it, and wake the connection's task once it is answered. A
//! plugin calls several times for each request that it handles, and mostly there is an answer at once: here a call is
//! first polled by the connection's task itself, in the turn in which it came, so that what came together is answered
//! together, with one write.

use std::future::poll_fn;
use std::io;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::CatchUnwind;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use h2::server::{Builder, Connection, SendResponse};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};
use palisade_protocol::joined::Joined;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::error::Elapsed;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::bell::{Bell, ROUNDS_MAX};
use super::services::{Call, Outcome, Services};
use super::wire::{HEADERS_BYTES_MAX, WINDOW_BYTES};

/// Calls into the host that one connection may have under way.
const CALLS_MAX: u32 = 64;

/// How long a connection is waited for.
#[derive(Clone, Copy)]
pub(super) struct Patience {
    /// Until it has begun.
    begin: Duration,
    /// Until the calls under way are answered, once it is to stop.
    stop: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            begin: Duration::from_secs(10),
            stop: Duration::from_secs(5),
        }
    }
}

/// Answers the calls of a connection until it ends, or is to stop.
pub(super) async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    services: Services,
    stop: CancellationToken,
    patience: Patience,
) -> Result<(), ServeError> {
    let handshake = Builder::new()
        .initial_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .max_concurrent_streams(CALLS_MAX)
        .max_header_list_size(HEADERS_BYTES_MAX)
        .handshake(Joined(stream));
    let mut serving = Serving {
        connection: timeout(patience.begin, handshake).await??,
        services,
        calls: FuturesUnordered::new(),
        bell: Arc::default(),
    };
    tokio::select! {
        biased;
        ended = serving.ended() => return ended,
        () = stop.cancelled() => serving.connection.graceful_shutdown(),
    }
    let ended = timeout(patience.stop, serving.ended()).await;
    ended.unwrap_or(Ok(()))
}

/// Why a connection is served no longer.
#[derive(Debug, thiserror::Error)]
pub(super) enum ServeError {
    #[error("it did not begin in time")]
    Slow(#[from] Elapsed),
    #[error("its stream failed: {0}")]
    Stream(#[from] io::Error),
    #[error("HTTP/2 failed: {0}")]
    Http2(#[from] h2::Error),
}

/// A connection and the calls on it.
struct Serving<S> {
    connection: Connection<S, Bytes>,
    services: Services,
    calls: FuturesUnordered<Answering>,
    bell: Arc<Bell>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Serving<S> {
    async fn ended(&mut self) -> Result<(), ServeError> {
        poll_fn(|context| self.poll_turn(context.waker())).await
    }

    /// Goes on as long as anything happens, but not for ever: others want this thread too.
    fn poll_turn(&mut self, task: &Waker) -> Poll<Result<(), ServeError>> {
        let waker = self.bell.waker();
        for _ in 0..ROUNDS_MAX {
            self.bell.begin(task);
            let ended = self.poll_round(&mut Context::from_waker(&waker));
            let more_to_do = self.bell.end();
            if ended.is_ready() || !more_to_do {
                return ended;
            }
        }
        task.wake_by_ref();
        Poll::Pending
    }

    /// Sends what is answered, takes what has come, and answers what it can.
    fn poll_round(&mut self, context: &mut Context<'_>) -> Poll<Result<(), ServeError>> {
        while let Poll::Ready(next) = self.connection.poll_accept(context) {
            let Some(call) = next else {
                return Poll::Ready(Ok(()));
            };
            let (request, respond) = call?;
            let call = self.services.call(request);
            self.calls.push(Answering::new(call, respond));
        }
        while let Poll::Ready(Some(())) = self.calls.poll_next_unpin(context) {}
        Poll::Pending
    }
}

/// One call, until h2 has its answer or the plugin does not want it any more. A panic in it is its own.
struct Answering {
    call: CatchUnwind<AssertUnwindSafe<Call>>,
    respond: SendResponse<Bytes>,
}

impl Answering {
    fn new(call: Call, respond: SendResponse<Bytes>) -> Self {
        Self {
            call: AssertUnwindSafe(call).catch_unwind(),
            respond,
        }
    }
}

impl Future for Answering {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        match this.call.poll_unpin(context) {
            Poll::Ready(answer) => {
                let answer = answer.unwrap_or_else(|_| Err(panicked()));
                // What cannot be sent has nobody who waits for it.
                let _ = send(answer, &mut this.respond);
                Poll::Ready(())
            }
            Poll::Pending => this.respond.poll_reset(context).map(drop),
        }
    }
}

fn panicked() -> Status {
    Status::internal("the host failed at this call")
}

/// Hands an answer to h2: its message is in memory already, so h2 may have all of it before the plugin takes it.
fn send(answer: Outcome, respond: &mut SendResponse<Bytes>) -> Result<(), h2::Error> {
    match answer {
        Ok(message) => {
            let mut stream = respond.send_response(head(), false)?;
            stream.send_data(message, false)?;
            stream.send_trailers(succeeded())
        }
        Err(status) => respond.send_response(status.into_http(), true).map(drop),
    }
}

/// What goes before a message.
fn head() -> http::Response<()> {
    let mut head = http::Response::new(());
    let headers = head.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    head
}

/// What goes after it.
fn succeeded() -> HeaderMap {
    let mut trailers = HeaderMap::with_capacity(1);
    trailers.insert(Status::GRPC_STATUS, HeaderValue::from_static("0"));
    trailers
}

#[cfg(test)]
mod tests;
