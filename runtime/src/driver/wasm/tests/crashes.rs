//! What is kept of a crash, and what never is.

use std::time::Duration;

use super::{endless, handling, kept, limits, running};
use crate::driver::wasm::testing::{Guest, Running};
use crate::services::Deadline;
use crate::services::testing::Lines;
use crate::{CallError, Crash, ErrorKind, HostCallOutcome, Isolation, Limits};

fn calls(crash: &Crash) -> Vec<String> {
    let name = |call: &crate::HostCall| format!("{}.{}", call.interface, call.function);
    crash.last_host_calls.iter().map(name).collect()
}

#[tokio::test]
async fn a_trap_leaves_its_stack_its_use_and_its_last_calls() {
    let guest = Guest {
        more: "(func $inner (call $write) unreachable) (func $outer (call $inner))",
        ..handling("(call $outer) (call $nothing)")
    };
    let running = running(guest, limits()).await;
    let error = running.ask().await.unwrap_err();
    let crash = running.crashes(1).await.remove(0);
    assert_eq!(
        (crash.kind, crash.step),
        (ErrorKind::Trap, "handle-request")
    );
    assert_eq!(crash.plugin, "guest v1.0.0");
    assert_eq!(crash.fault, error.to_string());
    assert_eq!(crash.backtrace[..2], ["inner", "outer"]);
    assert_eq!(
        (crash.host_calls, calls(&crash)),
        (1, vec!["palisade:plugin/storage.put".to_owned()])
    );
    assert_eq!(crash.last_host_calls[0].outcome, HostCallOutcome::Ok);
    assert_eq!(
        crash.memory_bytes & !0xffff,
        2 << 16,
        "two pages, and a table"
    );
    assert!(
        (1..limits().fuel).contains(&crash.fuel_used),
        "{}",
        crash.fuel_used
    );
}

#[tokio::test]
async fn each_end_is_kept_as_what_it_was() {
    const GROW: &str = "(if (i32.eq (memory.grow (i32.const 1024)) (i32.const -1)) (then unreachable)) (call $nothing)";
    let cases = [
        ("unreachable", ErrorKind::Trap),
        ("(call $loop) (call $nothing)", ErrorKind::OutOfFuel),
        (GROW, ErrorKind::OutOfMemory),
    ];
    for (handle, kind) in cases {
        let running = running(handling(handle), limits()).await;
        assert_eq!(running.ask().await.unwrap_err().kind(), kind);
        let crash = running.crashes(1).await.remove(0);
        assert_eq!(crash.kind, kind);
        assert!(
            crash.backtrace.iter().any(|name| name.contains("handle")),
            "{crash:?}"
        );
    }
}

#[tokio::test]
async fn a_guest_that_meets_its_deadline_leaves_what_it_had_come_to() {
    for isolation in [Isolation::Call, Isolation::Mount] {
        let limits = Limits {
            isolation,
            ..endless()
        };
        let running = running(
            handling("(call $write) (call $loop) (call $nothing)"),
            limits,
        )
        .await;
        let error = running
            .ask_for(Duration::from_millis(50))
            .await
            .unwrap_err();
        let crash = running.crashes(1).await.remove(0);
        assert_eq!(
            (crash.kind, crash.step),
            (ErrorKind::Timeout, "handle-request")
        );
        assert_eq!(crash.fault, error.to_string());
        assert!(crash.fuel_used > 100_000, "{}", crash.fuel_used);
        assert!(crash.ran >= Duration::from_millis(40), "{:?}", crash.ran);
        assert_eq!(calls(&crash), ["palisade:plugin/storage.put"]);
        assert!(crash.memory_bytes >= 2 << 16);
    }
}

#[tokio::test]
async fn a_guest_that_is_started_and_does_not_survive_it_leaves_the_same() {
    let guest = Guest {
        setup: "unreachable",
        ..Guest::default()
    };
    let lines = Lines::default();
    let _collecting = tracing::subscriber::set_default(lines.clone());
    super::launch_error(guest, limits()).await;
    let told = lines.take().join("\n");
    assert!(
        told.contains("a component crashed") && told.contains("step=\"setup\""),
        "{told}"
    );
}

#[tokio::test]
async fn a_caller_that_goes_away_is_no_crash() {
    let running = running(handling("(call $loop) (call $nothing)"), endless()).await;
    let asking = running.ask();
    assert!(
        tokio::time::timeout(Duration::from_millis(20), asking)
            .await
            .is_err()
    );
    assert_eq!(running.crashes(0).await, []);
}

