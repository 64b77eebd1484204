//! A plain gRPC call as its service sees it: a message in, and a message or a status out.
//!
//! Source: gRPC's `PROTOCOL-HTTP2.md`. A message goes behind a byte for compression, which nobody asked for here, and four
//! for its length.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use h2::RecvStream;
use prost::Message;
use tonic::metadata::MetadataMap;
use tonic::{Extensions, Request, Status};

use super::InstanceServices;
use crate::driver::native::frames;

/// The largest message that a plugin may send to the host, in bytes: a stored value of the largest size and more, so
/// that one which is too large is refused by storage, with its words.
const MESSAGE_BYTES_MAX: usize = 72 << 20;

/// What goes before a message, in bytes.
const PREFIX_BYTES: usize = 5;

/// What a call is answered.
pub(in crate::driver::native) type Answer = Result<Bytes, Status>;

/// A call under way.
pub(in crate::driver::native) type Call = futures_util::future::BoxFuture<'static, Answer>;

/// A call as it came in.
pub(super) type Incoming = http::Request<RecvStream>;

/// Takes a call's message, has it answered, and makes bytes of that.
pub(super) fn unary<A, R, F>(
    services: &InstanceServices,
    incoming: Incoming,
    answer: impl FnOnce(InstanceServices, Request<A>) -> F + Send + 'static,
) -> Call
where
    A: Message + Default,
    R: Message,
    F: Future<Output = Result<tonic::Response<R>, Status>> + Send,
{
    let services = services.clone();
    Box::pin(async move {
        let (head, body) = incoming.into_parts();
        let message = A::decode(receive(body).await?)
            .map_err(|fault| Status::internal(format!("the message is malformed: {fault}")))?;
        let metadata = MetadataMap::from_headers(head.headers);
        let request = Request::from_parts(metadata, Extensions::default(), message);
        let reply = answer(services, request).await?;
        framed(reply.get_ref())
    })
}

/// The one message of a body, without its prefix. What comes after it is of no interest.
async fn receive(mut body: RecvStream) -> Result<Bytes, Status> {
    let mut whole = Whole::default();
    loop {
        if let Some(message) = whole.message()? {
            return Ok(message);
        }
        let frame = std::future::poll_fn(|context| frames::poll(&mut body, context)).await;
        let frame = frame.map_err(|fault| Status::from_error(Box::new(fault)))?;
        let data = frame.and_then(|frame| frame.into_data().ok());
        whole.add(data.ok_or_else(|| Status::internal("the call has no whole message"))?);
    }
}

/// A message as far as it has come.
#[derive(Default)]
struct Whole {
    /// The first piece, which mostly is all.
    first: Bytes,
    /// That and what came after it.
    joined: BytesMut,
}

impl Whole {
    fn add(&mut self, data: Bytes) {
        if self.first.is_empty() && self.joined.is_empty() {
            self.first = data;
            return;
        }
        if self.joined.is_empty() {
            self.joined
                .extend_from_slice(&std::mem::take(&mut self.first));
        }
        self.joined.extend_from_slice(&data);
    }

    /// The message, if all of it is here.
    fn message(&mut self) -> Result<Option<Bytes>, Status> {
        let come: &[u8] = match self.joined.is_empty() {
            true => &self.first,
            false => &self.joined,
        };
        let Some((prefix, message)) = come.split_at_checked(PREFIX_BYTES) else {
            return Ok(None);
        };
        let length = length_of(prefix)?;
        if message.len() < length {
            return Ok(None);
        }
        let mut whole = match self.joined.is_empty() {
            true => std::mem::take(&mut self.first),
            false => std::mem::take(&mut self.joined).freeze(),
        };
        whole.advance(PREFIX_BYTES);
        whole.truncate(length);
        Ok(Some(whole))
    }
}

fn length_of(mut prefix: &[u8]) -> Result<usize, Status> {
    if prefix.get_u8() != 0 {
        return Err(Status::unimplemented(
            "the message is compressed, which was not asked for",
        ));
    }
    let length = prefix.get_u32() as usize;
    if length > MESSAGE_BYTES_MAX {
        return Err(Status::out_of_range(format!(
            "the message has {length} bytes, and the limit is {MESSAGE_BYTES_MAX}"
        )));
    }
    Ok(length)
}

/// A message behind its prefix.
fn framed(message: &impl Message) -> Answer {
    let length = message.encoded_len();
    let known = u32::try_from(length).ok();
    let fits = known.filter(|_| length <= palisade_protocol::MESSAGE_BYTES_MAX);
    let Some(prefix) = fits else {
        return Err(Status::out_of_range(format!(
            "the answer has {length} bytes, and the limit is {}",
            palisade_protocol::MESSAGE_BYTES_MAX
        )));
    };
    let mut framed = Vec::with_capacity(PREFIX_BYTES + length);
    framed.put_u8(0);
    framed.put_u32(prefix);
    message
        .encode(&mut framed)
        .map_err(|fault| Status::internal(fault.to_string()))?;
    Ok(framed.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(of: &[&[u8]]) -> Result<Option<Bytes>, Status> {
        let mut whole = Whole::default();
        for piece in of {
            assert_eq!(whole.message()?, None);
            whole.add(Bytes::copy_from_slice(piece));
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
