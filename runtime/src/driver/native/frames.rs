//! What comes in on a stream of h2, in either direction.

use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::RecvStream;
use http_body::Frame;

/// The next piece of data, or the trailers, after which there is nothing.
pub(super) fn poll(
    stream: &mut RecvStream,
    context: &mut Context<'_>,
) -> Poll<Result<Option<Frame<Bytes>>, h2::Error>> {
    match ready!(stream.poll_data(context)) {
        Some(data) => {
            let data = data?;
            // The peer may send as much again; that it was taken cannot fail.
            let _ = stream.flow_control().release_capacity(data.len());
            Poll::Ready(Ok(Some(Frame::data(data))))
        }
        None => {
            let trailers = ready!(stream.poll_trailers(context))?;
            Poll::Ready(Ok(trailers.map(Frame::trailers)))
        }
    }
}
