//! Callers that take turns at the connection, leave in the middle, or do not come.

use std::pin::{Pin, pin};

use tokio::io::ReadBuf;

use super::super::*;
use super::Duration;
use super::peer::{Peer, call, in_time, request};
use crate::driver::testing::Count;

/// A call that is polled by hand.
struct Caller {
    exchange: Pin<Box<Exchange>>,
    woken: Arc<Count>,
    /// Kept: to drop it unread is to give the stream up.
    answer: Option<http::Response<Body>>,
}

impl Caller {
    async fn ask(wire: &Wire, path: &str) -> Self {
        let mut wire = wire.clone();
        let ready = std::future::poll_fn(|context| wire.poll_ready(context));
        ready.await.expect("there is a place");
        let mut caller = Self {
            exchange: Box::pin(wire.call(request(path, RequestBody::empty()))),
            woken: Arc::default(),
            answer: None,
        };
        assert!(!caller.poll());
        caller
    }

    /// Whether it is answered.
    fn poll(&mut self) -> bool {
        let waker = self.woken.waker();
        let mut context = Context::from_waker(&waker);
        if let Poll::Ready(Ok(answer)) = self.exchange.as_mut().poll(&mut context) {
            self.answer = Some(answer);
        }
        self.answer.is_some()
    }

    async fn woken_more_often_than(&self, times: usize) {
        in_time(async {
            while self.woken.get() <= times {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }

    /// Polls whenever it is woken, until it is answered.
    async fn answered(&mut self) {
        let mut seen = self.woken.get();
        while !self.poll() {
            self.woken_more_often_than(seen).await;
            seen = self.woken.get();
        }
    }
}

#[tokio::test]
async fn callers_need_nobody_else_to_drive() {
    let peer = Peer::unattended().await;
    for _ in 0..100 {
        assert_eq!(in_time(call(&peer.wire, "/now", "x")).await.unwrap(), "x");
    }
}

#[tokio::test]
async fn one_who_drives_brings_others_their_answers() {
    let peer = Peer::unattended().await;
    let mut first = Caller::ask(&peer.wire, "/now").await;
    let mut second = Caller::ask(&peer.wire, "/held").await;
    second.woken_more_often_than(0).await;
    // Only the second is woken by the connection, and finds what is the first's.
    assert_eq!(first.woken.get(), 0);
    in_time(async {
        let mut seen = 0;
        while first.woken.get() == 0 {
            second.woken_more_often_than(seen).await;
            seen = second.woken.get();
            second.poll();
        }
    })
    .await;
    first.answered().await;
}

#[tokio::test]
async fn one_who_drives_is_not_woken_by_what_it_finds() {
    let peer = Peer::unattended().await;
    let mut caller = Caller::ask(&peer.wire, "/now").await;
    let mut seen = 0;
    loop {
        caller.woken_more_often_than(seen).await;
        seen = caller.woken.get();
        let answered = caller.poll();
        assert_eq!(caller.woken.get(), seen);
        if answered {
            break;
        }
    }
}

#[tokio::test]
async fn one_who_leaves_while_it_drives_leaves_the_wheel_to_another() {
    let peer = Peer::unattended().await;
    let mut first = Caller::ask(&peer.wire, "/held").await;
    let second = Caller::ask(&peer.wire, "/held").await;
    drop(second);
    peer.gate.add_permits(2);
    first.answered().await;
}

#[tokio::test]
async fn one_who_is_woken_and_leaves_wakes_the_next() {
    let peer = Peer::unattended().await;
    let mut first = Caller::ask(&peer.wire, "/held").await;
    let second = Caller::ask(&peer.wire, "/held").await;
    // The peer's settings come; nobody looks at them.
    second.woken_more_often_than(0).await;
    assert_eq!(first.woken.get(), 0);
    drop(second);
    assert!(first.woken.get() > 0);
    peer.gate.add_permits(2);
    first.answered().await;
}

#[tokio::test]
async fn one_who_is_not_polled_holds_up_nobody_for_long() {
    let peer = Peer::open(100).await;
    let waiting = peer.spawn("/held", "x");
    peer.arrived(1).await;
    let forgotten = Caller::ask(&peer.wire, "/held").await;
    peer.arrived(2).await;
    peer.gate.add_permits(1);
    assert_eq!(in_time(waiting).await.unwrap().unwrap(), "x");
    drop(forgotten);
}

#[tokio::test]
async fn an_idle_connection_is_answered_for() {
    let (near, far) = tokio::io::duplex(1 << 16);
    let _wire = Wire::open(near).await.unwrap();
    let mut connection = h2::server::handshake(far).await.unwrap();
    let mut ping = connection.ping_pong().unwrap();
    let serving = tokio::spawn(async move { while connection.accept().await.is_some() {} });
    for _ in 0..3 {
        in_time(ping.ping(h2::Ping::opaque())).await.unwrap();
    }
    serving.abort();
}

#[tokio::test]
async fn head_and_body_leave_in_one_write() {
    let (near, far) = tokio::io::duplex(1 << 16);
    let writes = Arc::new(Count::default());
    let counted = Counted(near, Arc::clone(&writes));
    let peer = Peer::at(far, 100, Wire::open(counted)).await;
    assert_eq!(call(&peer.wire, "/now", "x").await.unwrap(), "x");
    // Whatever opens a connection has been said by then.
    tokio::time::sleep(Duration::from_millis(50)).await;
    let before = writes.get();
    let held = peer.spawn("/held", "x");
    peer.arrived(2).await;
    assert_eq!(writes.get() - before, 1);
    peer.gate.add_permits(1);
    held.await.unwrap().unwrap();
}

/// Counts the writes to what is inside.
struct Counted(tokio::io::DuplexStream, Arc<Count>);

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        self.1.increase();
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

/// Many callers on several threads, a third of which leave at any moment; every one that stays is answered.
async fn crowd(peer: Peer) {
    // With the answer it is known how many streams the peer admits.
    assert_eq!(in_time(call(&peer.wire, "/now", "x")).await.unwrap(), "x");
    let callers: Vec<_> = (0..64_u64)
        .map(|caller| tokio::spawn(come_and_go(peer.wire.clone(), caller)))
        .collect();
    for caller in callers {
        in_time(caller).await.unwrap();
    }
    assert_eq!(in_time(call(&peer.wire, "/now", "x")).await.unwrap(), "x");
    assert_eq!(peer.wire.places.available_permits(), QUEUE_MAX);
}

async fn come_and_go(wire: Wire, caller: u64) {
    // A generator of its own for each, so that a failure comes again.
    let mut dice = caller.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    for _ in 0..100 {
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        let mut asked = pin!(call(&wire, "/now", "some text"));
        if dice.is_multiple_of(3) {
            for _ in 0..dice % 7 {
                if is_done(asked.as_mut()).await {
                    break;
                }
                tokio::task::yield_now().await;
            }
        } else {
            assert_eq!(asked.await.unwrap(), "some text");
        }
    }
}

/// Polls once.
async fn is_done(mut future: Pin<&mut impl Future>) -> bool {
    std::future::poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_ready())).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_crowd_that_comes_and_goes_is_answered() {
    crowd(Peer::open(16).await).await;
}
