//! What the wire promises to those who call, with peers that keep to HTTP/2 and peers that do not.

mod peer;
mod turns;
mod wreck;

use std::time::Duration;

use palisade_protocol::health::HealthCheckRequest;
use palisade_protocol::health::health_client::HealthClient;

use super::super::call::was_never_sent;
use super::*;
use peer::{Peer, call, in_time};

async fn ask(wire: &Wire) -> Status {
    let mut client = HealthClient::with_origin(wire.clone(), Wire::origin());
    let question = client.check(HealthCheckRequest::default());
    question.await.expect_err("nobody answers")
}

#[tokio::test]
async fn what_is_asked_after_the_end_of_the_connection_has_never_left() {
    let (near, far) = tokio::io::duplex(1 << 16);
    let wire = Wire::open(near).await.unwrap();
    drop(far);
    in_time(wire.ended()).await;
    assert!(was_never_sent(&ask(&wire).await));
}

#[tokio::test]
async fn what_waits_for_a_peer_that_admits_nothing_is_bounded() {
    let (near, _far) = tokio::io::duplex(1 << 16);
    let wire = Wire::open(near).await.unwrap();
    let queued: Vec<_> = (0..QUEUE_MAX + 200)
        .map(|_| {
            let wire = wire.clone();
            tokio::spawn(async move { ask(&wire).await })
        })
        .collect();
    // The connection takes some of them at first; then everything stands still.
    for _ in 0..10_000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(wire.free_places(), 0);
    let mut next = wire.clone();
    let ready = std::future::poll_fn(|context| next.poll_ready(context));
    let waits = tokio::time::timeout(Duration::from_millis(50), ready).await;
    assert!(waits.is_err());
    // Those that give up make room, except for the one that h2 has.
    queued.iter().for_each(tokio::task::JoinHandle::abort);
    in_time(async {
        while wire.free_places() < QUEUE_MAX - 1 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn of_those_that_waited_at_the_end_only_the_queued_have_never_left() {
    let peer = Peer::open(1).await;
    assert_eq!(call(&peer.wire, "/now", "x").await.unwrap(), "x");
    let calls: Vec<_> = (0..5).map(|_| peer.spawn("/held", "")).collect();
    peer.arrived(1).await;
    peer.vanish();
    let mut never_sent = 0;
    for call in calls {
        let fault = in_time(call).await.unwrap().unwrap_err();
        never_sent += usize::from(matches!(fault, WireError::NeverSent));
    }
    // One has a stream, and h2 itself has the next.
    assert_eq!(never_sent, 3);
}

#[tokio::test]
async fn a_peer_that_closes_in_the_middle_of_a_call_breaks_it() {
    let peer = Peer::open(100).await;
    let call = peer.spawn("/held", "");
    peer.arrived(1).await;
    peer.vanish();
    let fault = in_time(call).await.unwrap().unwrap_err();
    assert!(matches!(fault, WireError::Broken(_)), "{fault:?}");
    in_time(peer.wire.ended()).await;
}

#[tokio::test]
async fn a_reset_by_the_peer_ends_that_call_alone() {
    let peer = Peer::open(100).await;
    let fault = call(&peer.wire, "/reset", "").await.unwrap_err();
    let WireError::Broken(status) = fault else {
        panic!("{fault:?}")
    };
    assert_eq!(status.code(), tonic::Code::Cancelled);
    assert_eq!(call(&peer.wire, "/now", "x").await.unwrap(), "x");
}

#[tokio::test]
async fn a_dropped_call_resets_its_stream() {
    let peer = Peer::open(100).await;
    let call = peer.spawn("/held", "");
    peer.arrived(1).await;
    call.abort();
    in_time(peer.given_up(1)).await;
}

#[tokio::test]
async fn bodies_larger_than_the_windows_pass() {
    let peer = Peer::open(100).await;
    let body = "x".repeat(5 * WINDOW_BYTES as usize);
    let answer = in_time(call(&peer.wire, "/now", &body)).await.unwrap();
    assert!(answer == body);
}

#[tokio::test]
async fn a_body_that_comes_in_pieces_is_sent_as_it_comes() {
    let peer = Peer::open(100).await;
    let (pieces, body) = peer::in_pieces();
    let answer = tokio::spawn(peer::exchange(peer.wire.clone(), "/now", body));
    for piece in ["in ", "three ", "pieces"] {
        pieces.send(piece).await.unwrap();
        tokio::task::yield_now().await;
    }
    drop(pieces);
    assert_eq!(in_time(answer).await.unwrap().unwrap(), "in three pieces");
}

#[tokio::test]
async fn the_connection_ends_with_the_last_clone_and_its_last_call() {
    let peer = Peer::open(100).await;
    let (wire, call) = (peer.wire.clone(), peer.spawn("/held", "x"));
    peer.arrived(1).await;
    let driver = Arc::clone(wire.hold.driver());
    let gate = peer.leave_to_its_calls();
    drop(wire);
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(!driver.has_ended());
    gate.add_permits(1);
    assert_eq!(in_time(call).await.unwrap().unwrap(), "x");
    in_time(async {
        while !driver.has_ended() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

impl Wire {
    fn free_places(&self) -> usize {
        self.places.available_permits()
    }

    async fn ended(&self) {
        while !self.hold.driver().has_ended() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}
