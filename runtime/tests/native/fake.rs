//! A go-plugin server that is wrong in the one way that its second argument names, and otherwise as small as can be.

use std::io::Write as _;
use std::os::unix::net::UnixListener as StdListener;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use futures_util::future::pending;
use futures_util::stream;
use hyper::server::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use palisade_protocol::cert::{Identity, PeerCertificate, server_config};
use palisade_protocol::env::PluginEnv;
use palisade_protocol::handshake::{Address, Handshake};
use palisade_protocol::health::health_check_response::ServingStatus;
use palisade_protocol::health::health_server::{Health, HealthServer};
use palisade_protocol::health::{HealthCheckRequest, HealthCheckResponse};
use palisade_protocol::pb;
use palisade_protocol::pb::backend_server::{Backend, BackendServer};
use palisade_protocol::plugin::Empty;
use palisade_protocol::plugin::grpc_broker_server::GrpcBrokerServer;
use palisade_protocol::plugin::grpc_controller_server::{GrpcController, GrpcControllerServer};
use tokio::net::UnixListener;
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;
use tonic::service::Routes;
use tonic::{Request, Response, Status, async_trait};

use super::broker::{Broker, Offers};
use super::fuse::Fuse;

/// Plays a plugin with that flaw.
pub(crate) fn run(flaw: &str) -> ExitCode {
    let env = PluginEnv::read(|name| std::env::var_os(name)).expect("the host sets it");
    let host = env.host_certificate.expect("the host has one");
    let folder = env.socket_dir.expect("the host sets it");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime can be made");
    runtime.block_on(serve(flaw, &folder, host));
    ExitCode::SUCCESS
}

async fn serve(flaw: &str, folder: &Path, host: PeerCertificate) {
    let identity = Identity::generate_like_go().expect("an identity can be made");
    let path = folder.join("plugin1");
    let listener = StdListener::bind(&path).expect("the folder is ours");
    listener.set_nonblocking(true).expect("it can be");
    let listener = (flaw != "deaf").then_some(listener);
    if flaw == "noise" {
        make_noise(&mut std::io::stderr());
    }
    announce(flaw, path, &identity);
    if flaw == "noise" {
        make_noise(&mut std::io::stdout());
    }
    let Some(listener) = listener else {
        return pending().await;
    };
    let acceptor = acceptor(flaw, &identity, &host);
    let end = Arc::new(Notify::new());
    let fuse = Fuse::of(flaw);
    let routes = routes(flaw, identity, host, Arc::clone(&end), fuse.clone());
    let listener = UnixListener::from_std(listener).expect("it is a socket");
    tokio::select! {
        () = answer(listener, acceptor, routes, &fuse) => {}
        () = end.notified() => {}
    }
}

async fn answer(listener: UnixListener, acceptor: TlsAcceptor, routes: Routes, fuse: &Fuse) {
    while let Ok((stream, _)) = listener.accept().await {
        let service = TowerToHyperService::new(routes.clone());
        if let Ok(stream) = acceptor.accept(fuse.around(stream)).await {
            let connection = http2::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), service);
            tokio::spawn(connection);
        }
    }
}

/// Anything but a line that a reader may hope for, and more than a pipe holds.
fn make_noise(stream: &mut impl std::io::Write) {
    let lines: [&[u8]; 8] = [
        br#"{"@level":5,"@message":["x"],"@timestamp":1}"#,
        br#"{"@level":"warn","@message":{"a":null},"@timestamp":"yesterday"}"#,
        br#"{"@message":7}"#,
        br#"["@level","error"]"#,
        b"\xff\xfe\0\x1b[31m\r",
        b"{\"@level\":\"error\",\"@message\":\"\xff\"}",
        b"panic: at the disco",
        &[b'x'; 300_000],
    ];
    for line in lines {
        stream.write_all(line).expect("the host reads");
        stream.write_all(b"\n").expect("the host reads");
    }
    stream.flush().expect("the host reads");
}

fn announce(flaw: &str, path: PathBuf, identity: &Identity) {
    let other = Identity::generate_like_go().expect("an identity can be made");
    let announced = match flaw {
        "impostor" => &other,
        _ => identity,
    };
    let line = Handshake {
        protocol_version: if flaw == "version" { 6 } else { 5 },
        address: Address::Unix(path),
        certificate: Some(announced.certificate().clone()),
        multiplex: (flaw == "fields").then_some(true),
    };
    let more = if flaw == "fields" { "|and|more" } else { "" };
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{line}{more}").expect("the host reads");
    if flaw == "again" {
        let line = Handshake {
            address: Address::Unix(std::env::var_os("DECOY").expect("the test sets it").into()),
            ..line
        };
        writeln!(stdout, "{line}").expect("the host reads");
    }
    stdout.flush().expect("the host reads");
}