#[tokio::test]
async fn what_a_guest_refuses_or_answers_is_no_crash() {
    let running = running(handling("(call $digit (i32.const 1))"), kept()).await;
    assert!(matches!(running.ask().await, Err(CallError::Plugin(_))));
    assert_eq!(running.crashes(0).await, []);
}

#[tokio::test]
async fn a_long_stack_is_cut_and_strange_names_are_escaped() {
    let guest = Guest {
        more: r#"(func $deep (@name "a\1b[2J\0a") (param i32)
            (if (i32.eqz (local.get 0)) (then unreachable))
            (call $deep (i32.sub (local.get 0) (i32.const 1))))"#,
        ..handling("(call $deep (i32.const 100)) (call $nothing)")
    };
    let running = running(guest, limits()).await;
    running.ask().await.unwrap_err();
    let crash = running.crashes(1).await.remove(0);
    assert_eq!(crash.backtrace.len(), 32);
    assert_eq!(crash.backtrace[0], "a\\u{1b}[2J\\n");
}

/// Puts what its request holds where a guest can: in a body, a path, a key and a value, and then dies in every way.
#[tokio::test]
async fn nothing_of_a_request_is_in_a_crash_or_in_the_log() {
    const CANARY: &str = "hunter2-canary";
    const PUT: &str = "(call $import_put (i32.const 200) (i32.const 14) (i32.const 200) (i32.const 14) (i32.const 0) (i32.const 2048))";
    for (end, limits) in [
        ("unreachable", limits()),
        ("(call $loop)", limits()),
        ("(call $loop)", endless()),
    ] {
        let guest = Guest {
            more: r#"(data (i32.const 200) "hunter2-canary")"#,
            ..handling(Box::leak(
                format!("{PUT} {end} (call $nothing)").into_boxed_str(),
            ))
        };
        let running = running(guest, limits).await;
        let lines = Lines::default();
        let collecting = tracing::subscriber::set_default(lines.clone());
        ask_with_canary(&running, CANARY).await;
        drop(collecting);
        // What the caller hears, wherever the guest was when it ended.
        let error = running.ask_for(Duration::from_millis(200)).await;
        let crashes = running.crashes(2).await;
        let told = format!("{error:?}\n{crashes:?}\n{}", lines.take().join("\n"));
        // The control: it is told at all, with the call that had the canary in its key and value.
        assert!(
            told.matches("palisade:plugin/storage").count() >= 3,
            "{told}"
        );
        assert!(!told.contains(CANARY), "{told}");
    }
}

/// Asks on this thread alone, where the log is collected.
async fn ask_with_canary(running: &Running, canary: &str) {
    use crate::driver::wasm::ask::Handle;
    use palisade_contract::{Json, Operation, Request};
    let body = format!(r#"{{"{canary}":"{canary}"}}"#);
    let request = Request::new(Operation::Update, canary, Json::from_text(body));
    let patience = Duration::from_millis(500);
    let deadline = Deadline::after(patience);
    let ask = Handle(Box::new(request));
    let asked = running.instance.mount.serve(ask, deadline);
    if let Ok(served) = tokio::time::timeout(patience, asked).await {
        let error = served.err().expect("the guest dies");
        assert!(!error.to_string().contains(canary));
    }
}

#[tokio::test]
async fn crashes_of_earlier_requests_are_kept_and_bounded() {
    let running = running(handling("unreachable"), kept()).await;
    for _ in 0..10 {
        running.ask().await.unwrap_err();
    }
    assert_eq!(running.crashes(10).await.len(), 8);
}

/// What a request costs does not depend on the machine, the hour or the slot: an operator can trust a limit that sufficed.
#[tokio::test]
async fn the_same_request_uses_the_same_fuel_every_time() {
    const TIMES: u64 = 1_000;
    let work = "(local $left i32) (local.set $left (i32.const 100))
        (loop $again
            (call $write)
            (drop (call $allocate (i32.const 3000)))
            (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
        unreachable";
    let work = Guest {
        more: format!("(func $work {work})").leak(),
        ..handling("(call $work) (call $nothing)")
    };
    let running = running(work, limits()).await;
    let mut used = std::collections::BTreeSet::new();
    for asked in 1..=TIMES {
        assert_eq!(running.ask().await.unwrap_err().kind(), ErrorKind::Trap);
        let last = running.crashes(asked).await.pop().unwrap();
        used.insert(last.fuel_used);
    }
    assert_eq!(used.len(), 1, "{used:?}");
}
