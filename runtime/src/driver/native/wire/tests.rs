//! What the wire promises to those who call, with peers that keep to HTTP/2 and peers that do not.

use std::time::Duration;

use palisade_protocol::health::HealthCheckRequest;
use palisade_protocol::health::health_client::HealthClient;
use tonic::Status;

use super::super::call::was_never_sent;
use super::*;

const LIMIT: Duration = Duration::from_secs(10);

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
    let closed = async {
        while !wire.has_ended() {
            tokio::task::yield_now().await;
        }
    };
    let in_time = tokio::time::timeout(LIMIT, closed).await;
    in_time.expect("the end is seen");
    assert!(was_never_sent(&ask(&wire).await));
}

#[tokio::test]
async fn what_waits_for_a_peer_that_admits_nothing_is_bounded() {
    let (near, _far) = tokio::io::duplex(1 << 16);
    let wire = Wire::open(near).await.unwrap();
    // Until a peer says how many streams it admits, a hundred are taken as given.
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
    queued.iter().for_each(tokio::task::JoinHandle::abort);
}

impl Wire {
    fn free_places(&self) -> usize {
        self.places.available_permits()
    }

    fn has_ended(&self) -> bool {
        self.hold.driver().has_ended()
    }
}
