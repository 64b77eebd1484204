//! What a connection promises to a plugin that keeps to HTTP/2, and withstands from one that does not.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use async_trait::async_trait;
use h2::client::{ResponseFuture, SendRequest};
use h2::{Reason, SendStream};
use palisade_protocol::pb;
use prost::Message;
use tokio::io::DuplexStream;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tonic::Code;

use super::*;
use crate::Limits;
use crate::driver::native::services::{InstanceServices, Phase};
use crate::driver::testing::{Count, services_over};
use crate::store::{Commit, MemoryStore, Snapshot, Store, StoreError};

const MIB: usize = 1 << 20;

/// Long enough for what comes at once.
const SHORT: Patience = Patience {
    begin: Duration::from_millis(500),
    stop: Duration::from_millis(500),
};

/// A connection that is served, and a plugin's end of it.
struct Plugin {
    calls: Calls,
    stop: CancellationToken,
    served: JoinHandle<Result<(), ServeError>>,
}

/// What a plugin calls by.
struct Calls(SendRequest<Bytes>);

/// What a call was answered.
struct Said {
    code: Code,
    message: Bytes,
}

impl Plugin {
    async fn connect(store: Arc<dyn Store>) -> Self {
        let (near, far) = tokio::io::duplex(64 << 10);
        let stop = CancellationToken::new();
        let served = tokio::spawn(serve(near, services(store), stop.clone(), SHORT));
        Self {
            calls: Calls::over(far).await,
            stop,
            served,
        }
    }
}

fn services(store: Arc<dyn Store>) -> Services {
    let limits = Limits::default();
    let services = InstanceServices::new(services_over(store, &limits), Duration::from_secs(60));
    services.enter(Phase::Running);
    Services::Of(services)
}

impl Calls {
    async fn over(far: DuplexStream) -> Self {
        let (requests, connection) = h2::client::handshake(far).await.unwrap();
        tokio::spawn(connection);
        Self(requests)
    }

    /// Begins a call, whose body is to follow.
    async fn begin(&self, path: &str) -> (ResponseFuture, SendStream<Bytes>) {
        let mut requests = self.0.clone().ready().await.unwrap();
        let uri = format!("http://localhost{path}");
        let request = http::Request::post(uri).body(()).unwrap();
        requests.send_request(request, false).unwrap()
    }

    async fn make(&self, path: &str, message: impl Message) -> Said {
        let (response, mut body) = self.begin(path).await;
        body.send_data(framed(&message), true).unwrap();
        said(response).await
    }
}

fn framed(message: &impl Message) -> Bytes {
    let message = message.encode_to_vec();
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[0], &length[..], &message].concat().into()
}

async fn said(response: ResponseFuture) -> Said {
    let (head, mut body) = response.await.unwrap().into_parts();
    assert_eq!(head.headers[CONTENT_TYPE], "application/grpc");
    let mut message = Vec::new();
    while let Some(data) = body.data().await {
        let data = data.unwrap();
        body.flow_control().release_capacity(data.len()).unwrap();
        message.extend_from_slice(&data);
    }
    let trailers = body.trailers().await.unwrap().unwrap_or_default();
    let status =
        Status::from_header_map(&head.headers).or_else(|| Status::from_header_map(&trailers));
    Said {
        code: status.expect("there is a status").code(),
        message: message.into(),
    }
}

fn get(key: &str) -> pb::StorageGetArgs {
    pb::StorageGetArgs {
        key: key.to_owned(),
        ..Default::default()
    }
}

/// A store that holds up or breaks whoever reads of it.
#[derive(Default)]
struct Trap {
    panics: bool,
    arrived: Arc<Notify>,
    left: Arc<AtomicBool>,
}

struct Leaving(Arc<AtomicBool>);

impl Drop for Leaving {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[async_trait]
impl Store for Trap {
    async fn snapshot(&self) -> Result<Box<dyn Snapshot>, StoreError> {
        assert!(!self.panics, "a fault of the host");
        let _leaving = Leaving(Arc::clone(&self.left));
        self.arrived.notify_one();
        std::future::pending().await
    }

