//! A stream on which the pings that measure it are answered late.
//!
//! gRPC's library in Go measures each connection to choose its windows: when data comes and no ping of that kind is under
//! way, it sends one, and counts what comes until the answer. Between two processes that send each other one small message
//! at a time this is a ping to read and an answer to write for each message, and both processes are woken once more.
//! HTTP/2 wants every ping answered and does not say when. Here one that measures is handed on with the first data that
//! comes a tenth of a second later, so that there are ten of them a second at most; the windows still grow.
//!
//! Who reads frames anyway also sees a flood of those that carry nothing of a call, which the library would read for ever:
//! the stream ends with an error.
//!
//! Sources: `internal/transport/bdp_estimator.go` of grpc-go; RFC 9113, sections 3.4, 4.1, 6.7 and 6.10.

use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite, ReadBuf};

/// How long a ping that measures waits.
const PATIENCE: Duration = Duration::from_millis(100);

/// The length of a frame's head, in bytes.
const HEAD_BYTES: usize = 9;

/// The length of a ping, in bytes.
const PING_BYTES: usize = HEAD_BYTES + 8;

/// A ping that measures: eight bytes of payload, type 6, no flags, stream 0, and what grpc-go knows it by.
const MEASURING: [u8; PING_BYTES] = [0, 0, 8, 6, 0, 0, 0, 0, 0, 2, 4, 16, 16, 9, 14, 7, 7];

/// The frames with headers, and their flag for the end of a block.
const HEADERS: u8 = 1;
const PUSH_PROMISE: u8 = 5;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 4;

/// The frame with a part of a message.
const DATA: u8 = 0;

/// How many frames that carry nothing of a call may come in a second, and again in the next. Windows are the most frequent
/// of them, and a peer that moves some hundred megabytes a second changes them less often.
const POINTLESS_MAX: u32 = 50_000;

/// What a client's side begins with, in bytes.
const PREFACE_BYTES: usize = 24;

/// HTTP/2 from a peer that may measure.
pub struct LatePongs<S> {
    stream: S,
    frames: Frames,
}

impl<S> LatePongs<S> {
    /// The peer is the server: what it sends begins with a frame.
    pub fn of_server(stream: S) -> Self {
        Self::behind(0, stream)
    }

    /// The peer is the client: what it sends begins with its preface.
    pub fn of_client(stream: S) -> Self {
        Self::behind(PREFACE_BYTES, stream)
    }

    fn behind(passing: usize, stream: S) -> Self {
        let frames = Frames {
            passing,
            ..Frames::default()
        };
        Self { stream, frames }
    }
}

/// What is known of the frames, as they pass.
#[derive(Default)]
struct Frames {
    /// How many bytes are next that pass as they are.
    passing: usize,
    /// The beginning of the next frame, as much of it as has come: its head, and more if it may be such a ping.
    beginning: [u8; PING_BYTES],
    come: usize,
    /// What of the beginning may pass and has not yet.
    released: Range<usize>,
    /// Whether the frame that passed last left a block of headers open, which only its own continuation may follow.
    in_headers: bool,
    /// Since when a ping is held.
    held_since: Option<Instant>,
    /// How many frames without a part of a call have come since their number was last too large for one second, and when
    /// that was.
    pointless: u32,
    counted_since: Option<Instant>,
    /// Whether too many of them have come in a second.
    is_flood: bool,
}

impl Frames {
    /// Hands on what may pass of these bytes, as far as there is room. How many of them were taken.
    fn pass(&mut self, bytes: &[u8], room: &mut ReadBuf<'_>) -> usize {
        let mut left = bytes;
        loop {
            self.give_released(room);
            if left.is_empty() || room.remaining() == 0 {
                return bytes.len() - left.len();
            }
            let taken = match self.passing {
                0 => self.begin(left),
                _ => self.go_on(left, room),
            };
            left = &left[taken..];
        }
    }

    /// Takes bytes of the next frame's beginning; none where a ping that was held goes first.
    fn begin(&mut self, bytes: &[u8]) -> usize {
        if self.come == 0 && !self.in_headers && self.is_due() {
            self.held_since = None;
            self.beginning = MEASURING;
            self.come = PING_BYTES;
            self.release();
            return 0;
        }
        let wanted = match self.may_be_measuring() {
            true => PING_BYTES,
            false => HEAD_BYTES,
        };
        let taken = bytes.len().min(wanted - self.come);
        self.beginning[self.come..][..taken].copy_from_slice(&bytes[..taken]);
        self.come += taken;
        match self.come {
            HEAD_BYTES if !self.may_be_measuring() => {
                self.passing = self.payload_bytes();
                self.in_headers = self.opens_headers();
                self.count();
                self.release();
            }
            PING_BYTES if self.beginning == MEASURING && self.held_since.is_none() => {
                self.held_since = Some(Instant::now());
                self.come = 0;
            }
            PING_BYTES => {
                self.count();
                self.release();
            }
            _ => {}
        }
        taken
    }

