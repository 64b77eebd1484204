//! A host in small: starts this executable as a plugin, connects as go-plugin does, serves it storage.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::PathBuf;
use std::pin::Pin;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use futures_util::StreamExt as _;
use hyper_util::rt::TokioIo;
use palisade_contract::{Json, Operation};
use palisade_protocol::cert::{
    Identity, PeerCertificate, SERVER_NAME, client_config, server_config,
};
use palisade_protocol::env::{Application, COOKIE_NAME, LaunchEnv};
use palisade_protocol::handshake::{Address, Handshake};
use palisade_protocol::log_line::{LogLine, LogReader};
use palisade_protocol::pb::backend_client::BackendClient;
use palisade_protocol::pb::storage_server::StorageServer;
use palisade_protocol::pb::system_view_server::SystemViewServer;
use palisade_protocol::plugin::ConnInfo;
use palisade_protocol::plugin::grpc_broker_client::GrpcBrokerClient;
use palisade_protocol::plugin::grpc_stdio_client::GrpcStdioClient;
use palisade_protocol::{MESSAGE_BYTES_MAX, MULTIPLEX_ID, pb};
use rustls::ServerConfig;
use rustls::pki_types::ServerName;
use tempfile::TempDir;
use tokio::net::{UnixListener, UnixStream};
use tokio::runtime::Runtime;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tonic::transport::{Channel, Endpoint, Server, Uri};
use tonic::{Request, Status};
use tower::service_fn;

use crate::services::{Facts, Kind, Store};

/// Set to serve without a cookie, as somebody would who starts a plugin by hand.
pub(crate) const BY_HAND: &str = "PALISADE_TEST_BY_HAND";

/// How long anything here may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Waits, and gives up with a clear word.
///
/// Boxed, because requests are large and futures of calls hold them.
pub(crate) fn within<'a, T: 'a>(
    future: impl Future<Output = T> + 'a,
) -> Pin<Box<dyn Future<Output = T> + 'a>> {
    Box::pin(async {
        let waited = tokio::time::timeout(PATIENCE, future).await;
        waited.expect("an answer in time")
    })
}

