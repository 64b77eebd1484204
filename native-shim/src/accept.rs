//! Connections on the plugin's socket, each handed on once its peer has proven who it is.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::Stream;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tonic::transport::server::Connected;

/// How long a peer may take to prove who it is.
const TLS_TIMEOUT: Duration = Duration::from_secs(10);
/// How many may be at it at once. Real hosts open one connection, and another when it breaks.
const PENDING_MAX: usize = 32;
/// How long to wait when the process has run out of descriptors.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);

/// The connections as the server takes them. Accepting ends when the stream is dropped.
pub(crate) fn incoming(
    socket: UnixListener,
    tls: ServerConfig,
) -> impl Stream<Item = io::Result<Proven>> {
    let (proven, mut arrived) = mpsc::channel(PENDING_MAX);
    tokio::spawn(accept(socket, TlsAcceptor::from(Arc::new(tls)), proven));
    futures_util::stream::poll_fn(move |cx| arrived.poll_recv(cx).map(|next| next.map(Ok)))
}

/// Each handshake is a task of its own, so that a peer that stalls delays nobody.
async fn accept(socket: UnixListener, tls: TlsAcceptor, proven: mpsc::Sender<Proven>) {
    let places = Arc::new(Semaphore::new(PENDING_MAX));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let stream = tokio::select! {
            () = proven.closed() => return,
            accepted = socket.accept() => accepted,
        };
        let Ok((stream, _)) = stream else {
            tokio::time::sleep(EXHAUSTED_PAUSE).await;
            continue;
        };
        let (tls, proven) = (tls.clone(), proven.clone());
        tokio::spawn(async move {
            if let Ok(Ok(stream)) = tokio::time::timeout(TLS_TIMEOUT, tls.accept(stream)).await {
                let _ = proven.send(Proven(stream)).await;
            }
            drop(place);
        });
    }
}

/// A connection to the host.
pub(crate) struct Proven(TlsStream<UnixStream>);

impl Connected for Proven {
    type ConnectInfo = ();

    fn connect_info(&self) -> Self::ConnectInfo {}
}

impl AsyncRead for Proven {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Proven {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