    /// Counts a frame whose head is whole. The clock is looked at once for many.
    fn count(&mut self) {
        let [_, _, _, kind, ..] = self.beginning;
        if matches!(kind, DATA | HEADERS | CONTINUATION) {
            return;
        }
        self.pointless += 1;
        if self.pointless > POINTLESS_MAX {
            self.pointless = 0;
            let since = self.counted_since.replace(Instant::now());
            self.is_flood |= since.is_some_and(|since| since.elapsed() < Duration::from_secs(1));
        }
    }

    /// Hands on bytes that pass as they are.
    fn go_on(&mut self, bytes: &[u8], room: &mut ReadBuf<'_>) -> usize {
        let taken = bytes.len().min(self.passing).min(room.remaining());
        room.put_slice(&bytes[..taken]);
        self.passing -= taken;
        taken
    }

    fn give_released(&mut self, room: &mut ReadBuf<'_>) {
        if self.released.is_empty() {
            return;
        }
        let given = self.released.len().min(room.remaining());
        room.put_slice(&self.beginning[self.released.clone()][..given]);
        self.released.start += given;
        if self.released.is_empty() {
            self.come = 0;
        }
    }

    /// What has come of the beginning may pass.
    fn release(&mut self) {
        self.released = 0..self.come;
    }

    /// Whether a whole head is that of a ping which may be one that measures.
    fn may_be_measuring(&self) -> bool {
        self.come >= HEAD_BYTES && self.beginning[..HEAD_BYTES] == MEASURING[..HEAD_BYTES]
    }

    /// Whether a whole head is that of a frame with headers, and more of them are to come.
    fn opens_headers(&self) -> bool {
        let [_, _, _, kind, flags, ..] = self.beginning;
        matches!(kind, HEADERS | PUSH_PROMISE | CONTINUATION) && flags & END_HEADERS == 0
    }

    fn payload_bytes(&self) -> usize {
        let [high, middle, low, ..] = self.beginning.map(usize::from);
        high << 16 | middle << 8 | low
    }

    fn is_due(&self) -> bool {
        self.held_since
            .is_some_and(|since| since.elapsed() >= PATIENCE)
    }
}

fn flood() -> io::Error {
    io::Error::other(format!(
        "more than {POINTLESS_MAX} frames a second carry nothing of a call"
    ))
}

