//! The body of a request: what there is of it at once, and a task for what comes later.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use h2::{Reason, SendStream};
use http_body::Body as _;
use tonic::Status;
use tonic::body::Body;

use super::WireError;
use super::held::Held;

/// A body before it is sent. The one message of a plain call is all of it, and there is no more.
pub(super) struct Upload {
    pub(super) first: Bytes,
    pub(super) more: Option<More>,
}

/// What is left of a body: a piece that came early, and those that will come.
pub(super) struct More {
    next: Option<Bytes>,
    body: Body,
}

impl Upload {
    /// Takes what is there. What is not will be polled by somebody else.
    pub(super) fn of(mut body: Body, context: &mut Context<'_>) -> Result<Self, Status> {
        let (mut first, mut next) = (Bytes::new(), None);
        let mut ended = false;
        if let Poll::Ready(piece) = poll_piece(&mut body, context) {
            first = piece.transpose()?.unwrap_or_default();
            ended = first.is_empty();
        }
        if !first.is_empty()
            && let Poll::Ready(piece) = poll_piece(&mut body, context)
        {
            next = piece.transpose()?;
            ended = next.is_none();
        }
        let more = (!ended).then_some(More { next, body });
        Ok(Self { first, more })
    }
}

impl More {
    /// Sends the rest as the peer takes it.
    pub(super) async fn send(mut self, mut stream: Held<SendStream<Bytes>>) {
        if self.send_all(&mut stream).await.is_err()
            && let Ok(stream) = stream.get()
        {
            stream.send_reset(Reason::CANCEL);
        }
    }

    async fn send_all(&mut self, stream: &mut Held<SendStream<Bytes>>) -> Result<(), WireError> {
        while let Some(piece) = self.next_piece().await? {
            room(stream).await?;
            stream
                .get()?
                .send_data(piece, false)
                .map_err(WireError::broken)?;
        }
        stream
            .get()?
            .send_data(Bytes::new(), true)
            .map_err(WireError::broken)
    }

    async fn next_piece(&mut self) -> Result<Option<Bytes>, WireError> {
        if let Some(piece) = self.next.take() {
            return Ok(Some(piece));
        }
        let piece = std::future::poll_fn(|context| poll_piece(&mut self.body, context)).await;
        piece.transpose().map_err(|_| WireError::unfinished())
    }
}

/// Waits until everything before is sent and the peer takes more.
async fn room(stream: &mut Held<SendStream<Bytes>>) -> Result<(), WireError> {
    stream.get()?.reserve_capacity(1);
    while stream.get()?.capacity() == 0 {
        let capacity = std::future::poll_fn(|context| match stream.get() {
            Ok(stream) => stream
                .poll_capacity(context)
                .map(|known| known.map(|known| known.map_err(WireError::broken))),
            Err(fault) => Poll::Ready(Some(Err(fault))),
        });
        // Without any the stream is closed.
        capacity.await.ok_or_else(WireError::unfinished)??;
    }
    Ok(())
}

/// The next piece that is not empty; a call has no trailers to send.
fn poll_piece(body: &mut Body, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Status>>> {
    loop {
        let Poll::Ready(frame) = Pin::new(&mut *body).poll_frame(context) else {
            return Poll::Pending;
        };
        match frame.map(|frame| frame.map(http_body::Frame::into_data)) {
            Some(Ok(Ok(piece))) if !piece.is_empty() => return Poll::Ready(Some(Ok(piece))),
            Some(Ok(_)) => {}
            Some(Err(status)) => return Poll::Ready(Some(Err(status))),
            None => return Poll::Ready(None),
        }
    }
}
