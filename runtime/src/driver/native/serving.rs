//! Serves an instance's services on one connection of its plugin.
//!
//! tonic's own server would start a task for each call, route it, and wake the connection's task once it is answered. A
//! plugin calls several times for each request that it handles, and mostly there is an answer at once: here a call is
//! first polled by the connection's task itself, in the turn in which it came, so that what came together is answered
//! together, with one write.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::stream::{FuturesUnordered, Stream};
use h2::server::{Builder, SendResponse};
use h2::{Reason, RecvStream};
use http_body::{Body as _, Frame};
use palisade_protocol::joined::Joined;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;
use tonic::body::Body;

use super::frames;
use super::services::{Answer, Services};
use super::wire::{HEADERS_BYTES_MAX, WINDOW_BYTES};

/// Calls into the host that one connection may have under way.
const CALLS_MAX: u32 = 64;

/// Answers the calls of a connection until it ends, or the calls under way are answered once it is to stop.
pub(super) async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    services: Services,
    stop: CancellationToken,
) -> Result<(), h2::Error> {
    let mut connection = Builder::new()
        .initial_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .max_concurrent_streams(CALLS_MAX)
        .max_header_list_size(HEADERS_BYTES_MAX)
        .handshake(Joined(stream))
        .await?;
    let mut stopped = pin!(stop.cancelled().fuse());
    let mut calls = FuturesUnordered::new();
    poll_fn(|context| {
        if stopped.as_mut().poll(context).is_ready() {
            connection.graceful_shutdown();
        }
        loop {
            // Sends what is answered, and takes what has come.
            while let Poll::Ready(next) = connection.poll_accept(context) {
                let Some(call) = next else {
                    return Poll::Ready(Ok(()));
                };
                let (request, respond) = call?;
                let answer = services.call(request.map(Question));
                calls.push(attend(answer, respond));
            }
            if !any_ends(Pin::new(&mut calls), context) {
                return Poll::Pending;
            }
        }
    })
    .await
}

/// Polls the calls that can go on, and says whether any has been answered by that.
fn any_ends(mut calls: Pin<&mut impl Stream>, context: &mut Context<'_>) -> bool {
    let mut any = false;
    while let Poll::Ready(Some(_)) = calls.as_mut().poll_next(context) {
        any = true;
    }
    any
}

/// One call, until h2 has its answer or the plugin does not want it any more.
async fn attend(mut answer: Answer, mut respond: SendResponse<Bytes>) {
    let answered = poll_fn(|context| match answer.as_mut().poll(context) {
        Poll::Ready(Ok(answer)) => Poll::Ready(Some(answer)),
        Poll::Pending => respond.poll_reset(context).map(|_| None),
    });
    if let Some(answer) = answered.await {
        // What cannot be sent has nobody who waits for it.
        let _ = send(answer, respond).await;
    }
}

/// Hands an answer to h2: its one message is in memory already, so h2 may have all of it before the plugin takes it.
async fn send(
    answer: http::Response<Body>,
    mut respond: SendResponse<Bytes>,
) -> Result<(), h2::Error> {
    let (head, mut body) = answer.into_parts();
    let is_all = body.is_end_stream();
    let mut stream = respond.send_response(http::Response::from_parts(head, ()), is_all)?;
    if is_all {
        return Ok(());
    }
    while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        match frame.map(Frame::into_data) {
            Ok(Ok(data)) => stream.send_data(data, false)?,
            Ok(Err(frame)) => {
                return stream.send_trailers(frame.into_trailers().unwrap_or_default());
            }
            Err(_) => {
                stream.send_reset(Reason::INTERNAL_ERROR);
                return Ok(());
            }
        }
    }
    stream.send_data(Bytes::new(), true)
}

/// The body of a call.
pub(super) struct Question(RecvStream);

impl http_body::Body for Question {
    type Data = Bytes;
    type Error = h2::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        let frame = ready!(frames::poll(&mut self.0, context));
        Poll::Ready(frame.transpose())
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }
}