impl<S: AsyncBufRead + Unpin> AsyncRead for LatePongs<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { stream, frames } = &mut *self;
        let room = buffer.remaining();
        frames.give_released(buffer);
        // A read of nothing but a ping that is held says nothing yet.
        while buffer.remaining() == room && room > 0 {
            let bytes = ready!(Pin::new(&mut *stream).poll_fill_buf(context))?;
            if bytes.is_empty() {
                // The end, in the midst of a head perhaps.
                frames.release();
                frames.give_released(buffer);
                break;
            }
            let taken = frames.pass(bytes, buffer);
            Pin::new(&mut *stream).consume(taken);
            if frames.is_flood {
                return Poll::Ready(Err(flood()));
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for LatePongs<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A frame of any kind.
    fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
        let length = u8::try_from(payload.len()).expect("it is short");
        [&[0, 0, length, kind, 0, 0, 0, 0, 0], payload].concat()
    }

    /// What comes out of pieces, each taken through rooms of this size.
    fn passed(frames: &mut Frames, pieces: &[&[u8]], room: usize) -> Vec<u8> {
        let mut passed = Vec::new();
        for piece in pieces {
            let mut left = *piece;
            while !left.is_empty() || !frames.released.is_empty() {
                let mut space = vec![0; room];
                let mut space = ReadBuf::new(&mut space);
                left = &left[frames.pass(left, &mut space)..];
                passed.extend_from_slice(space.filled());
            }
        }
        passed
    }

    /// Whether so many frames of a kind, a second after the last that were counted or at once, are a flood.
    fn is_flood(kind: u8, times: u32, begun: Option<Duration>) -> bool {
        let mut frames = Frames {
            counted_since: begun.and_then(|ago| Instant::now().checked_sub(ago)),
            ..Frames::default()
        };
        let one = frame(kind, b"12345678");
        for _ in 0..times {
            passed(&mut frames, &[&one], 64);
        }
        frames.is_flood
    }

    #[test]
    fn frames_that_carry_nothing_of_a_call_are_a_flood_when_too_many_come_in_a_second() {
        let (now, long_ago) = (Some(Duration::ZERO), Some(Duration::from_secs(2)));
        // Resets, settings, pings, announcements of the end, windows, and what nobody knows.
        for kind in [3, 4, 6, 7, 8, 0xfa] {
            assert!(is_flood(kind, POINTLESS_MAX + 1, now), "{kind}");
            assert!(!is_flood(kind, POINTLESS_MAX, now), "{kind}");
            assert!(!is_flood(kind, POINTLESS_MAX + 1, long_ago), "{kind}");
            assert!(!is_flood(kind, POINTLESS_MAX + 1, None), "{kind}");
        }
        for kind in [DATA, HEADERS] {
            assert!(!is_flood(kind, 2 * POINTLESS_MAX, now), "{kind}");
        }
    }

    #[test]
    fn a_ping_that_measures_is_held_and_comes_later_before_a_frame() {
        let mut frames = Frames::default();
        let (one, other) = (frame(0, b"one"), frame(8, b"other"));
        let first = passed(&mut frames, &[&one, &MEASURING, &other], 64);
        assert_eq!(first, [one.clone(), other.clone()].concat());
        let since = frames.held_since.expect("it is held");
        frames.held_since = since.checked_sub(PATIENCE);
        let second = passed(&mut frames, &[&one, &other], 64);
        assert_eq!(second, [&MEASURING[..], &one, &other].concat());
        assert!(frames.held_since.is_none());
    }

    /// As if a ping had been held for long enough.
    fn holding() -> Frames {
        Frames {
            held_since: Instant::now().checked_sub(PATIENCE),
            ..Frames::default()
        }
    }

    #[test]
    fn a_ping_that_is_due_waits_for_the_end_of_headers() {
        let (headers, more) = (frame(HEADERS, b"half"), frame(CONTINUATION, b"more"));
        let mut last = frame(CONTINUATION, b"rest");
        last[4] = END_HEADERS;
        let data = frame(0, b"data");
        let mut frames = Frames::default();
        passed(&mut frames, &[&headers], 64);
        frames.held_since = holding().held_since;
        let passed = passed(&mut frames, &[&more, &last, &data], 64);
        assert_eq!(passed, [&more[..], &last, &MEASURING, &data].concat());
    }

    #[test]
    fn a_ping_that_is_due_passes_through_rooms_of_any_size() {
        let data = frame(0, b"data");
        for room in 1..30 {
            let passed = passed(&mut holding(), &[&data], room);
            assert_eq!(passed, [&MEASURING[..], &data].concat(), "{room}");
        }
    }

    #[test]
    fn other_pings_and_a_second_one_pass_at_once() {
        let mut frames = Frames::default();
        let keepalive = frame(6, &[0; 8]);
        let mut answer = MEASURING;
        answer[4] = 1;
        let pieces: &[&[u8]] = &[&keepalive, &answer, &MEASURING, &MEASURING];
        let passed = passed(&mut frames, pieces, 64);
        assert_eq!(passed, [&keepalive[..], &answer, &MEASURING].concat());
    }

    #[tokio::test]
    async fn the_preface_passes_and_so_does_what_ends_in_a_head() {
        use tokio::io::AsyncReadExt as _;
        let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
        let came = [&preface[..], &MEASURING, &frame(4, b""), &[0, 0, 8, 6, 0]].concat();
        let mut stream = LatePongs::of_client(&came[..]);
        let mut passed = Vec::new();
        stream.read_to_end(&mut passed).await.expect("it is there");
        let expected = [&preface[..], &frame(4, b""), &[0, 0, 8, 6, 0]].concat();
        assert_eq!(passed, expected);
    }

    proptest! {
        #[test]
        fn nothing_else_is_lost_however_it_comes(
            kinds in prop::collection::vec((0..10_u8, prop::collection::vec(any::<u8>(), 0..40)), 0..20),
            piece in 1..50_usize,
            room in 1..50_usize,
        ) {
            let whole: Vec<u8> = kinds.iter().flat_map(|(kind, payload)| frame(*kind, payload)).collect();
            let with_ping = [&MEASURING[..], &whole].concat();
            let pieces: Vec<&[u8]> = with_ping.chunks(piece).collect();
            prop_assert_eq!(passed(&mut Frames::default(), &pieces, room), whole);
        }
    }
}
