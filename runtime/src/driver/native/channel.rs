//! The one connection to a process: mutual TLS pinned both ways on its unix socket, HTTP/2 inside. Only a plugin that is
//! asked for nothing but what it is has no TLS.

use std::path::Path;
use std::sync::Arc;

use palisade_protocol::cert::{self, Identity, PeerCertificate, SERVER_NAME};
use palisade_protocol::health::HealthCheckRequest;
use palisade_protocol::health::health_check_response::ServingStatus;
use palisade_protocol::health::health_client::HealthClient;
use palisade_protocol::late_pongs::LatePongs;
use palisade_protocol::quiet::QuietStream;
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
    pub(super) server_tls: Option<Arc<ServerConfig>>,
}

impl Connection {
    /// Connects, proves both sides where there is an identity, and asks whether the plugin serves.
    pub(super) async fn open(
        startup: &Startup<'_>,
        process: &Process,
        peer: Peer,
        identity: Option<&Identity>,
    ) -> Result<Self, LaunchError> {
        let tls = match (identity, &peer.certificate) {
            (Some(identity), Some(certificate)) => Some(tls(identity, certificate)),
            (None, None) => None,
            // Never plain text for want of one of the two.
            _ => return Err(startup.failed(ConnectFault::HalfProven)),
        };
        let (client_tls, server_tls) = tls
            .transpose()
            .map_err(|fault| startup.failed(fault))?
            .unzip();
        let connecting = dial(&peer.socket, process.id(), client_tls);
        let wire = startup.within("connection", connecting).await?;
        let wire = wire.map_err(|fault| startup.failed(fault))?;
        check_health(startup, wire.clone()).await?;
        Ok(Self { wire, server_tls })
    }
}

fn tls(
    identity: &Identity,
    certificate: &PeerCertificate,
) -> Result<(TlsConnector, Arc<ServerConfig>), CertError> {
    let client = cert::client_config(identity, certificate)?;
    let server = cert::server_config(identity, certificate)?;
    Ok((TlsConnector::from(Arc::new(client)), Arc::new(server)))
}

async fn dial(
    socket: &Path,
    process: u32,
    tls: Option<TlsConnector>,
) -> Result<Wire, ConnectFault> {
    let stream = UnixStream::connect(socket)
        .await
        .map_err(ConnectFault::Socket)?;
    if !is_of(&stream, process) {
        return Err(ConnectFault::Stranger);
    }
    let stream = QuietStream::new(stream).map_err(ConnectFault::Socket)?;
    let opened = match tls {
        Some(tls) => Wire::open(LatePongs::of_server(secured(stream, tls).await?)).await,
        None => Wire::open(stream).await,
    };
    opened.map_err(ConnectFault::Http2)
}

async fn secured(
    stream: QuietStream,
    tls: TlsConnector,
) -> Result<TlsStream<QuietStream>, ConnectFault> {
    let name = ServerName::try_from(SERVER_NAME).expect("localhost is a well-formed DNS name");
    let stream = tls.connect(name, stream).await.map_err(ConnectFault::Tls)?;
    match stream.get_ref().1.alpn_protocol() {
        Some(b"h2") => Ok(stream),
        _ => Err(ConnectFault::NoHttp2),
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
    #[error("one of the two sides has no certificate")]
    HalfProven,
    #[error("mutual TLS with it failed: {0}")]
    Tls(std::io::Error),
    #[error("its server did not choose HTTP/2 (ALPN h2)")]
    NoHttp2,
    #[error("HTTP/2 with it failed: {0}")]
    Http2(h2::Error),
}
