//! How messages become bytes and back: prost's way, in buffers of the size that messages have.
//!
//! tonic begins each message in eight kibibytes, twice for each call on each side. What plugins and their host say to each
//! other has some hundred bytes, and a buffer that small is had from the allocator's fast path. A larger message gets a
//! larger buffer as it comes.

use std::marker::PhantomData;

use prost::Message;
use tonic::codec::{self, BufferSettings};
use tonic_prost::{ProstCodec, ProstDecoder, ProstEncoder};

/// The size in which a message begins, in bytes.
const BUFFER_BYTES: usize = 512;

/// How much of a stream of messages is gathered before it is sent, in bytes; tonic's own measure.
const YIELD_BYTES: usize = 32 << 10;

/// Encodes `T` and decodes `U`.
pub struct Codec<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for Codec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> codec::Codec for Codec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = ProstDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstCodec::<T, U>::raw_encoder(settings())
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProstCodec::<T, U>::raw_decoder(settings())
    }
}

fn settings() -> BufferSettings {
    BufferSettings::new(BUFFER_BYTES, YIELD_BYTES)
}