fn acceptor(flaw: &str, identity: &Identity, host: &PeerCertificate) -> TlsAcceptor {
    let mut config = server_config(identity, host).expect("the key is good");
    if flaw == "alpn" {
        config.alpn_protocols.clear();
    }
    TlsAcceptor::from(Arc::new(config))
}

fn routes(
    flaw: &str,
    identity: Identity,
    host: PeerCertificate,
    end: Arc<Notify>,
    fuse: Fuse,
) -> Routes {
    let offers = Offers::default();
    let backend = BackendServer::new(FakeBackend {
        flaw: flaw.to_owned(),
        broker: Broker::new(offers.clone(), identity, host),
        fuse,
    });
    let health = HealthServer::new(FakeHealth(match flaw {
        "unready" => ServingStatus::NotServing,
        _ => ServingStatus::Serving,
    }));
    let routes = Routes::new(backend);
    match flaw {
        "unhealthy" => routes,
        "bare" => routes
            .add_service(health)
            .add_service(GrpcBrokerServer::new(offers)),
        _ => routes
            .add_service(health)
            .add_service(GrpcBrokerServer::new(offers))
            .add_service(GrpcControllerServer::new(FakeController {
                stubborn: flaw == "stubborn",
                end,
            })),
    }
}

struct FakeHealth(ServingStatus);

#[async_trait]
impl Health for FakeHealth {
    type WatchStream = stream::Empty<Result<HealthCheckResponse, Status>>;

    async fn watch(
        &self,
        _: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        Err(Status::unimplemented("nobody watches"))
    }

    async fn check(
        &self,
        _: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        Ok(Response::new(HealthCheckResponse {
            status: self.0.into(),
        }))
    }
}

/// Never answers; the process ends meanwhile, as Go's does, unless it is stubborn.
struct FakeController {
    stubborn: bool,
    end: Arc<Notify>,
}

#[async_trait]
impl GrpcController for FakeController {
    async fn shutdown(&self, _: Request<Empty>) -> Result<Response<Empty>, Status> {
        if !self.stubborn {
            self.end.notify_one();
        }
        pending().await
    }
}

struct FakeBackend {
    flaw: String,
    broker: Broker,
    fuse: Fuse,
}

#[async_trait]
impl Backend for FakeBackend {
    /// What was found out is told as an error: nothing else of a setup crosses.
    async fn setup(
        &self,
        request: Request<pb::SetupArgs>,
    ) -> Result<Response<pb::SetupReply>, Status> {
        let id = request.into_inner().broker_id;
        let found = match self.flaw.as_str() {
            "reconnect" => self.broker.connect_again_and_again(id).await,
            "stranger" => self.broker.connect_as_a_stranger(id).await,
            _ => Ok(()),
        };
        let err = found.err().unwrap_or_default();
        Ok(Response::new(pb::SetupReply { err }))
    }

    async fn r#type(&self, _: Request<pb::Empty>) -> Result<Response<pb::TypeReply>, Status> {
        Ok(Response::new(pb::TypeReply { r#type: 1 }))
    }

    async fn special_paths(
        &self,
        _: Request<pb::Empty>,
    ) -> Result<Response<pb::SpecialPathsReply>, Status> {
        Ok(Response::new(pb::SpecialPathsReply::default()))
    }

    async fn handle_request(
        &self,
        _: Request<pb::HandleRequestArgs>,
    ) -> Result<Response<pb::HandleRequestReply>, Status> {
        self.fuse.light();
        Ok(Response::new(pb::HandleRequestReply::default()))
    }

    async fn handle_existence_check(
        &self,
        _: Request<pb::HandleExistenceCheckArgs>,
    ) -> Result<Response<pb::HandleExistenceCheckReply>, Status> {
        Ok(Response::new(pb::HandleExistenceCheckReply::default()))
    }

    async fn initialize(
        &self,
        _: Request<pb::InitializeArgs>,
    ) -> Result<Response<pb::InitializeReply>, Status> {
        Ok(Response::new(pb::InitializeReply::default()))
    }

    async fn invalidate_key(
        &self,
        _: Request<pb::InvalidateKeyArgs>,
    ) -> Result<Response<pb::Empty>, Status> {
        Ok(Response::new(pb::Empty {}))
    }

    async fn cleanup(&self, _: Request<pb::Empty>) -> Result<Response<pb::Empty>, Status> {
        Ok(Response::new(pb::Empty {}))
    }
}