    async fn commit(&self, _: Commit) -> Result<(), StoreError> {
        unreachable!("nothing is written here")
    }
}

#[tokio::test]
async fn a_message_that_is_larger_than_every_window_comes_and_goes_whole() {
    let plugin = Plugin::connect(Arc::new(MemoryStore::new())).await;
    let value: Vec<u8> = (0..3 * MIB).map(|byte| byte.to_le_bytes()[1]).collect();
    let entry = pb::StorageEntry {
        key: "large".to_owned(),
        value: value.clone(),
        ..Default::default()
    };
    let put = pb::StoragePutArgs {
        entry: Some(entry),
        ..Default::default()
    };
    let put = plugin.calls.make("/pb.Storage/Put", put).await;
    assert_eq!(put.code, Code::Ok);
    let got = plugin.calls.make("/pb.Storage/Get", get("large")).await;
    let reply = pb::StorageGetReply::decode(&got.message[5..]).unwrap();
    assert!(reply.entry.expect("it is there").value == value);
}

#[tokio::test]
async fn no_turn_wakes_itself() {
    let (near, far) = tokio::io::duplex(64 << 10);
    let services = services(Arc::new(MemoryStore::new()));
    let mut served = pin!(serve(near, services, CancellationToken::new(), SHORT));
    let plugin = tokio::spawn(async {
        let calls = Calls::over(far).await;
        let (one, two) = (
            calls.make("/pb.Storage/Get", get("x")),
            calls.make("/pb.Storage/Get", get("y")),
        );
        let (one, two) = tokio::join!(one, two);
        assert_eq!((one.code, two.code), (Code::Ok, Code::Ok));
    });
    let woken = Arc::<Count>::default();
    let waker = woken.waker();
    while !plugin.is_finished() {
        let before = woken.get();
        let ended = served.as_mut().poll(&mut Context::from_waker(&waker));
        assert!(ended.is_pending());
        assert_eq!(woken.get(), before);
        tokio::task::yield_now().await;
    }
    plugin.await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_answered_is_a_status_and_the_connection_goes_on() {
    let plugin = Plugin::connect(Arc::new(MemoryStore::new())).await;
    for path in [
        "/pb.Storage/Nonsense",
        "/pb.Nonsense/Get",
        "/",
        "/pb.Storage",
    ] {
        let said = plugin.calls.make(path, get("x")).await;
        assert_eq!(said.code, Code::Unimplemented, "{path}");
    }
    let bodies: [(&[u8], Code); 4] = [
        (&[], Code::Internal),
        (&[0, 0, 0, 0, 9, 1], Code::Internal),
        (&[0, 0, 0, 0, 1, 255], Code::Internal),
        (&[1, 0, 0, 0, 0], Code::Unimplemented),
    ];
    for (body, expected) in bodies {
        let (response, mut stream) = plugin.calls.begin("/pb.Storage/Get").await;
        stream.send_data(Bytes::from_static(body), true).unwrap();
        assert_eq!(said(response).await.code, expected, "{body:?}");
    }
    let asked = plugin
        .calls
        .make("/pb.Storage/IsTransactional", pb::Empty {})
        .await;
    assert_eq!(asked.code, Code::Ok);
}

#[tokio::test]
async fn a_panic_in_one_call_is_that_calls_own() {
    let trap = Trap {
        panics: true,
        ..Trap::default()
    };
    let plugin = Plugin::connect(Arc::new(trap)).await;
    assert_eq!(
        plugin.calls.make("/pb.Storage/Get", get("x")).await.code,
        Code::Internal
    );
    let asked = plugin
        .calls
        .make("/pb.Storage/IsTransactional", pb::Empty {})
        .await;
    assert_eq!(asked.code, Code::Ok);
}

#[tokio::test]
async fn a_call_that_the_plugin_gives_up_is_dropped() {
    let trap = Trap::default();
    let (arrived, left) = (Arc::clone(&trap.arrived), Arc::clone(&trap.left));
    let plugin = Plugin::connect(Arc::new(trap)).await;
    let (response, mut body) = plugin.calls.begin("/pb.Storage/Get").await;
    body.send_data(framed(&get("x")), true).unwrap();
    arrived.notified().await;
    body.send_reset(Reason::CANCEL);
    drop(response);
    while !left.load(Ordering::SeqCst) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_connection_that_is_to_stop_ends_with_a_call_under_way() {
    let trap = Trap::default();
    let arrived = Arc::clone(&trap.arrived);
    let plugin = Plugin::connect(Arc::new(trap)).await;
    let (_response, mut body) = plugin.calls.begin("/pb.Storage/Get").await;
    body.send_data(framed(&get("x")), true).unwrap();
    arrived.notified().await;
    plugin.stop.cancel();
    plugin.served.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_connection_that_is_to_stop_ends_without_the_wait_when_there_are_no_calls() {
    let plugin = Plugin::connect(Arc::new(MemoryStore::new())).await;
    plugin
        .calls
        .make("/pb.Storage/IsTransactional", pb::Empty {})
        .await;
    let begun = Instant::now();
    plugin.stop.cancel();
    // Whichever side closes first: it is over.
    let _ = plugin.served.await.unwrap();
    assert!(begun.elapsed() < SHORT.stop);
}

#[tokio::test]
async fn a_connection_that_never_begins_is_given_up() {
    let (near, _far) = tokio::io::duplex(64);
    let served = serve(near, Services::None, CancellationToken::new(), SHORT).await;
    assert!(matches!(served, Err(ServeError::Slow(_))));
}

#[tokio::test]
async fn calls_beyond_the_limit_are_not_admitted() {
    let plugin = Plugin::connect(Arc::new(MemoryStore::new())).await;
    plugin
        .calls
        .make("/pb.Storage/IsTransactional", pb::Empty {})
        .await;
    assert_eq!(
        plugin.calls.0.current_max_send_streams(),
        CALLS_MAX as usize
    );
}

#[tokio::test]
async fn messages_that_never_come_whole_hold_a_bounded_part_of_memory() {
    let plugin = Plugin::connect(Arc::new(MemoryStore::new())).await;
    let mut begun = Vec::new();
    let beginning = |bytes: usize| {
        let length = u32::try_from(bytes).unwrap().to_be_bytes();
        Bytes::from([&[0], &length[..], &[7]].concat())
    };
    for _ in 0..3 {
        let (response, mut body) = plugin.calls.begin("/pb.Storage/Put").await;
        body.send_data(beginning(70 * MIB), false).unwrap();
        begun.push((response, body));
    }
    // Until those have arrived there is room.
    let refused = loop {
        let (response, mut body) = plugin.calls.begin("/pb.Storage/Put").await;
        body.send_data(beginning(70 * MIB), false).unwrap();
        body.send_data(Bytes::new(), true).unwrap();
        let said = said(response).await;
        if said.code != Code::Internal {
            break said;
        }
    };
    assert_eq!(refused.code, Code::ResourceExhausted);
    drop(begun);
}
