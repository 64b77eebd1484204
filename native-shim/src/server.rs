//! From a bound socket to the end: announce, serve, stop.

use std::fs::File;
use std::io::{self, Write as _};
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use palisade_contract::Plugin;
use palisade_protocol::cert::{Identity, client_config, server_config};
use palisade_protocol::env::PluginEnv;
use palisade_protocol::handshake::{Address, Handshake};
use palisade_protocol::health::health_server::HealthServer;
use palisade_protocol::joined::Joined;
use palisade_protocol::logical::plugin_version_server::PluginVersionServer;
use palisade_protocol::multiplexing::plugin_multiplexing_server::PluginMultiplexingServer;
use palisade_protocol::pb::backend_server::BackendServer;
use palisade_protocol::plugin::grpc_broker_server::GrpcBrokerServer;
use palisade_protocol::plugin::grpc_controller_server::GrpcControllerServer;
use palisade_protocol::plugin::grpc_stdio_server::GrpcStdioServer;
use palisade_protocol::version::{self, BACKEND_PROTOCOL_VERSION};
use palisade_protocol::{BROKER_DIAL_TIMEOUT, MESSAGE_BYTES_MAX};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tonic::service::Routes;

use crate::accept::Proven;
use crate::broker::Broker;
use crate::channel::{CONNECTION_WINDOW_BYTES, STREAM_WINDOW_BYTES};
use crate::instances::Instances;
use crate::process::Stdout;
use crate::services::{
    BackendService, BrokerService, ControllerService, HealthService, MultiplexingService,
    StdioService, VersionService,
};
use crate::stdout::Backlog;
use crate::stop::Stop;
use crate::{StartError, accept, listener, parent};

/// How many calls one connection may have under way: those of every mount that the process serves.
const CALLS_MAX: u32 = 4096;

/// How long calls in flight may take once the host has asked for the end. It kills after two seconds.
const DRAIN_MAX: Duration = Duration::from_millis(1500);

/// Serves until the host asks for the end, is gone, or SIGTERM comes.
pub(crate) async fn run(
    plugin: Arc<dyn Plugin>,
    env: PluginEnv,
    stdout: Stdout,
) -> Result<(), StartError> {
    let host = env
        .host_certificate
        .as_ref()
        .ok_or(StartError::NoCertificate)?;
    let identity = Identity::generate()?;
    let to_host = Arc::new(client_config(&identity, host)?);
    let from_host = server_config(&identity, host)?;
    let listener = listener::bind(&env)?;
    let backlog = Backlog::of(stdout.captured).map_err(StartError::Stdout)?;
    let stop = Stop::new();
    watch_signals(&stop)?;
    parent::watch(stop.clone()).map_err(StartError::Runtime)?;
    let broker = Arc::new(Broker::new(BROKER_DIAL_TIMEOUT));
    let instances = Arc::new(Instances::new(plugin, Arc::clone(&broker), to_host));
    let services = services(instances, broker, backlog, &stop);
    let incoming = accept::incoming(listener.socket, from_host);

    let line = Handshake {
        protocol_version: version::choose(&[BACKEND_PROTOCOL_VERSION], &env.protocol_versions),
        address: Address::Unix(listener.file.path().to_owned()),
        certificate: Some(identity.certificate().clone()),
        multiplex: env.multiplex_asked.then_some(false),
    };
    announce(&stdout.real, &line).map_err(StartError::Announce)?;

    tokio::select! {
        () = answer(services, incoming, &stop) => {}
        () = overdue(&stop) => {}
    }
    Ok(())
}

/// Serves each connection until the host asks for the end, and then the calls that are under way.
///
/// Without tonic's own server, which would start a timer for each call: a host that waits no longer resets the stream.
async fn answer(services: Routes, mut incoming: mpsc::Receiver<Proven>, stop: &Stop) {
    let mut http = http2::Builder::new(TokioExecutor::new());
    http.initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_concurrent_streams(CALLS_MAX);
    let connections = GracefulShutdown::new();
    loop {
        let stream = tokio::select! {
            () = stop.requested() => break,
            arrived = incoming.recv() => match arrived {
                Some(stream) => stream,
                None => break,
            },
        };
        let service = TowerToHyperService::new(services.clone());
        let connection = http.serve_connection(TokioIo::new(Joined(stream)), service);
        // A connection that fails is the host's to open anew.
        tokio::spawn(connections.watch(connection));
    }
    connections.shutdown().await;
}

/// One write, so that no host sees half a line.
fn announce(mut stdout: &File, line: &Handshake) -> io::Result<()> {
    stdout.write_all(format!("{line}\n").as_bytes())?;
    stdout.flush()
}

/// The end that does not wait for calls in flight any longer.
async fn overdue(stop: &Stop) {
    stop.requested().await;
    tokio::time::sleep(DRAIN_MAX).await;
}

/// SIGINT is swallowed: in a terminal it reaches host and plugins at once, and the host ends its plugins itself.
fn watch_signals(stop: &Stop) -> Result<(), StartError> {
    let mut interrupt = signal(SignalKind::interrupt()).map_err(StartError::Runtime)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(StartError::Runtime)?;
    tokio::spawn(async move { while interrupt.recv().await.is_some() {} });
    let stop = stop.clone();
    tokio::spawn(async move {
        terminate.recv().await;
        stop.request();
    });
    Ok(())
}

fn services(
    instances: Arc<Instances>,
    broker: Arc<Broker>,
    backlog: Arc<Backlog>,
    stop: &Stop,
) -> Routes {
    let backend = BackendServer::new(BackendService::new(Arc::clone(&instances)))
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX);
    Routes::new(backend)
        .add_service(GrpcBrokerServer::new(BrokerService::new(
            broker,
            stop.clone(),
        )))
        .add_service(GrpcControllerServer::new(ControllerService::new(
            stop.clone(),
        )))
        .add_service(GrpcStdioServer::new(StdioService::new(
            backlog,
            stop.clone(),
        )))
        .add_service(HealthServer::new(HealthService::new(stop.clone())))
        .add_service(PluginMultiplexingServer::new(MultiplexingService))
        .add_service(PluginVersionServer::new(VersionService::new(instances)))
        .prepare()
}
