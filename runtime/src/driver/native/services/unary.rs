//! A plain gRPC call as its service sees it: a message in, and a message or a status out.
//!
//! Source: gRPC's `PROTOCOL-HTTP2.md`. A message goes behind a byte for compression, which nobody asked for here, and four
//! for its length.

use std::future::poll_fn;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use futures_util::future::BoxFuture;
use h2::RecvStream;
use palisade_protocol::MESSAGE_BYTES_MAX;
use prost::Message;
use tonic::metadata::MetadataMap;
use tonic::{Extensions, Request, Response, Status};

use super::InstanceServices;
use super::uploads::Uploads;
use crate::driver::native::frames;

/// What goes before a message, in bytes.
const PREFIX_BYTES: usize = 5;

/// What a call is answered: a message behind its prefix, or why there is none.
pub(in crate::driver::native) type Outcome = Result<Bytes, Status>;

/// A call under way.
pub(in crate::driver::native) type Call = BoxFuture<'static, Outcome>;

/// A call as it came in.
pub(super) struct Incoming {
    pub(super) request: http::Request<RecvStream>,
    /// The most that its message may have, in bytes.
    pub(super) bytes_max: usize,
}

/// Takes a call's message, has it answered, and makes bytes of that.
pub(super) fn unary<A, R, F>(
    services: &InstanceServices,
    incoming: Incoming,
    answer: impl FnOnce(InstanceServices, Request<A>) -> F + Send + 'static,
) -> Call
where
    A: Message + Default,
    R: Message,
    F: Future<Output = Result<Response<R>, Status>> + Send,
{
    let services = services.clone();
    Box::pin(async move {
        let (head, body) = incoming.request.into_parts();
        let metadata = MetadataMap::from_headers(head.headers);
        let message = receive(body, incoming.bytes_max, services.uploads());
        let message = services.deadline(&metadata).wait_for(message).await;
        let message = message.ok_or_else(|| Status::deadline_exceeded(LATE))??;
        let message = A::decode(message)
            .map_err(|fault| Status::internal(format!("the message is malformed: {fault}")))?;
        let request = Request::from_parts(metadata, Extensions::default(), message);
        framed(answer(services, request).await?.get_ref())
    })
}

const LATE: &str = "the deadline passed before the whole message had come";

/// The one message of a body, without its prefix. What comes after it is of no interest.
async fn receive(
    mut body: RecvStream,
    bytes_max: usize,
    uploads: &Uploads,
) -> Result<Bytes, Status> {
    let mut whole = Whole::new(bytes_max);
    let mut room = None;
    let message = loop {
        if let Some(message) = whole.message()? {
            break message;
        }
        // All of it but its first piece is kept until the last has come.
        if room.is_none() && whole.expected > 0 {
            room = Some(uploads.make_room(whole.expected)?);
        }
        let data = next_piece(&mut body).await?;
        let data = data.ok_or_else(|| Status::internal("the call has no whole message"))?;
        whole.add(&data);
    };
    while !body.is_end_stream() && next_piece(&mut body).await?.is_some() {}
    Ok(message)
}

/// The next piece of data; none after the last.
async fn next_piece(body: &mut RecvStream) -> Result<Option<Bytes>, Status> {
    let frame = poll_fn(|context| frames::poll(body, context)).await;
    let frame = frame.map_err(|fault| Status::from_error(Box::new(fault)))?;
    Ok(frame.and_then(|frame| frame.into_data().ok()))
}

/// A message as far as it has come.
struct Whole {
    /// The most that it may have, in bytes.
    bytes_max: usize,
    /// How many bytes it has by its prefix, once that is here.
    expected: usize,
    come: BytesMut,
}

impl Whole {
    fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            expected: 0,
            come: BytesMut::new(),
        }
    }

    fn add(&mut self, data: &[u8]) {
        self.come.extend_from_slice(data);
    }

    /// The message, if all of it is here.
    fn message(&mut self) -> Result<Option<Bytes>, Status> {
        let Some((prefix, message)) = self.come.split_at_checked(PREFIX_BYTES) else {
            return Ok(None);
        };
        let length = length_of(prefix, self.bytes_max)?;
        if message.len() < length {
            self.expected = length;
            return Ok(None);
        }
        self.come.advance(PREFIX_BYTES);
        Ok(Some(self.come.split_to(length).freeze()))
    }
}

fn length_of(mut prefix: &[u8], bytes_max: usize) -> Result<usize, Status> {
    if prefix.get_u8() != 0 {
        return Err(Status::unimplemented(
            "the message is compressed, which was not asked for",
        ));
    }
    let length = prefix.get_u32() as usize;
    match length > bytes_max {
        true => Err(too_large("message", length, bytes_max)),
        false => Ok(length),
    }
}

/// A message behind its prefix.
fn framed(message: &impl Message) -> Outcome {
    let length = message.encoded_len();
    let known = u32::try_from(length).ok();
    let prefix = known
        .filter(|_| length <= MESSAGE_BYTES_MAX)
        .ok_or_else(|| too_large("answer", length, MESSAGE_BYTES_MAX))?;
    let mut framed = Vec::with_capacity(PREFIX_BYTES + length);
    framed.put_u8(0);
    framed.put_u32(prefix);
    message.encode_raw(&mut framed);
    Ok(framed.into())
}

fn too_large(what: &str, bytes: usize, limit: usize) -> Status {
    Status::out_of_range(format!(
        "the {what} has {bytes} bytes, and the limit is {limit}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(of: &[&[u8]]) -> Result<Option<Bytes>, Status> {
        let mut whole = Whole::new(72 << 20);
        for piece in of {
            assert_eq!(whole.message()?, None);
            whole.add(piece);
        }
        whole.message()
    }

    #[test]
    fn a_message_is_found_however_it_comes() {
        let whole: &[u8] = &[0, 0, 0, 0, 3, 7, 8, 9, 1, 1];
        for cut in 1..8 {
            let (one, other) = whole.split_at(cut);
            assert_eq!(
                pieces(&[one, other]).unwrap().unwrap(),
                [7, 8, 9][..],
                "{cut}"
            );
        }
        let bytes: Vec<&[u8]> = whole[..8].chunks(1).collect();
        assert_eq!(pieces(&bytes).unwrap().unwrap(), [7, 8, 9][..]);
        assert_eq!(pieces(&[&[0; 5]]).unwrap().unwrap(), [][..]);
        assert_eq!(pieces(&[&whole[..7]]).unwrap(), None);
    }

    #[test]
    fn a_message_that_is_compressed_or_too_large_is_refused_before_it_comes() {
        let compressed = pieces(&[&[1, 0, 0, 0, 1]]).unwrap_err();
        assert_eq!(compressed.code(), tonic::Code::Unimplemented);
        let large = pieces(&[&[0, 255, 0, 0, 0]]).unwrap_err();
        assert_eq!(large.code(), tonic::Code::OutOfRange);
        assert!(large.message().contains("4278190080"), "{large}");
        assert!(large.message().contains("75497472"), "{large}");
    }
}
