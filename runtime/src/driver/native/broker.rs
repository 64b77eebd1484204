//! Tells a plugin where the host listens for it, and serves each instance on a socket of its own.
//!
//! Which mount a call belongs to is decided by the socket it comes in on. What a plugin sends decides nothing.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_util::stream;
use palisade_protocol::late_pongs::LatePongs;
use palisade_protocol::plugin::ConnInfo;
use palisade_protocol::plugin::grpc_broker_client::GrpcBrokerClient;
use palisade_protocol::quiet::QuietStream;
use rustls::ServerConfig;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::Status;

use super::channel::is_of;
use super::output::Task;
use super::run_dir::RunDir;
use super::services::Services;
use super::serving::{Patience, ServeError, serve};
use super::wire::Wire;

/// How long a connection may take for its TLS handshake.
const TLS_TIMEOUT: Duration = Duration::from_secs(10);

/// Connections of one instance at once. Plugins hold one, and a second for a moment when they reconnect.
const CONNECTIONS_MAX: usize = 8;

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
    pub(super) async fn serve(&self, services: Services) -> Result<Brokered, BrokerError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let path = self.directory.path().join(format!("host{id}"));
        let listener = UnixListener::bind(&path)?;
        self.directory.share_socket(&path)?;
        let stop = CancellationToken::new();
        let acceptor = Acceptor {
            services,
            tls: self.tls.clone(),
            process: self.process,
            stop: stop.clone(),
        };
        let accepting = Task::spawn(acceptor.run(listener));
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
            _stop: stop.drop_guard(),
        })
    }
}

/// The host's socket for one instance. Dropping it closes the socket and ends the service.
pub(super) struct Brokered {
    id: u32,
    path: PathBuf,
    _accepting: Task,
    _stop: DropGuard,
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

/// Takes the plugin's connections for one instance.
struct Acceptor {
    services: Services,
    /// None in plain text, for a plugin that is only asked what it is.
    tls: Option<TlsAcceptor>,
    process: u32,
    stop: CancellationToken,
}

impl Acceptor {
    /// Accepts for as long as the instance lives: a plugin may come back on a new connection after a pause.
    async fn run(self, listener: UnixListener) {
        let acceptor = Arc::new(self);
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        while let Ok(place) = Arc::clone(&places).acquire_owned().await {
            let Ok((stream, _)) = listener.accept().await else {
                tokio::time::sleep(Duration::from_millis(10)).await;
                continue;
            };
            if is_of(&stream, acceptor.process) {
                let acceptor = Arc::clone(&acceptor);
                tokio::spawn(async move {
                    let ended = acceptor.serve(stream).await;
                    drop(place);
                    if let Err(fault) = ended {
                        // The plugin's loss, which it sees for itself.
                        tracing::debug!("a plugin's connection to its host failed: {fault}");
                    }
                });
            }
        }
    }

    /// One connection in a task of its own, so that a handshake that stalls keeps nobody waiting.
    async fn serve(&self, stream: UnixStream) -> Result<(), ServeError> {
        let stream = QuietStream::new(stream)?;
        let (services, stop) = (self.services.clone(), self.stop.clone());
        let patience = Patience::default();
        match &self.tls {
            Some(tls) => {
                let stream = timeout(TLS_TIMEOUT, tls.accept(stream)).await??;
                serve(LatePongs::of_client(stream), services, stop, patience).await
            }
            None => serve(stream, services, stop, patience).await,
        }
    }
}
