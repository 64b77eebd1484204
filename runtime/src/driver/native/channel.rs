//! The one connection to a process: mutual TLS pinned both ways on its unix socket, HTTP/2 inside.

use std::sync::Arc;

use palisade_protocol::cert::{self, Identity, SERVER_NAME};
use palisade_protocol::health::HealthCheckRequest;
use palisade_protocol::health::health_check_response::ServingStatus;
use palisade_protocol::health::health_client::HealthClient;
use palisade_protocol::{HEALTH_SERVICE, cert::CertError};
use rustls::ServerConfig;
use rustls::pki_types::ServerName;
use tokio::net::UnixStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::handshake::Peer;
use super::startup::Startup;
use super::wire::Wire;
use crate::LaunchError;
use crate::worker::Process;

/// An open connection, and what serves the same peer in the other direction.
pub(super) struct Connection {
    pub(super) wire: Wire,
    /// For the host's own sockets: the same identity, the same peer.
    pub(super) server_tls: Arc<ServerConfig>,
}

impl Connection {
    /// Connects, proves both sides, and asks whether the plugin serves.
    pub(super) async fn open(
        startup: &Startup<'_>,
        process: &Process,
        peer: Peer,
        identity: Identity,
    ) -> Result<Self, LaunchError> {
        let (dialler, server_tls) = tls(&peer, &identity).map_err(|fault| startup.failed(fault))?;
        let stream = startup
            .within("connection", dialler.dial(peer, process.id()))
            .await?;
        let stream = stream.map_err(|fault| startup.failed(fault))?;
        let wire = startup.within("connection", Wire::open(stream)).await?;
        let wire = wire.map_err(|fault| startup.failed(fault))?;
        check_health(startup, wire.clone()).await?;
        Ok(Self { wire, server_tls })
    }
}

fn tls(peer: &Peer, identity: &Identity) -> Result<(Dialler, Arc<ServerConfig>), CertError> {
    let client = cert::client_config(identity, &peer.certificate)?;
    let server = cert::server_config(identity, &peer.certificate)?;
    Ok((
        Dialler {
            tls: TlsConnector::from(Arc::new(client)),
        },
        Arc::new(server),
    ))
}

struct Dialler {
    tls: TlsConnector,
}

impl Dialler {
    async fn dial(&self, peer: Peer, process: u32) -> Result<TlsStream<UnixStream>, ConnectFault> {
        let stream = UnixStream::connect(&peer.socket)
            .await
            .map_err(ConnectFault::Socket)?;
        if !is_of(&stream, process) {
            return Err(ConnectFault::Stranger);
        }
        let name = ServerName::try_from(SERVER_NAME).expect("localhost is a well-formed DNS name");
        let stream = self
            .tls
            .connect(name, stream)
            .await
            .map_err(ConnectFault::Tls)?;
        match stream.get_ref().1.alpn_protocol() {
            Some(b"h2") => Ok(stream),
            _ => Err(ConnectFault::NoHttp2),
        }
    }
}

/// Whether the other end is held by the process or one of its session, which the process leads.
pub(super) fn is_of(stream: &UnixStream, process: u32) -> bool {
    let peer = stream.peer_cred().ok().and_then(|peer| peer.pid());
    let session = peer
        .and_then(rustix::process::Pid::from_raw)
        .and_then(|peer| rustix::process::getsid(Some(peer)).ok());
    session.is_some_and(|leader| leader.as_raw_pid().cast_unsigned() == process)
}

async fn check_health(startup: &Startup<'_>, wire: Wire) -> Result<(), LaunchError> {
    let request = HealthCheckRequest {
        service: HEALTH_SERVICE.to_owned(),
    };
    let mut client = HealthClient::with_origin(wire, Wire::origin());
    let answer = startup.call("health check", client.check(request)).await?;
    match answer.status() {
        ServingStatus::Serving => Ok(()),
        other => Err(startup.failed(format_args!("it is not ready: {}", other.as_str_name()))),
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
enum ConnectFault {
    #[error("its socket cannot be connected to: {0}")]
    Socket(std::io::Error),
    #[error("its socket is held by another process")]
    Stranger,
    #[error("mutual TLS with it failed: {0}")]
    Tls(std::io::Error),
    #[error("its server did not choose HTTP/2 (ALPN h2)")]
    NoHttp2,
}
