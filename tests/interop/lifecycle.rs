//! The life of a Go process: it is late, it dies, it is killed, it is stopped.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use palisade_runtime::ErrorKind;
use palisade_runtime::catalog::Manifest;
use palisade_runtime::contract::{Json, Operation, PluginType, Request};
use palisade_tests::{Harness, expect_kind, reaped};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::peers::{BAO_PEERS, Peer, cases, enable, manifest, mount, process};

cases! {
    CASES for BAO_PEERS;
    a_request_that_takes_too_long_is_a_timeout_and_the_process_lives,
    a_panic_is_a_crash_and_the_next_request_is_served,
    an_exit_is_a_crash_with_its_status_and_the_next_request_is_served,
    a_killed_process_is_replaced,
    two_mounts_have_their_own_storage,
    a_disabled_mount_leaves_no_process,
    mounts_share_a_process_exactly_where_the_plugin_multiplexes,
    an_entry_that_opts_out_has_a_process_for_each_mount,
    a_crash_that_takes_two_mounts_along_is_survived_by_both,
    a_reload_of_one_mount_disturbs_no_other,
    a_reload_of_the_plugin_moves_all_mounts_to_one_new_process,
    a_kill_under_eight_clients_loses_no_request_that_can_be_sent_again,
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

async fn mounts_share_a_process_exactly_where_the_plugin_multiplexes(h: Harness, peer: Peer) {
    let paths = three_mounts(&h, peer).await;
    let processes: BTreeSet<_> = paths.map(|path| h.info(path).process_id).into();
    let expected = if multiplexes(peer) { 1 } else { paths.len() };
    assert_eq!(processes.len(), expected, "{processes:?}");
    // Each is an instance of its own: what one keeps, no other has.
    for (path, bytes) in paths.iter().zip(1..) {
        let stored = format!("{path}/store/a");
        h.write(&stored, json!({ "bytes": bytes })).await.unwrap();
    }
    for (path, bytes) in paths.iter().zip(1..) {
        let stored = h.read(&format!("{path}/store/a")).await.unwrap();
        assert_eq!(stored["value"], "x".repeat(bytes));
    }
    // One leaves, and its clean-up is its own.
    h.disable("p").await.unwrap();
    assert_eq!(h.read("q/store/a").await.unwrap()["value"], "xx");
}

async fn an_entry_that_opts_out_has_a_process_for_each_mount(h: Harness, peer: Peer) {
    let manifest = Manifest {
        dedicated: true,
        ..manifest(&h, peer, PluginType::Secret, &[])
    };
    h.runtime.register(manifest).await.unwrap();
    for path in ["p", "q"] {
        enable(&h, peer, path).await;
    }
    assert_ne!(h.info("p").process_id, h.info("q").process_id);
}

async fn a_crash_that_takes_two_mounts_along_is_survived_by_both(h: Harness, peer: Peer) {
    let paths = three_mounts(&h, peer).await;
    h.write("q/store/a", json!({ "bytes": 3 })).await.unwrap();
    expect_kind(h.write("p/panic", Value::Null).await, ErrorKind::Crashed);
    assert_eq!(h.read("q/store/a").await.unwrap()["value"], "xxx");
    for path in paths {
        h.read(&format!("{path}/pid")).await.unwrap();
    }
    let same = h.info("p").process_id == h.info("q").process_id;
    assert_eq!(same, multiplexes(peer));
}

async fn a_reload_of_one_mount_disturbs_no_other(h: Harness, peer: Peer) {
    three_mounts(&h, peer).await;
    let before = h.info("q").process_id;
    let waiting = {
        let h = h.clone();
        tokio::spawn(async move { h.write("q/slow", json!({ "ms": 500 })).await })
    };
    h.reload("p").await.unwrap();
    assert_eq!(waiting.await.unwrap().unwrap()["waited"], true);
    assert_eq!(h.info("q").process_id, before);
    assert_ne!(h.info("p").process_id, before);
    h.read("p/pid").await.unwrap();
}

async fn a_reload_of_the_plugin_moves_all_mounts_to_one_new_process(h: Harness, peer: Peer) {
    let paths = three_mounts(&h, peer).await;
    let before = paths.map(|path| process(&h, path));
    let name = peer.name().parse().unwrap();
    let reloaded = h.runtime.reload_plugin(&name).await.unwrap();
    assert_eq!(reloaded.len(), paths.len());
    for old in before {
        reaped(old).await;
    }
    let after: BTreeSet<_> = paths.map(|path| h.info(path).process_id).into();
    let expected = if multiplexes(peer) { 1 } else { paths.len() };
    assert_eq!(after.len(), expected, "{after:?}");
}

/// Eight clients ask one after the other; the process is killed again and again. Each of their requests can be sent again:
/// questions whether something exists have no effect.
async fn a_kill_under_eight_clients_loses_no_request_that_can_be_sent_again(
    h: Harness,
    peer: Peer,
) {
    mount(&h, peer, "p").await;
    let until = Instant::now() + Duration::from_secs(2);
    let clients = (0..8).map(|_| {
        let h = h.clone();
        tokio::spawn(async move {
            let mut answered = 0_u32;
            while Instant::now() < until {
                let question = Request::new(Operation::Create, "p/store/a", Json::null());
                let limit = Some(Duration::from_secs(20));
                h.runtime.exists(question, limit).await.unwrap();
                answered += 1;
            }
            answered
        })
    });
    let clients: Vec<_> = clients.collect();
    let mut kills = 0;
    while Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(300)).await;
        if let Some(number) = h.info("p").process_id {
            let process = Pid::from_raw(number.cast_signed()).unwrap();
            kills += u32::from(kill_process(process, Signal::KILL).is_ok());
        }
    }
    assert!(kills > 1, "it was killed {kills} times");
    for client in clients {
        let answered = client.await.unwrap();
        assert!(answered > 0);
    }
}

/// Enables it at three paths.
async fn three_mounts(h: &Harness, peer: Peer) -> [&'static str; 3] {
    mount(h, peer, "p").await;
    for path in ["q", "r"] {
        enable(h, peer, path).await;
    }
    ["p", "q", "r"]
}

fn multiplexes(peer: Peer) -> bool {
    matches!(
        peer,
        Peer::Go {
            multiplex: true,
            ..
        }
    )
}
