//! A bare tonic call: the same messages over the same mutual TLS on a unix socket to another process, and nothing else.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use anyhow::Context;
use hyper::server::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use palisade_contract as contract;
use palisade_protocol::cert::{
    Identity, PeerCertificate, SERVER_NAME, client_config, server_config,
};
use palisade_protocol::pb;
use palisade_protocol::pb::backend_client::BackendClient;
use palisade_protocol::pb::backend_server::{Backend, BackendServer};
use rustls::pki_types::ServerName;
use tokio::net::{UnixListener, UnixStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tonic::service::Routes;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Request, Response, Status};

/// The first argument of a process that is to be the far end of [`BareWire`].
pub const FAR_END: &str = "--far-end";

/// A connection to a far end in a process of its own. Dropping it ends the process.
pub struct BareWire {
    client: BackendClient<Channel>,
    args: pb::HandleRequestArgs,
    child: Child,
    _directory: tempfile::TempDir,
}

impl BareWire {
    /// Starts this very program as the far end, and connects. The messages are those of the call that is compared:
    /// `request` as the mount gets it, and the data that it answers with.
    ///
    /// # Errors
    ///
    /// When the process cannot be started or does not announce itself.
    pub async fn open(request: contract::Request, answer: &str) -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        let socket = directory.path().join("socket");
        let identity = Identity::generate()?;
        let mut child = Command::new(std::env::current_exe()?)
            .arg(FAR_END)
            .arg(&socket)
            .arg(identity.certificate().to_pem())
            .arg(answer)
            .stdout(Stdio::piped())
            .spawn()?;
        let announced = announced_certificate(&mut child)?;
        let channel = connect(socket, &identity, &announced).await?;
        let client = BackendClient::new(channel);
        Ok(Self {
            client,
            args: request.into(),
            child,
            _directory: directory,
        })
    }

    /// Sends the request and gives the length of the answer's data.
    ///
    /// # Errors
    ///
    /// When the call fails.
    pub async fn ask(&mut self) -> anyhow::Result<usize> {
        let args = self.args.clone();
        let reply = self.client.handle_request(args).await?.into_inner();
        Ok(reply.response.map_or(0, |response| response.data.len()))
    }
}

impl Drop for BareWire {
    fn drop(&mut self) {
        // The process may be gone already; there is nothing else to give back.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Is the far end, until it is killed: `arguments` are the socket's path, the host's certificate, and the answer.
///
/// # Errors
///
/// When the arguments make no sense or the socket cannot be made.
pub fn far_end(arguments: &[String]) -> anyhow::Result<()> {
    let [socket, certificate, answer] = arguments else {
        anyhow::bail!("a socket, a certificate and an answer")
    };
    // One thread, as a plugin has: the floor is not allowed more than what is measured against it.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(serve(
        Path::new(socket),
        &PeerCertificate::from_pem(certificate)?,
        FarEnd {
            answer: answer.clone(),
        },
    ))
}

async fn serve(socket: &Path, host: &PeerCertificate, backend: FarEnd) -> anyhow::Result<()> {
    let identity = Identity::generate()?;
    let acceptor = TlsAcceptor::from(Arc::new(server_config(&identity, host)?));
    let listener = UnixListener::bind(socket)?;
    announce(identity.certificate())?;
    let (stream, _) = listener.accept().await?;
    let stream = acceptor.accept(stream).await?;
    let service = TowerToHyperService::new(Routes::new(BackendServer::new(backend)));
    let connection = http2::Builder::new(TokioExecutor::new());
    Ok(connection
        .serve_connection(TokioIo::new(stream), service)
        .await?)
}

/// One line on standard output: the certificate in hexadecimal.
fn announce(certificate: &PeerCertificate) -> anyhow::Result<()> {
    let mut out = std::io::stdout();
    writeln!(out, "{}", hex::encode(certificate.der()))?;
    out.flush().context("the near end reads this line")
}

fn announced_certificate(child: &mut Child) -> anyhow::Result<PeerCertificate> {
    let stdout = child.stdout.take().context("its output is piped")?;
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line)?;
    Ok(PeerCertificate::from_der(hex::decode(line.trim())?)?)
}

async fn connect(
    socket: PathBuf,
    identity: &Identity,
    peer: &PeerCertificate,
) -> anyhow::Result<Channel> {
    let tls = TlsConnector::from(Arc::new(client_config(identity, peer)?));
    let connector = tower::service_fn(move |_: Uri| {
        let (socket, tls) = (socket.clone(), tls.clone());
        async move {
            let stream = UnixStream::connect(socket).await?;
            let name = ServerName::try_from(SERVER_NAME).expect("localhost is a name");
            tls.connect(name, stream).await.map(TokioIo::new)
        }
    });
    let endpoint = Endpoint::from_static("http://localhost");
    Ok(endpoint.connect_with_connector(connector).await?)
}

/// Answers requests and nothing else.
struct FarEnd {
    answer: String,
}

#[tonic::async_trait]
impl Backend for FarEnd {
    async fn handle_request(
        &self,
        _request: Request<pb::HandleRequestArgs>,
    ) -> Result<Response<pb::HandleRequestReply>, Status> {
        let response = pb::Response {
            data: self.answer.clone(),
            ..pb::Response::default()
        };
        Ok(Response::new(pb::HandleRequestReply {
            response: Some(Box::new(response)),
            err: None,
        }))
    }

    async fn special_paths(
        &self,
        _: Request<pb::Empty>,
    ) -> Result<Response<pb::SpecialPathsReply>, Status> {
        Err(Status::unimplemented("not measured"))
    }

    async fn handle_existence_check(
        &self,
        _: Request<pb::HandleExistenceCheckArgs>,
    ) -> Result<Response<pb::HandleExistenceCheckReply>, Status> {
        Err(Status::unimplemented("not measured"))
    }

    async fn cleanup(&self, _: Request<pb::Empty>) -> Result<Response<pb::Empty>, Status> {
        Err(Status::unimplemented("not measured"))
    }

    async fn invalidate_key(
        &self,
        _: Request<pb::InvalidateKeyArgs>,
    ) -> Result<Response<pb::Empty>, Status> {
        Err(Status::unimplemented("not measured"))
    }

    async fn setup(&self, _: Request<pb::SetupArgs>) -> Result<Response<pb::SetupReply>, Status> {
        Err(Status::unimplemented("not measured"))
    }

    async fn initialize(
        &self,
        _: Request<pb::InitializeArgs>,
    ) -> Result<Response<pb::InitializeReply>, Status> {
        Err(Status::unimplemented("not measured"))
    }

    async fn r#type(&self, _: Request<pb::Empty>) -> Result<Response<pb::TypeReply>, Status> {
        Err(Status::unimplemented("not measured"))
    }
}
