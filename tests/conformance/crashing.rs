//! A plugin that dies: the caller is told, nothing else is harmed, and the next request is served.

use std::time::Duration;

use palisade_runtime::ErrorKind;
use palisade_runtime::contract::Operation;
use palisade_tests::{Guest, Harness, Mode, expect_kind, reaped};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use serde_json::{Value, json};

use crate::case::cases;

cases! {
    a_crash_is_told_and_the_next_request_is_served,
    a_panic_is_told_and_the_next_request_is_served,
    an_exit_is_told_and_the_next_request_is_served,
    a_crash_of_a_component_is_kept_with_its_mount,
    a_crash_of_one_mount_leaves_its_sister_alone,
    mounts_of_one_entry_are_all_served_after_a_crash_of_one,
    a_killed_process_is_replaced_at_the_next_request,
    a_request_that_may_have_had_an_effect_is_not_sent_again,
    a_safe_read_that_lost_its_process_is_sent_again,
    fifty_requests_after_a_crash_cause_one_start,
    a_plugin_that_keeps_crashing_is_started_ever_later,
    a_thousand_requests_that_crash_a_process_cause_few_starts,
}

async fn a_crash_is_told_and_the_next_request_is_served(h: Harness) {
    h.mount(Guest::Hostile).await;
    let outcome = h.write("hostile/crash", Value::Null).await;
    let kind = match h.mode.is_wasm() {
        true => ErrorKind::Trap,
        false => ErrorKind::Crashed,
    };
    let error = expect_kind(outcome, kind);
    assert!(error.to_string().contains("hostile"), "{error}");
    assert!(h.read("hostile/echo").await.is_ok());
}

async fn a_panic_is_told_and_the_next_request_is_served(h: Harness) {
    h.mount(Guest::Hostile).await;
    let outcome = h.write("hostile/panic", Value::Null).await;
    let kind = match h.mode {
        Mode::Builtin => ErrorKind::Crashed,
        // The shim catches it; the process serves others too.
        Mode::Native => ErrorKind::Plugin,
        Mode::WasmCall | Mode::WasmMount => ErrorKind::Trap,
    };
    expect_kind(outcome, kind);
    assert!(h.read("hostile/echo").await.is_ok());
}

async fn an_exit_is_told_and_the_next_request_is_served(h: Harness) {
    h.mount(Guest::Hostile).await;
    let outcome = h.write("hostile/exit", json!({ "code": 3 })).await;
    let kind = match h.mode.is_wasm() {
        true => ErrorKind::Trap,
        false => ErrorKind::Crashed,
    };
    expect_kind(outcome, kind);
    assert!(h.read("hostile/echo").await.is_ok());
}

async fn a_crash_of_a_component_is_kept_with_its_mount(h: Harness) {
    const CANARY: &str = "hunter2-canary";
    h.mount(Guest::Hostile).await;
    let stored = format!("hostile/store/{CANARY}");
    h.write(&stored, json!({ "value": CANARY })).await.unwrap();
    let path = format!("hostile/write-then/trap/{CANARY}");
    h.write(&path, json!({ "value": CANARY }))
        .await
        .unwrap_err();
    let info = h.info("hostile");
    let crash = info.last_crashes.last().unwrap();
    assert_eq!((info.crashes, crash.kind), (1, ErrorKind::Trap));
    let names = crash.backtrace.join(" ");
    assert!(names.contains("palisade_hostile"), "{names}");
    let put = |call: &palisade_runtime::HostCall| call.function == "put";
    assert!(
        crash.last_host_calls.iter().any(put),
        "the control: {crash:?}"
    );
    assert!(!format!("{crash:?}").contains(CANARY), "{crash:?}");
    // It outlives the plugin's next start.
    h.reload("hostile").await.unwrap();
    assert_eq!(h.info("hostile").crashes, 1);
}

async fn mounts_of_one_entry_are_all_served_after_a_crash_of_one(h: Harness) {
    h.mount(Guest::Hostile).await;
    h.mount_at("sister", Guest::Hostile, &[]).await;
    for path in ["hostile", "sister"] {
        let stored = format!("{path}/store/a");
        h.write(&stored, json!({ "value": path })).await.unwrap();
    }
    // In a process that they share both die of it.
    let shared = h.info("hostile").process_id;
    assert_eq!(shared, h.info("sister").process_id);
    h.write("hostile/crash", Value::Null).await.unwrap_err();
    for path in ["sister", "hostile"] {
        let stored = h.read(&format!("{path}/store/a")).await.unwrap();
        assert_eq!(stored["value"], path);
    }
    assert_eq!(h.info("hostile").process_id, h.info("sister").process_id);
}

