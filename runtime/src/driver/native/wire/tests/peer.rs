//! The other end of a wire under test: an HTTP/2 server in the same process that does what a path asks for.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http_body::{Body as _, Frame};
use tokio::io::DuplexStream;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinHandle};

use super::super::*;
use super::Duration;

/// How long anything may take that should happen at once.
pub(super) const LIMIT: Duration = Duration::from_secs(20);

pub(super) async fn in_time<T>(future: impl Future<Output = T>) -> T {
    let outcome = tokio::time::timeout(LIMIT, future).await;
    outcome.expect("it happens in time")
}

/// A server, and a wire to it. Its paths: `/now` echoes, `/held` echoes once the gate lets it, `/reset` resets.
pub(super) struct Peer {
    pub(super) wire: Wire,
    pub(super) gate: Arc<Semaphore>,
    seen: Arc<Seen>,
    serving: AbortHandle,
    /// Never polled, and kept since its end would end the connection.
    _idle: Option<Background>,
}

#[derive(Default)]
struct Seen {
    arrived: AtomicUsize,
    given_up: AtomicUsize,
}

impl Peer {
    pub(super) async fn open(streams_max: u32) -> Self {
        let (near, far) = tokio::io::duplex(1 << 16);
        Self::at(far, streams_max, Wire::open(near)).await
    }

    /// With a wire that has no task of its own: if callers do not drive it, nobody does.
    pub(super) async fn unattended() -> Self {
        let (near, far) = tokio::io::duplex(1 << 16);
        let mut idle = None;
        let wire = async {
            let (wire, background) = Wire::connect(near).await?;
            idle = Some(background);
            Ok(wire)
        };
        let peer = Self::at(far, 100, wire).await;
        Self {
            _idle: idle,
            ..peer
        }
    }

    pub(super) async fn at(
        far: DuplexStream,
        streams_max: u32,
        wire: impl Future<Output = Result<Wire, h2::Error>>,
    ) -> Self {
        let (gate, seen) = (Arc::new(Semaphore::new(0)), Arc::default());
        let serving = tokio::spawn(serve(
            far,
            streams_max,
            Arc::clone(&gate),
            Arc::clone(&seen),
        ));
        let wire = wire.await.expect("the connection opens");
        Self {
            wire,
            gate,
            seen,
            serving: serving.abort_handle(),
            _idle: None,
        }
    }

    pub(super) fn spawn(
        &self,
        path: &'static str,
        body: &'static str,
    ) -> JoinHandle<Result<String, WireError>> {
        let wire = self.wire.clone();
        tokio::spawn(async move { call(&wire, path, body).await })
    }

    /// Ends without a word.
    pub(super) fn vanish(&self) {
        self.serving.abort();
    }

    /// Drops the wire and goes on.
    pub(super) fn leave_to_its_calls(self) -> Arc<Semaphore> {
        self.gate
    }

    pub(super) async fn arrived(&self, count: usize) {
        in_time(reaches(&self.seen.arrived, count)).await;
    }

    pub(super) async fn given_up(&self, count: usize) {
        reaches(&self.seen.given_up, count).await;
    }
}

async fn reaches(counter: &AtomicUsize, count: usize) {
    while counter.load(Ordering::SeqCst) < count {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn serve(far: DuplexStream, streams_max: u32, gate: Arc<Semaphore>, seen: Arc<Seen>) {
    let mut server = h2::server::Builder::new();
    let mut connection = server
        .max_concurrent_streams(streams_max)
        .handshake::<_, Bytes>(far)
        .await
        .expect("the other side speaks HTTP/2");
    while let Some(Ok((request, respond))) = connection.accept().await {
        let (gate, seen) = (Arc::clone(&gate), Arc::clone(&seen));
        tokio::spawn(async move {
            let _ = answer(request, respond, &gate, &seen).await;
        });
    }
}

async fn answer(
    request: http::Request<h2::RecvStream>,
    mut respond: h2::server::SendResponse<Bytes>,
    gate: &Semaphore,
    seen: &Seen,
) -> Result<(), h2::Error> {
    let (head, mut body) = request.into_parts();
    let mut echo = Vec::new();
    while let Some(piece) = body.data().await {
        let piece = piece?;
        body.flow_control().release_capacity(piece.len())?;
        echo.extend_from_slice(&piece);
    }
    seen.arrived.fetch_add(1, Ordering::SeqCst);
    match head.uri.path() {
        "/reset" => {
            respond.send_reset(h2::Reason::CANCEL);
            return Ok(());
        }
        "/held" => tokio::select! {
            permit = gate.acquire() => permit.expect("it stays open").forget(),
            _ = std::future::poll_fn(|context| respond.poll_reset(context)) => {
                seen.given_up.fetch_add(1, Ordering::SeqCst);
                return Ok(());
            }
        },
        _ => {}
    }
    let mut stream = respond.send_response(http::Response::new(()), false)?;
    stream.send_data(echo.into(), false)?;
    stream.send_trailers(http::HeaderMap::new())
}

pub(super) async fn call(wire: &Wire, path: &str, body: &str) -> Result<String, WireError> {
    let body = match body {
        "" => RequestBody::empty(),
        body => RequestBody::new(body.to_owned()),
    };
    exchange(wire.clone(), path, body).await
}

/// One call to its end.
pub(super) async fn exchange(
    mut wire: Wire,
    path: &str,
    body: RequestBody,
) -> Result<String, WireError> {
    std::future::poll_fn(|context| wire.poll_ready(context)).await?;
    let answer = wire.call(request(path, body)).await?;
    let mut body = answer.into_body();
    let mut text = Vec::new();
    while let Some(frame) =
        std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await
    {
        if let Ok(data) = frame?.into_data() {
            text.extend_from_slice(&data);
        }
    }
    Ok(String::from_utf8(text).expect("an echo is text"))
}

pub(super) fn request(path: &str, body: RequestBody) -> http::Request<RequestBody> {
    let request = http::Request::post(format!("http://localhost{path}"));
    request.body(body).expect("the path is one")
}

/// A body whose pieces come through a channel.
pub(super) fn in_pieces() -> (mpsc::Sender<&'static str>, RequestBody) {
    let (sender, receiver) = mpsc::channel(1);
    (sender, RequestBody::new(Pieces(receiver)))
}

struct Pieces(mpsc::Receiver<&'static str>);

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let piece = ready!(self.0.poll_recv(context));
        Poll::Ready(piece.map(|piece| Ok(Frame::data(Bytes::from(piece)))))
    }
}
