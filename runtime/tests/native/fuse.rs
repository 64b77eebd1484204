//! Lets the fake plugin die within an answer, at the byte that its flaw names.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;

/// How many bytes the process may still write once it is lit; without end unless the flaw is `cut:` and a number.
#[derive(Clone)]
pub(crate) struct Fuse {
    left: Arc<AtomicUsize>,
    lit: Arc<AtomicBool>,
}

impl Fuse {
    pub(crate) fn of(flaw: &str) -> Self {
        let bytes = flaw.strip_prefix("cut:").map(|bytes| bytes.parse());
        let bytes = bytes.transpose().expect("it is a number");
        Self {
            left: Arc::new(AtomicUsize::new(bytes.unwrap_or(usize::MAX))),
            lit: Arc::default(),
        }
    }

    /// From now on what is written counts.
    pub(crate) fn light(&self) {
        self.lit.store(true, Ordering::Relaxed);
    }

    pub(crate) fn around(&self, stream: UnixStream) -> Fused {
        Fused {
            fuse: self.clone(),
            stream,
        }
    }
}

/// A connection whose process dies when the fuse has burnt down.
pub(crate) struct Fused {
    fuse: Fuse,
    stream: UnixStream,
}

impl AsyncRead for Fused {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, bytes)
    }
}

impl AsyncWrite for Fused {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if !self.fuse.lit.load(Ordering::Relaxed) {
            return Pin::new(&mut self.stream).poll_write(context, bytes);
        }
        let left = self.fuse.left.load(Ordering::Relaxed);
        if left == 0 {
            std::process::abort();
        }
        let bytes = &bytes[..bytes.len().min(left)];
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        if let Poll::Ready(Ok(written)) = polled {
            self.fuse.left.fetch_sub(written, Ordering::Relaxed);
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
