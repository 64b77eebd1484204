//! Stopping: requests in flight are finished, later ones refused, and no process is left.

use std::time::Duration;

use palisade_runtime::ErrorKind;
use palisade_tests::{Guest, Harness, expect_kind};
use rustix::process::{Pid, test_kill_process};
use serde_json::json;

use crate::case::cases;

cases! {
    a_stopped_runtime_refuses_everything,
    a_request_in_flight_is_finished_before_the_stop,
    no_process_is_left_after_a_stop,
    a_busy_loop_does_not_hold_up_a_stop_for_ever,
}

async fn a_stopped_runtime_refuses_everything(h: Harness) {
    h.mount(Guest::Hostile).await;
    h.shutdown().await;
    expect_kind(h.read("hostile/echo").await, ErrorKind::Stopping);
    let error = h.enable("again", Guest::Hostile, &[]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Stopping);
}

async fn a_request_in_flight_is_finished_before_the_stop(h: Harness) {
    h.mount(Guest::Hostile).await;
    h.read("hostile/echo").await.unwrap();
    let waiting = {
        let h = h.clone();
        tokio::spawn(async move { h.write("hostile/wait", json!({ "ms": 800 })).await })
    };
    tokio::time::sleep(Duration::from_millis(200)).await;
    h.shutdown().await;
    waiting.await.unwrap().unwrap();
}

async fn no_process_is_left_after_a_stop(h: Harness) {
    h.mount_at("one", Guest::Hostile, &[]).await;
    h.mount_at("two", Guest::Hostile, &[]).await;
    let processes: Vec<_> = h
        .runtime
        .mounts()
        .iter()
        .filter_map(|m| m.process_id)
        .collect();
    assert!(!processes.is_empty());
    let processes = processes
        .into_iter()
        .filter_map(|id| Pid::from_raw(id as i32));
    let processes: Vec<_> = processes.collect();
    // The control: they are there now.
    assert!(
        processes
            .iter()
            .all(|process| test_kill_process(*process).is_ok())
    );
    h.shutdown().await;
    assert!(
        processes
            .iter()
            .all(|process| test_kill_process(*process).is_err())
    );
}

async fn a_busy_loop_does_not_hold_up_a_stop_for_ever(h: Harness) {
    h.mount(Guest::Hostile).await;
    h.read("hostile/echo").await.unwrap();
    let spinning = {
        let h = h.clone();
        tokio::spawn(async move { h.write("hostile/spin", json!({})).await })
    };
    tokio::time::sleep(Duration::from_millis(300)).await;
    let stopped = tokio::time::timeout(Duration::from_secs(25), h.shutdown()).await;
    assert!(stopped.is_ok(), "the stop hangs");
    spinning.await.unwrap().unwrap_err();
}
