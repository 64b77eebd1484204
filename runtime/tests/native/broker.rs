//! The fake plugin's half of the broker: what the host offers, and connections to it of every kind.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::Stream;
use futures_util::stream;
use palisade_protocol::cert::{Identity, PeerCertificate, SERVER_NAME, client_config};
use palisade_protocol::plugin::ConnInfo;
use palisade_protocol::plugin::grpc_broker_server::GrpcBroker;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::{Request, Response, Status, Streaming, async_trait};

/// How long an offer may be on its way, as Go's plugins wait.
const OFFER_TIMEOUT: Duration = Duration::from_secs(5);

/// How every client of HTTP/2 begins, with empty settings.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// What the host has offered so far: the sockets by their numbers.
#[derive(Clone, Default)]
pub(crate) struct Offers {
    offers: Arc<Mutex<BTreeMap<u32, PathBuf>>>,
}

impl Offers {
    fn add(&self, offer: ConnInfo) {
        let mut offers = self.offers.lock().unwrap_or_else(PoisonError::into_inner);
        offers.insert(offer.service_id, offer.address.into());
    }

    fn get(&self, id: u32) -> Option<PathBuf> {
        let offers = self.offers.lock().unwrap_or_else(PoisonError::into_inner);
        offers.get(&id).cloned()
    }
}

#[async_trait]
impl GrpcBroker for Offers {
    type StartStreamStream = Pin<Box<dyn Stream<Item = Result<ConnInfo, Status>> + Send>>;

    async fn start_stream(
        &self,
        request: Request<Streaming<ConnInfo>>,
    ) -> Result<Response<Self::StartStreamStream>, Status> {
        let (offers, mut incoming) = (self.clone(), request.into_inner());
        tokio::spawn(async move {
            while let Ok(Some(offer)) = incoming.message().await {
                offers.add(offer);
            }
        });
        // An offer of its own under the same number as the host's first: the two have nothing to do with each other.
        let own = ConnInfo {
            service_id: 1,
            network: "unix".to_owned(),
            address: "/nowhere".to_owned(),
            knock: None,
        };
        let outgoing = stream::once(async move { Ok(own) });
        let outgoing = futures_util::StreamExt::chain(outgoing, stream::pending());
        Ok(Response::new(Box::pin(outgoing)))
    }
}

/// Connects to the host.
pub(crate) struct Broker {
    offers: Offers,
    identity: Identity,
    host: PeerCertificate,
}

impl Broker {
    pub(crate) fn new(offers: Offers, identity: Identity, host: PeerCertificate) -> Self {
        Self {
            offers,
            identity,
            host,
        }
    }

    /// As a Go plugin does after its connection was idle for long, and two at once.
    pub(crate) async fn connect_again_and_again(&self, id: u32) -> Result<(), String> {
        if id != 1 {
            return Err(format!("the host's first number is {id}"));
        }
        let path = self.offered(id).await?;
        let mut held = Vec::new();
        for _ in 0..3 {
            drop(self.greeted(&path, &self.identity).await?);
            held.push(self.greeted(&path, &self.identity).await?);
        }
        Ok(())
    }

    /// Without TLS, and with a certificate that is not the plugin's.
    pub(crate) async fn connect_as_a_stranger(&self, id: u32) -> Result<(), String> {
        let path = self.offered(id).await?;
        let mut plain = UnixStream::connect(&path).await.map_err(text)?;
        plain.write_all(PREFACE).await.map_err(text)?;
        if first_frame(&mut plain).await.is_ok() {
            return Err("the host answers without TLS".to_owned());
        }
        let other = Identity::generate_like_go().map_err(text)?;
        if self.greeted(&path, &other).await.is_ok() {
            return Err("the host answers to another certificate".to_owned());
        }
        // The control: the right one gets in.
        self.greeted(&path, &self.identity).await.map(drop)
    }

    async fn offered(&self, id: u32) -> Result<PathBuf, String> {
        let offered = async {
            loop {
                if let Some(path) = self.offers.get(id) {
                    return path;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(OFFER_TIMEOUT, offered)
            .await
            .map_err(|_| format!("the host offers nothing under {id}"))
    }

    /// Mutual TLS, and the first frame of the host's HTTP/2: it comes once both sides are known.
    async fn greeted(
        &self,
        path: &PathBuf,
        identity: &Identity,
    ) -> Result<TlsStream<UnixStream>, String> {
        let config = client_config(identity, &self.host).map_err(text)?;
        let stream = UnixStream::connect(path).await.map_err(text)?;
        let name = ServerName::try_from(SERVER_NAME).map_err(text)?;
        let tls = TlsConnector::from(Arc::new(config));
        let mut stream = tls.connect(name, stream).await.map_err(text)?;
        stream.write_all(PREFACE).await.map_err(text)?;
        first_frame(&mut stream).await.map_err(text)?;
        Ok(stream)
    }
}

async fn first_frame(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> Result<(), String> {
    const SETTINGS: u8 = 4;
    let mut head = [0; 9];
    let read = timeout(OFFER_TIMEOUT, stream.read_exact(&mut head)).await;
    read.map_err(text)?.map_err(text)?;
    match head[3] {
        SETTINGS => Ok(()),
        _ => Err("that is no HTTP/2".to_owned()),
    }
}

fn text(fault: impl ToString) -> String {
    fault.to_string()
}
