//! Connections on the plugin's socket, each handed on once its peer has proven who it is.

use std::sync::Arc;
use std::time::Duration;

use palisade_protocol::quiet::QuietStream;
use rustls::ServerConfig;
use tokio::net::UnixListener;
use tokio::sync::{Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// How long a peer may take to prove who it is.
const TLS_TIMEOUT: Duration = Duration::from_secs(10);
/// How many may be at it at once. Real hosts open one connection, and another when it breaks.
const PENDING_MAX: usize = 32;
/// How long to wait when the process has run out of descriptors.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);

/// A connection to the host.
pub(crate) type Proven = TlsStream<QuietStream>;

/// The connections as the server takes them. Accepting ends when the receiver is dropped.
pub(crate) fn incoming(socket: UnixListener, tls: ServerConfig) -> mpsc::Receiver<Proven> {
    let (proven, arrived) = mpsc::channel(PENDING_MAX);
    tokio::spawn(accept(socket, TlsAcceptor::from(Arc::new(tls)), proven));
    arrived
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
        let Ok(stream) = stream.and_then(|(stream, _)| QuietStream::new(stream)) else {
            tokio::time::sleep(EXHAUSTED_PAUSE).await;
            continue;
        };
        let (tls, proven) = (tls.clone(), proven.clone());
        tokio::spawn(async move {
            if let Ok(Ok(stream)) = tokio::time::timeout(TLS_TIMEOUT, tls.accept(stream)).await {
                let _ = proven.send(stream).await;
            }
            drop(place);
        });
    }
}