/// Looks again and again until it holds.
pub(crate) async fn eventually(mut holds: impl FnMut() -> bool) {
    within(async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

/// A plugin's process and everything that is needed to talk to it.
pub(crate) struct Host {
    pub(crate) runtime: Runtime,
    pub(crate) dir: TempDir,
    pub(crate) identity: Identity,
    pub(crate) handshake: Handshake,
    pub(crate) channel: Channel,
    child: Child,
    stdout: Option<BufReader<ChildStdout>>,
    printed: Arc<Mutex<Vec<u8>>>,
    logged: Arc<Mutex<Vec<LogLine>>>,
    offers: tokio::sync::mpsc::Sender<ConnInfo>,
    next_broker_id: AtomicU32,
}

/// A command that starts this executable as a plugin.
pub(crate) fn command(certificate: &PeerCertificate, dir: &TempDir) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let env = LaunchEnv {
        application: Application::Backend,
        server_version: "0.1.0",
        protocol_versions: &[5],
        certificate: Some(certificate),
        socket_dir: Some(dir.path()),
        metadata_mode: false,
    };
    command
        .env_clear()
        .envs(env.variables())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

impl Host {
    pub(crate) fn start() -> Self {
        Self::start_with(|_| {})
    }

    pub(crate) fn start_with(change: impl FnOnce(&mut Command)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        // A Go host's certificate, which is the harder case.
        let identity = Identity::generate_like_go().unwrap();
        let mut command = command(identity.certificate(), &dir);
        change(&mut command);
        let mut child = command.spawn().unwrap();
        let logged = read_log(&mut child);
        let (handshake, stdout) = read_handshake(&mut child);
        let runtime = Runtime::new().unwrap();
        let (channel, offers, printed) = runtime.block_on(async {
            let channel = connect(&handshake, &identity).await.unwrap();
            (channel.clone(), open_broker(&channel), open_stdio(&channel))
        });
        Self {
            runtime,
            dir,
            identity,
            handshake,
            channel,
            child,
            stdout: Some(stdout),
            printed,
            logged,
            offers,
            next_broker_id: AtomicU32::new(1),
        }
    }

    pub(crate) fn backend(&self) -> BackendClient<Channel> {
        BackendClient::new(self.channel.clone())
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX)
    }

    pub(crate) fn socket(&self) -> PathBuf {
        match &self.handshake.address {
            Address::Unix(path) => path.clone(),
            Address::Tcp(_) => panic!("a Unix socket"),
        }
    }

    pub(crate) fn certificate(&self) -> &PeerCertificate {
        self.handshake.certificate.as_ref().unwrap()
    }

    pub(crate) fn process_id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn printed(&self) -> usize {
        self.printed.lock().unwrap().len()
    }

    pub(crate) fn logged(&self, what: impl Fn(&LogLine) -> bool) -> bool {
        self.logged.lock().unwrap().iter().any(what)
    }

    /// Serves `store` on a new brokered connection and gives its number.
    pub(crate) async fn serve(&self, store: &Store) -> u32 {
        let (id, address) = self.listen(store);
        self.offer(id, &address).await;
        id
    }

    /// The same without telling the plugin where.
    pub(crate) fn listen(&self, store: &Store) -> (u32, PathBuf) {
        let id = self.next_broker_id.fetch_add(1, Ordering::Relaxed);
        let path = self.dir.path().join(format!("host{id}"));
        let tls = server_config(&self.identity, self.certificate()).unwrap();
        serve_on(UnixListener::bind(&path).unwrap(), tls, store.clone());
        (id, path)
    }

    pub(crate) async fn offer(&self, id: u32, address: &std::path::Path) {
        let offer = ConnInfo {
            service_id: id,
            network: "unix".to_owned(),
            address: address.to_str().unwrap().to_owned(),
            knock: None,
        };
        self.offers.send(offer).await.unwrap();
    }

    /// Sets up an instance; `Err` is the plugin's text.
    pub(crate) async fn set_up(
        &self,
        id: &str,
        store: &Store,
        options: &[(&str, &str)],
    ) -> Result<(), String> {
        let broker_id = self.serve(store).await;
        self.set_up_on(id, broker_id, options).await
    }

    pub(crate) async fn set_up_on(
        &self,
        id: &str,
        broker_id: u32,
        options: &[(&str, &str)],
    ) -> Result<(), String> {
        let args = pb::SetupArgs {
            broker_id,
            config: options
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            backend_uuid: format!("uuid of {id}"),
        };
        let reply = within(self.backend().setup(for_instance(id, args))).await;
        match reply.unwrap().into_inner().err {
            err if err.is_empty() => Ok(()),
            err => Err(err),
        }
    }

    /// One request, and the reply as it is.
    pub(crate) async fn send(
        &self,
        id: &str,
        operation: Operation,
        path: &str,
        data: &str,
    ) -> Result<pb::HandleRequestReply, Status> {
        let request = palisade_contract::Request::new(operation, path, Json::from_text(data));
        let args = pb::HandleRequestArgs::from(request);
        let reply = within(self.backend().handle_request(for_instance(id, args))).await;
        reply.map(tonic::Response::into_inner)
    }

    /// One request that is answered well, and the answer's body.
    pub(crate) async fn ask(&self, id: &str, path: &str) -> serde_json::Value {
        let reply = self.send(id, Operation::Read, path, "null").await.unwrap();
        assert_eq!(reply.err, None);
        serde_json::from_str(&reply.response.unwrap().data).unwrap()
    }

    /// Waits for the process to end, and gives what it still printed to the real standard output.
    pub(crate) fn wait(&mut self) -> (ExitStatus, Vec<u8>) {
        let status = wait(&mut self.child);
        let mut rest = Vec::new();
        let mut stdout = self.stdout.take().unwrap();
        stdout.read_to_end(&mut rest).unwrap();
        (status, rest)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits with patience, and kills what outlives it.
pub(crate) fn wait(child: &mut Child) -> ExitStatus {
    let start = std::time::Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if start.elapsed() > PATIENCE {
            child.kill().unwrap();
            panic!("the process does not end");
        }
        thread::sleep(Duration::from_millis(2));
    }
}

/// A request that names its instance.
pub(crate) fn for_instance<T>(id: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request
        .metadata_mut()
        .insert(MULTIPLEX_ID, id.parse().unwrap());
    request
}

fn read_handshake(child: &mut Child) -> (Handshake, BufReader<ChildStdout>) {
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut line = Vec::new();
        stdout.read_until(b'\n', &mut line).unwrap();
        let _ = sender.send((line, stdout));
    });
    let (line, stdout) = receiver.recv_timeout(PATIENCE).expect("a line in time");
    assert_eq!(line.last(), Some(&b'\n'));
    (Handshake::parse(&line).unwrap(), stdout)
}

