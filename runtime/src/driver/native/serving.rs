//! Serves an instance's services on one connection of its plugin.
//!
//! tonic's own server would start a task for each call, route it, and wake the connection's task once it is answered. A
//! plugin calls several times for each request that it handles, and mostly there is an answer at once: here a call is
//! first polled by the connection's task itself, in the turn in which it came, so that what came together is answered
//! together, with one write.

use std::future::poll_fn;
use std::io;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::stream::{FuturesUnordered, Stream};
use h2::server::{Builder, SendResponse};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};
use palisade_protocol::joined::Joined;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::error::Elapsed;
use tokio::time::{Sleep, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tonic::Status;

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
    let mut connection = timeout(patience.begin, handshake).await??;
    let mut stopped = pin!(stop.cancelled());
    let mut end: Option<Pin<Box<Sleep>>> = None;
    let mut calls = FuturesUnordered::new();
    poll_fn(|context| {
        if end.is_none() && stopped.as_mut().poll(context).is_ready() {
            connection.graceful_shutdown();
            end = Some(Box::pin(sleep(patience.stop)));
        }
        if let Some(end) = &mut end
            && end.as_mut().poll(context).is_ready()
        {
            return Poll::Ready(Ok(()));
        }
        loop {
            // Sends what is answered, and takes what has come.
            while let Poll::Ready(next) = connection.poll_accept(context) {
                let Some(call) = next else {
                    return Poll::Ready(Ok(()));
                };
                let (request, respond) = call?;
                calls.push(attend(services.call(request), respond));
            }
            if !any_ends(Pin::new(&mut calls), context) {
                return Poll::Pending;
            }
        }
    })
    .await
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

/// Polls the calls that can go on, and says whether any has been answered by that.
fn any_ends(mut calls: Pin<&mut impl Stream>, context: &mut Context<'_>) -> bool {
    let mut any = false;
    while let Poll::Ready(Some(_)) = calls.as_mut().poll_next(context) {
        any = true;
    }
    any
}

/// One call, until h2 has its answer or the plugin does not want it any more. A panic in it is its own.
async fn attend(call: Call, mut respond: SendResponse<Bytes>) {
    let mut call = pin!(AssertUnwindSafe(call).catch_unwind());
    let answered = poll_fn(|context| match call.as_mut().poll(context) {
        Poll::Ready(answer) => Poll::Ready(Some(answer.unwrap_or_else(|_| Err(panicked())))),
        Poll::Pending => respond.poll_reset(context).map(|_| None),
    });
    if let Some(answer) = answered.await {
        // What cannot be sent has nobody who waits for it.
        let _ = send(answer, respond);
    }
}

fn panicked() -> Status {
    Status::internal("the host failed at this call")
}

/// Hands an answer to h2: its message is in memory already, so h2 may have all of it before the plugin takes it.
fn send(answer: Outcome, mut respond: SendResponse<Bytes>) -> Result<(), h2::Error> {
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
