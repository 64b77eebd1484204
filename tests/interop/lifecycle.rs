//! The life of a Go process: it is late, it dies, it is killed, it is stopped.

use std::time::Duration;

use palisade_runtime::ErrorKind;
use palisade_runtime::contract::Operation;
use palisade_tests::{Harness, expect_kind, reaped};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::peers::{BAO_PEERS, Peer, cases, enable, mount};

cases! {
    CASES for BAO_PEERS;
    a_request_that_takes_too_long_is_a_timeout_and_the_process_lives,
    a_panic_is_a_crash_and_the_next_request_is_served,
    an_exit_is_a_crash_with_its_status_and_the_next_request_is_served,
    a_killed_process_is_replaced,
    two_mounts_have_their_own_storage,
    a_disabled_mount_leaves_no_process,
}

async fn a_request_that_takes_too_long_is_a_timeout_and_the_process_lives(h: Harness, peer: Peer) {
    mount(&h, peer, "p").await;
    let before = h.info("p").process_id;
    let limit = Duration::from_millis(200);
    let late = h.request_within(limit, Operation::Update, "p/slow", json!({ "ms": 60_000 }));
    expect_kind(late.await, ErrorKind::Timeout);
    assert_eq!(
        h.write("p/slow", json!({ "ms": 1 })).await.unwrap()["waited"],
        true
    );
    assert_eq!(h.info("p").process_id, before);
}

async fn a_panic_is_a_crash_and_the_next_request_is_served(h: Harness, peer: Peer) {
    mount(&h, peer, "p").await;
    let outcome = h.write("p/panic", Value::Null).await;
    expect_kind(outcome, ErrorKind::Crashed);
    assert!(h.read("p/pid").await.is_ok());
}

async fn an_exit_is_a_crash_with_its_status_and_the_next_request_is_served(h: Harness, peer: Peer) {
    mount(&h, peer, "p").await;
    let error = expect_kind(h.write("p/exit", Value::Null).await, ErrorKind::Crashed);
    assert!(
        error.to_string().contains("exited with status 3"),
        "{error}"
    );
    assert!(h.read("p/pid").await.is_ok());
}

async fn a_killed_process_is_replaced(h: Harness, peer: Peer) {
    mount(&h, peer, "p").await;
    h.write("p/store/a", json!({ "bytes": 3 })).await.unwrap();
    let first = process(&h, "p");
    kill_process(first, Signal::KILL).unwrap();
    reaped(first).await;
    assert_eq!(h.read("p/store/a").await.unwrap()["value"], "xxx");
    assert_ne!(process(&h, "p"), first);
}

async fn two_mounts_have_their_own_storage(h: Harness, peer: Peer) {
    mount(&h, peer, "p").await;
    enable(&h, peer, "q").await;
    h.write("p/store/a", json!({ "bytes": 1 })).await.unwrap();
    assert_eq!(h.read("q/store/a").await.unwrap(), Value::Null);
}

async fn a_disabled_mount_leaves_no_process(h: Harness, peer: Peer) {
    mount(&h, peer, "p").await;
    let process = process(&h, "p");
    h.disable("p").await.unwrap();
    reaped(process).await;
}

/// The process that serves a mount now. Its own number for itself is another: it may be the first of a namespace.
fn process(h: &Harness, path: &str) -> Pid {
    let number = h.info(path).process_id.expect("a process runs");
    Pid::from_raw(number.cast_signed()).unwrap()
}
