//! A brokered connection to the host.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use palisade_protocol::cert::SERVER_NAME;
use palisade_protocol::handshake::Address;
use palisade_protocol::quiet::QuietStream;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::UnixStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Channel, Endpoint, Uri};
use tower::service_fn;

/// How long dialling and TLS may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The windows of HTTP/2: its own 64 KiB make large values wait for round trips.
pub(crate) const STREAM_WINDOW_BYTES: u32 = 1024 * 1024;
pub(crate) const CONNECTION_WINDOW_BYTES: u32 = 4 * 1024 * 1024;

/// Dials the host at `address`. When the connection breaks, the next call dials again.
pub(crate) async fn dial(address: Address, tls: Arc<ClientConfig>) -> Result<Channel, DialError> {
    let connector = service_fn(move |_: Uri| {
        let (address, tls) = (address.clone(), TlsConnector::from(Arc::clone(&tls)));
        async move { connect(&address, tls).await.map(TokioIo::new) }
    });
    let endpoint = Endpoint::from_static("http://localhost")
        .connect_timeout(CONNECT_TIMEOUT)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES);
    let connected = endpoint.connect_with_connector(connector);
    match tokio::time::timeout(CONNECT_TIMEOUT, connected).await {
        Ok(channel) => Ok(channel?),
        Err(_) => Err(DialError::Timeout),
    }
}

async fn connect(address: &Address, tls: TlsConnector) -> io::Result<TlsStream<QuietStream>> {
    let Address::Unix(path) = address else {
        return Err(io::Error::other(
            "brokered connections over TCP are not served on this system",
        ));
    };
    let stream = QuietStream::new(UnixStream::connect(path).await?)?;
    let name = ServerName::try_from(SERVER_NAME).map_err(io::Error::other)?;
    tls.connect(name, stream).await
}

/// Why the host cannot be reached.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DialError {
    #[error("cannot connect to the host's services: {}", with_sources(.0))]
    Transport(#[from] tonic::transport::Error),
    #[error("cannot connect to the host's services within {} s", CONNECT_TIMEOUT.as_secs())]
    Timeout,
}

/// tonic's own text is "transport error"; what happened stands in its sources.
fn with_sources(fault: &(dyn std::error::Error + 'static)) -> String {
    let sources = std::iter::successors(Some(fault), |fault| fault.source());
    let texts: Vec<String> = sources.map(ToString::to_string).collect();
    texts.join(": ")
}
