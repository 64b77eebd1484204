//! A unix socket that wakes its owner when there is something to read, and not when the peer has read.
//!
//! The kernel reports a unix socket as writable each time its peer takes something out of it. Whoever listens for both
//! directions, as a runtime does for every socket, is woken once for each message that it sent, finds nothing to do, and goes
//! back to sleep; with two processes on few processors that is half of all changes between them. Here the system is asked
//! about writing only while a write is held up.
#![expect(
    unsafe_code,
    reason = "tokio cannot see that a descriptor stays the same for as long as it is watched"
)]

use std::io::{self, IoSlice, Read as _, Write as _};
use std::net::Shutdown;
use std::os::fd::{AsFd as _, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream as StdStream;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::UnixStream;
use tokio::task::coop;

/// The socket.
pub struct QuietStream {
    socket: AsyncFd<StdStream>,
    /// There while a write is held up: the same socket, to be told when there is room again.
    room: Option<AsyncFd<OwnedFd>>,
}

impl QuietStream {
    /// Takes over a connected socket, in the runtime that it is used in.
    ///
    /// # Errors
    ///
    /// When the system will not watch it.
    pub fn new(stream: UnixStream) -> io::Result<Self> {
        Ok(Self {
            socket: watch(stream.into_std()?, Interest::READABLE)?,
            room: None,
        })
    }

    /// Writes as often as it is told that there is room, until something was written.
    fn poll_with_room(
        &mut self,
        context: &mut Context<'_>,
        mut write: impl FnMut(&StdStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        // A write that there is room for asks nothing of the runtime, which would share out its turns by such questions.
        let turn = ready!(coop::poll_proceed(context));
        loop {
            match write(self.socket.get_ref()) {
                Err(fault) if fault.kind() == io::ErrorKind::WouldBlock => {}
                Err(fault) if fault.kind() == io::ErrorKind::Interrupted => continue,
                outcome => {
                    self.room = None;
                    turn.made_progress();
                    return Poll::Ready(outcome);
                }
            }
            ready!(self.poll_room(context))?;
        }
    }

    fn poll_room(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let room = match &mut self.room {
            Some(room) => room,
            none => {
                let same = self.socket.get_ref().as_fd().try_clone_to_owned()?;
                none.insert(watch(same, Interest::WRITABLE)?)
            }
        };
        ready!(room.poll_write_ready(context))?.clear_ready();
        Poll::Ready(Ok(()))
    }
}

fn watch<T: AsRawFd + From<OwnedFd>>(socket: T, interest: Interest) -> io::Result<AsyncFd<T>> {
    // SAFETY: an owner of a descriptor gives the same number for as long as it lives, and nothing here closes it earlier or
    // puts another in its place: no `&mut` to what is watched is handed out.
    let watched = unsafe { AsyncFd::register_with_interest(socket, interest) };
    watched.map_err(io::Error::from)
}

impl AsyncRead for QuietStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let mut ready = ready!(self.socket.poll_read_ready(context))?;
            let room = buffer.initialize_unfilled();
            let asked = room.len();
            match ready.try_io(|socket| socket.get_ref().read(room)) {
                Ok(Ok(read)) => {
                    // Less than there was room for is all that there was; it need not be asked again to be known.
                    if read > 0 && read < asked {
                        ready.clear_ready();
                    }
                    buffer.advance(read);
                    return Poll::Ready(Ok(()));
                }
                Ok(Err(fault)) if fault.kind() == io::ErrorKind::Interrupted => {}
                Ok(Err(fault)) => return Poll::Ready(Err(fault)),
                Err(_nothing_there) => {}
            }
        }
    }
}

impl AsyncWrite for QuietStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_with_room(context, |mut socket| socket.write(bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_with_room(context, |mut socket| socket.write_vectored(parts))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Nothing is kept here.
    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.socket.get_ref().shutdown(Shutdown::Write))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    fn pair() -> (QuietStream, QuietStream) {
        let (one, other) = UnixStream::pair().expect("sockets can be made");
        let quiet = |stream| QuietStream::new(stream).expect("it can be watched");
        (quiet(one), quiet(other))
    }

    #[tokio::test]
    async fn more_than_the_socket_holds_passes_while_the_peer_reads() {
        let (mut one, mut other) = pair();
        let sent: Vec<u8> = (0..8_u32 << 20).map(|byte| byte.to_le_bytes()[1]).collect();
        let expected = sent.clone();
        let sending = tokio::spawn(async move {
            one.write_all(&sent).await.expect("the peer reads");
            one.shutdown().await.expect("it is open");
            one
        });
        let mut received = Vec::new();
        other
            .read_to_end(&mut received)
            .await
            .expect("the peer writes");
        assert!(received == expected);
        let one = sending.await.expect("it is done");
        assert!(one.room.is_none(), "it is told of room no longer");
    }

    #[tokio::test]
    async fn a_write_that_is_held_up_is_told_when_there_is_room() {
        let (mut one, mut other) = pair();
        let held_up = async {
            loop {
                let write = one.write(&[7; 1 << 16]);
                let short = std::time::Duration::from_millis(50);
                if tokio::time::timeout(short, write).await.is_err() {
                    return;
                }
            }
        };
        held_up.await;
        assert!(one.room.is_some());
        let mut some = vec![0; 1 << 20];
        let (written, _) = tokio::join!(one.write(&[7; 1 << 10]), other.read(&mut some));
        assert_eq!(written.expect("there is room again"), 1 << 10);
    }

    #[tokio::test]
    async fn questions_and_answers_alternate() {
        let (mut one, mut other) = pair();
        let answering = tokio::spawn(async move {
            let mut byte = [0];
            while other.read(&mut byte).await.expect("it is open") > 0 {
                other.write_all(&[byte[0] + 1]).await.expect("it is open");
            }
        });
        for number in 0..100 {
            one.write_all(&[number]).await.expect("it is open");
            let mut byte = [0];
            one.read_exact(&mut byte).await.expect("it is answered");
            assert_eq!(byte[0], number + 1);
        }
        drop(one);
        answering.await.expect("the end is seen");
    }

    #[tokio::test]
    async fn what_was_sent_before_the_end_is_read_before_the_end() {
        let (mut one, mut other) = pair();
        one.write_all(b"last words").await.expect("it is open");
        drop(one);
        let mut words = Vec::new();
        other.read_to_end(&mut words).await.expect("they are there");
        assert_eq!(words, b"last words");
        assert!(other.write(b"x").await.is_err());
    }
}