async fn a_crash_of_one_mount_leaves_its_sister_alone(h: Harness) {
    h.register_apart(Guest::Hostile).await;
    for path in ["hostile", "sister"] {
        h.enable(path, Guest::Hostile, &[]).await.unwrap();
    }
    let waiting = {
        let h = h.clone();
        tokio::spawn(async move { h.write("sister/wait", json!({ "ms": 700 })).await })
    };
    h.write("hostile/crash", Value::Null).await.unwrap_err();
    waiting.await.unwrap().unwrap();
}

async fn a_killed_process_is_replaced_at_the_next_request(h: Harness) {
    h.mount(Guest::Hostile).await;
    h.write("hostile/store/a", json!({ "value": "kept" }))
        .await
        .unwrap();
    let first = process(&h);
    killed(first).await;
    // This path is not declared safe, and nothing needs to be sent twice.
    let answer = h.write("hostile/store/b", json!({ "value": "next" })).await;
    answer.unwrap();
    assert_eq!(h.read("hostile/store/a").await.unwrap()["value"], "kept");
    assert_ne!(process(&h), first);
    reaped(first).await;
}

async fn a_request_that_may_have_had_an_effect_is_not_sent_again(h: Harness) {
    h.mount(Guest::Hostile).await;
    // It writes, then dies: sent a second time it would kill the next process as well. Reading may do as much.
    for operation in [Operation::Update, Operation::Read] {
        let before = initialized(&h).await;
        let outcome = h
            .request(
                operation,
                "hostile/write-then/exit/a",
                json!({ "value": "once" }),
            )
            .await;
        outcome.unwrap_err();
        let after = initialized(&h).await;
        assert_eq!(after, before + 1, "one start after one crash");
    }
}

async fn a_safe_read_that_lost_its_process_is_sent_again(h: Harness) {
    h.mount(Guest::Hostile).await;
    let first = process(&h);
    let read = {
        let h = h.clone();
        tokio::spawn(async move {
            h.request(Operation::Read, "hostile/wait", json!({ "ms": 1000 }))
                .await
        })
    };
    // Whether it has left by now does not matter: it is answered either way.
    tokio::time::sleep(Duration::from_millis(200)).await;
    killed(first).await;
    read.await.unwrap().unwrap();
    assert_ne!(process(&h), first);
}

async fn fifty_requests_after_a_crash_cause_one_start(h: Harness) {
    h.mount(Guest::Hostile).await;
    let before = initialized(&h).await;
    kill_process(process(&h), Signal::KILL).unwrap();
    let read = || {
        let h = h.clone();
        tokio::spawn(async move { h.read("hostile/echo").await })
    };
    for read in std::iter::repeat_with(read).take(50).collect::<Vec<_>>() {
        read.await.unwrap().unwrap();
    }
    assert_eq!(initialized(&h).await, before + 1);
}

async fn a_plugin_that_keeps_crashing_is_started_ever_later(h: Harness) {
    h.mount(Guest::Hostile).await;
    let mut refused = None;
    for _ in 0..6 {
        let limit = Duration::from_millis(500);
        let outcome = h.request_within(limit, Operation::Update, "hostile/crash", Value::Null);
        let error = outcome.await.unwrap_err();
        if error.kind() == ErrorKind::Unavailable {
            refused = Some(error);
            break;
        }
    }
    let error = refused
        .expect("a start should have been put off")
        .to_string();
    assert!(error.contains("times in a row"), "{error}");
}

async fn a_thousand_requests_that_crash_a_process_cause_few_starts(h: Harness) {
    h.mount(Guest::Hostile).await;
    for _ in 0..1000 {
        let limit = Duration::from_millis(2);
        let outcome = h.request_within(limit, Operation::Update, "hostile/crash", Value::Null);
        outcome.await.unwrap_err();
    }
    // The waits double from a quarter of a second: some seconds have room for six, and this question makes one more start.
    let starts = initialized(&h).await;
    assert!((3..=12).contains(&starts), "{starts}");
}

/// How often `initialize` has run, once for each generation.
async fn initialized(h: &Harness) -> u64 {
    let answer = h.read("hostile/initialized").await.unwrap();
    answer["times"].as_u64().unwrap()
}

fn process(h: &Harness) -> Pid {
    let id = h.info("hostile").process_id.expect("a process runs");
    Pid::from_raw(i32::try_from(id).unwrap()).unwrap()
}

/// Kills a process and waits until it has died. Whoever asks then finds that out before anything is sent.
async fn killed(process: Pid) {
    let end = pidfd_open(process, PidfdFlags::empty()).unwrap();
    kill_process(process, Signal::KILL).unwrap();
    let died = tokio::task::spawn_blocking(move || {
        let limit = Timespec {
            tv_sec: 10,
            tv_nsec: 0,
        };
        poll(&mut [PollFd::new(&end, PollFlags::IN)], Some(&limit)).unwrap()
    });
    assert_eq!(died.await.unwrap(), 1, "it lives on after SIGKILL");
}