fn read_log(child: &mut Child) -> Arc<Mutex<Vec<LogLine>>> {
    let logged = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&logged);
    let stderr = BufReader::new(child.stderr.take().unwrap());
    thread::spawn(move || {
        let mut reader = LogReader::default();
        for line in stderr.split(b'\n').map_while(Result::ok) {
            kept.lock().unwrap().push(reader.read(&line));
        }
    });
    logged
}

/// Dials the plugin with an identity of the caller's choice.
pub(crate) async fn connect(
    handshake: &Handshake,
    identity: &Identity,
) -> Result<Channel, tonic::transport::Error> {
    let Address::Unix(path) = handshake.address.clone() else {
        panic!("a Unix socket");
    };
    let tls = client_config(identity, handshake.certificate.as_ref().unwrap()).unwrap();
    let tls = TlsConnector::from(Arc::new(tls));
    let connector = service_fn(move |_: Uri| {
        let (path, tls) = (path.clone(), tls.clone());
        async move {
            let name = ServerName::try_from(SERVER_NAME).unwrap();
            let stream = UnixStream::connect(path).await?;
            tls.connect(name, stream).await.map(TokioIo::new)
        }
    });
    let endpoint = Endpoint::from_static("http://localhost");
    within(endpoint.connect_with_connector(connector)).await
}

fn open_broker(channel: &Channel) -> tokio::sync::mpsc::Sender<ConnInfo> {
    let (offers, mut offered) = tokio::sync::mpsc::channel(16);
    let outgoing = futures_util::stream::poll_fn(move |cx| offered.poll_recv(cx));
    let mut client = GrpcBrokerClient::new(channel.clone());
    tokio::spawn(async move {
        if let Ok(answers) = client.start_stream(outgoing).await {
            let mut answers = answers.into_inner();
            while let Ok(Some(_)) = answers.message().await {}
        }
    });
    offers
}

fn open_stdio(channel: &Channel) -> Arc<Mutex<Vec<u8>>> {
    let printed = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&printed);
    let mut client = GrpcStdioClient::new(channel.clone());
    tokio::spawn(async move {
        // In a case that kills the plugin at once there is none.
        let Ok(output) = client.stream_stdio(()).await else {
            return;
        };
        let mut output = output.into_inner();
        while let Ok(Some(chunk)) = output.message().await {
            assert_eq!(chunk.channel, 1);
            kept.lock().unwrap().extend(chunk.data);
        }
    });
    printed
}

/// Serves until the runtime ends. The server sees one end of a pipe in memory, which tonic takes as a connection.
fn serve_on(listener: UnixListener, tls: ServerConfig, store: Store) {
    let tls = TlsAcceptor::from(Arc::new(tls));
    let (proven, mut arrived) = tokio::sync::mpsc::channel::<std::io::Result<_>>(4);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = tls.accept(stream).await else {
                continue;
            };
            let (ours, mut theirs) = tokio::io::duplex(1 << 20);
            let _ = proven.send(Ok(ours)).await;
            tokio::spawn(async move {
                let _ = tokio::io::copy_bidirectional(&mut stream, &mut theirs).await;
            });
        }
    });
    let incoming = futures_util::stream::poll_fn(move |cx| arrived.poll_recv(cx));
    let storage = StorageServer::new(store)
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX);
    let served = Server::builder()
        .add_service(storage)
        .add_service(SystemViewServer::new(Facts))
        .serve_with_incoming(incoming.boxed());
    tokio::spawn(served);
}

/// Runs a plugin that is not expected to get as far as a handshake.
pub(crate) fn run_to_end(change: impl FnOnce(&mut Command)) -> (ExitStatus, String, String) {
    let dir = tempfile::tempdir().unwrap();
    let identity = Identity::generate().unwrap();
    let mut command = command(identity.certificate(), &dir);
    change(&mut command);
    let mut child = command.spawn().unwrap();
    let status = wait(&mut child);
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status, text(output.stdout), text(output.stderr))
}

/// Without the cookie.
pub(crate) fn by_hand(command: &mut Command) {
    command.env_remove(COOKIE_NAME).env(BY_HAND, "1");
}

/// A store of that kind, for setting up.
pub(crate) fn store(kind: Kind) -> Store {
    Store::new(kind)
}
