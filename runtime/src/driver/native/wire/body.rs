//! The body of an answer.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::RecvStream;
use http_body::Frame;

use super::WireError;
use super::held::Held;
use super::seat::Seat;
use super::seats::Role;
use crate::driver::native::frames;
use crate::driver::native::output::Task;

/// Data and trailers as they come. Dropping it before its end resets the stream.
pub(in crate::driver::native) struct Body {
    /// A body may take as long as its process lives, so nobody counts on its owner to drive.
    seat: Seat,
    /// Until the end.
    stream: Option<Held<RecvStream>>,
    _upload: Option<Task>,
}

impl Body {
    /// The body for whoever waited in `seat` for its head.
    pub(super) fn new(stream: Held<RecvStream>, upload: Option<Task>, seat: &Seat) -> Self {
        Self {
            seat: seat.another(Role::Onlooker),
            stream: Some(stream),
            _upload: upload,
        }
    }

    fn poll_stream(&mut self) -> Poll<Option<Result<Frame<Bytes>, WireError>>> {
        let Some(stream) = &mut self.stream else {
            return Poll::Ready(None);
        };
        let waker = self.seat.waker();
        let frame = ready!(poll_frame(stream, &mut Context::from_waker(&waker)));
        // Nothing comes after trailers.
        let is_last = !matches!(&frame, Ok(Some(frame)) if frame.is_data());
        if is_last {
            self.seat.settle(self.stream.take());
        }
        Poll::Ready(frame.transpose())
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = WireError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, WireError>>> {
        let this = &mut *self;
        // Mostly it has come with the head. Otherwise this look counts for nothing: the one after the drive does.
        if let Poll::Ready(frame) = this.poll_stream() {
            return Poll::Ready(frame);
        }
        this.seat.drive(context.waker());
        this.poll_stream()
    }

    fn is_end_stream(&self) -> bool {
        self.stream.is_none()
    }
}

fn poll_frame(
    stream: &mut Held<RecvStream>,
    context: &mut Context<'_>,
) -> Poll<Result<Option<Frame<Bytes>>, WireError>> {
    frames::poll(stream.get()?, context).map_err(WireError::broken)
}
