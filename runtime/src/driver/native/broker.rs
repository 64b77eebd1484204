//! Tells a plugin where the host listens for it, and serves each instance on a socket of its own.
//!
//! Which mount a call belongs to is decided by the socket it comes in on. What a plugin sends decides nothing.

use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::stream;
use palisade_protocol::plugin::ConnInfo;
use palisade_protocol::plugin::grpc_broker_client::GrpcBrokerClient;
use palisade_protocol::quiet::QuietStream;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;
use tonic::Status;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::transport::server::Connected;

use super::channel::is_of;
use super::output::Task;
use super::run_dir::RunDir;
use super::wire::Wire;

/// How long a connection may take for its TLS handshake.
const TLS_TIMEOUT: Duration = Duration::from_secs(10);

/// Connections of one instance at once. Plugins hold one, and a second for a moment when they reconnect.
const CONNECTIONS_MAX: usize = 8;

/// Calls into the host that one connection may have under way.
const CALLS_MAX: u32 = 64;

/// Announcements that wait for the stream; each instance makes one.
const ANNOUNCEMENTS_MAX: usize = 64;

/// The host's half of go-plugin's broker for one process.
pub(super) struct Broker {
    announce: mpsc::Sender<ConnInfo>,
    next_id: AtomicU32,
    tls: Option<TlsAcceptor>,
    process: u32,
    directory: Arc<RunDir>,
    _stream: Task,
}

impl Broker {
    /// Opens the broker's stream, in a task of its own: a Go server answers only when it has something to say.
    pub(super) fn open(
        wire: Wire,
        tls: Option<Arc<ServerConfig>>,
        process: u32,
        directory: Arc<RunDir>,
    ) -> Self {
        let (announce, announcements) = mpsc::channel(ANNOUNCEMENTS_MAX);
        let stream = Task::spawn(async move {
            // A plugin without a broker fails where it needs one, with its own words.
            let _ = hold_stream(wire, announcements).await;
        });
        Self {
            announce,
            next_id: AtomicU32::new(1),
            tls: tls.map(TlsAcceptor::from),
            process,
            directory,
            _stream: stream,
        }
    }

    /// Listens for one instance, and tells the plugin where.
    pub(super) async fn serve(&self, services: Routes) -> Result<Brokered, BrokerError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let path = self.directory.path().join(format!("host{id}"));
        let listener = UnixListener::bind(&path)?;
        self.directory.share_socket(&path)?;
        let acceptor = Acceptor {
            tls: self.tls.clone(),
            process: self.process,
        };
        let (connections, incoming) = mpsc::channel(CONNECTIONS_MAX);
        let (stop, stopped) = oneshot::channel();
        let accepting = Task::spawn(acceptor.run(listener, connections));
        tokio::spawn(answer(services, incoming, stopped));
        let announcement = ConnInfo {
            service_id: id,
            network: "unix".to_owned(),
            address: path.to_string_lossy().into_owned(),
            knock: None,
        };
        self.announce
            .send(announcement)
            .await
            .map_err(|_| BrokerError::Closed)?;
        Ok(Brokered {
            id,
            path,
            _accepting: accepting,
            _stop: stop,
        })
    }
}

/// The host's socket for one instance. Dropping it closes the socket and ends the service.
pub(super) struct Brokered {
    id: u32,
    path: PathBuf,
    _accepting: Task,
    _stop: oneshot::Sender<()>,
}

impl Brokered {
    /// The number that `Setup` tells the plugin.
    pub(super) fn id(&self) -> u32 {
        self.id
    }
}

impl Drop for Brokered {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Why an instance cannot be served.
#[derive(Debug, thiserror::Error)]
pub(super) enum BrokerError {
    /// There is no socket.
    #[error("the host's socket for it could not be made: {0}")]
    Socket(#[from] io::Error),
    /// The plugin has ended the broker's stream.
    #[error("the plugin has closed its broker")]
    Closed,
}

async fn hold_stream(wire: Wire, announcements: mpsc::Receiver<ConnInfo>) -> Result<(), Status> {
    let outgoing = stream::unfold(announcements, |mut announcements| async move {
        let next = announcements.recv().await?;
        Some((next, announcements))
    });
    let mut broker = GrpcBrokerClient::with_origin(wire, Wire::origin());
    let mut incoming = broker.start_stream(outgoing).await?.into_inner();
    // Backends serve nothing to the host, so where they listen is of no interest.
    while incoming.message().await?.is_some() {}
    Ok(())
}

struct Acceptor {
    /// None in plain text, for a plugin that is only asked what it is.
    tls: Option<TlsAcceptor>,
    process: u32,
}

impl Acceptor {
    /// Accepts for as long as the instance lives: a plugin may come back on a new connection after a pause.
    async fn run(self, listener: UnixListener, connections: mpsc::Sender<Accepted>) {
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        while let Ok(place) = Arc::clone(&places).acquire_owned().await {
            let Ok((stream, _)) = listener.accept().await else {
                tokio::time::sleep(Duration::from_millis(10)).await;
                continue;
            };
            if is_of(&stream, self.process) {
                let tls = self.tls.clone();
                tokio::spawn(admit(tls, stream, place, connections.clone()));
            }
        }
    }
}

/// One handshake in a task of its own, so that one that stalls keeps nobody waiting.
async fn admit(
    tls: Option<TlsAcceptor>,
    stream: UnixStream,
    place: OwnedSemaphorePermit,
    connections: mpsc::Sender<Accepted>,
) {
    let secured = async {
        let stream = QuietStream::new(stream)?;
        match tls {
            Some(tls) => tls.accept(stream).await.map(Either::Left),
            None => Ok(Either::Right(stream)),
        }
    };
    if let Ok(Ok(stream)) = timeout(TLS_TIMEOUT, secured).await {
        let _ = connections
            .send(Accepted {
                stream,
                _place: place,
            })
            .await;
    }
}

async fn answer(
    services: Routes,
    incoming: mpsc::Receiver<Accepted>,
    stopped: oneshot::Receiver<()>,
) {
    let incoming = stream::unfold(incoming, |mut incoming| async move {
        let next = incoming.recv().await?;
        Some((io::Result::Ok(next), incoming))
    });
    let served = Server::builder()
        .max_concurrent_streams(CALLS_MAX)
        .add_routes(services)
        .serve_with_incoming_shutdown(Box::pin(incoming), async {
            let _ = stopped.await;
        });
    // A connection that fails is the plugin's loss.
    let _ = served.await;
}

/// An accepted connection, and its place among those there may be.
struct Accepted {
    stream: Either<TlsStream<QuietStream>, QuietStream>,
    _place: OwnedSemaphorePermit,
}

impl Connected for Accepted {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for Accepted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Accepted {
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
