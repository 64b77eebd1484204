//! What components can do to others, and what they cannot.

mod budgets;
mod crashes;
mod pools;
mod residue;

use std::time::{Duration, Instant};

use super::engine::{Class, Large, Ordinary};
use super::testing::{Guest, Running, start, start_in};
use crate::driver::Instance;
use crate::services::Deadline;
use crate::services::testing::Lines;
use crate::{CallError, ErrorKind, Isolation, LaunchError, Limits};

/// Fuel that no test lives to see the end of.
const ENDLESS: u64 = u64::MAX / 2;

fn limits() -> Limits {
    Limits {
        fuel: 50_000_000,
        ..Limits::default()
    }
}

fn kept() -> Limits {
    Limits {
        isolation: Isolation::Mount,
        ..limits()
    }
}

fn endless() -> Limits {
    Limits {
        fuel: ENDLESS,
        ..limits()
    }
}

async fn running(guest: Guest, limits: Limits) -> Running {
    start(&guest, limits).await.unwrap()
}

fn handling(handle: &'static str) -> Guest {
    Guest {
        handle,
        ..Guest::default()
    }
}

async fn launch_error(guest: Guest, limits: Limits) -> LaunchError {
    match start(&guest, limits).await {
        Ok(_) => panic!("it started"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn a_guest_answers_again_and_again() {
    for limits in [limits(), kept()] {
        let running = running(Guest::default(), limits).await;
        for _ in 0..3 {
            assert_eq!(running.ask().await.unwrap(), None);
        }
    }
}

#[tokio::test]
async fn a_loop_ends_with_its_fuel() {
    let running = running(handling("(call $loop) (call $nothing)"), limits()).await;
    let error = running.ask().await.unwrap_err();
    assert!(
        matches!(
            error,
            CallError::OutOfFuel {
                limit: 50_000_000,
                ..
            }
        ),
        "{error}"
    );
}

#[tokio::test]
async fn a_loop_ends_at_its_deadline() {
    let running = running(handling("(call $loop) (call $nothing)"), endless()).await;
    running.meets_its_deadline("a loop").await;
}

#[tokio::test]
async fn a_guest_that_only_calls_the_host_ends_at_its_deadline() {
    const CALLS: [&str; 2] = [
        "(loop $again (call $import_random (i32.const 65536) (i32.const 2048)) (global.set $heap (i32.const 8192)) (br $again)) (call $nothing)",
        // Every message copies 64 KiB out of the guest.
        "(loop $again (call $import_log (i32.const 0) (i32.const 0) (i32.const 65536) (i32.const 0) (i32.const 0)) (br $again)) (call $nothing)",
    ];
    for handle in CALLS {
        let running = running(handling(handle), endless()).await;
        running.meets_its_deadline(handle).await;
    }
}

#[tokio::test]
async fn a_loop_leaves_the_thread_to_others() {
    let running = running(handling("(call $loop) (call $nothing)"), endless()).await;
    let mut turns = 0;
    let neighbour = async {
        loop {
            turns += 1;
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        done = running.ask_for(Duration::from_millis(200)) => assert!(done.is_err()),
        () = neighbour => {}
    }
    assert!(turns > 50, "the neighbour had {turns} turns");
}

/// On which thread a guest runs is seen by its lines: only those of this thread are collected here.
#[tokio::test]
async fn a_guest_that_becomes_large_or_takes_long_goes_on_on_another_thread() {
    const SAY: &str =
        "(call $import_log (i32.const 2) (i32.const 32) (i32.const 7) (i32.const 0) (i32.const 0))";
    const SHORT: &str = "(drop (memory.grow (i32.const 8)))";
    const LARGE: &str = "(drop (memory.grow (i32.const 64)))";
    const LONG: &str = "(loop $again
        (global.set $heap (i32.add (global.get $heap) (i32.const 1)))
        (br_if $again (i32.lt_u (global.get $heap) (i32.const 4000000))))
        (global.set $heap (i32.const 8192))";
    // A store that is kept is as large at its second request as the first one left it.
    for (act, limits, first, second) in [
        (SHORT, kept(), 2, 2),
        (LARGE, limits(), 1, 1),
        (LARGE, kept(), 1, 0),
        (LONG, kept(), 1, 1),
    ] {
        let handle = format!("{SAY} {act} {SAY} (call $nothing)");
        let running = running(handling(Box::leak(handle.into_boxed_str())), limits).await;
        let lines = Lines::default();
        let _collecting = tracing::subscriber::set_default(lines.clone());
        for expected in [first, second] {
            running.ask().await.unwrap();
            assert_eq!(lines.take().len(), expected, "{act}");
        }
    }
}

#[tokio::test]
async fn what_runs_before_the_first_request_is_metered_too() {
    let start_function = Guest {
        more: "(start $loop)",
        ..Guest::default()
    };
    let setup = Guest {
        setup: "(call $loop) (call $nothing)",
        ..Guest::default()
    };
    for guest in [start_function, setup] {
        let error = launch_error(guest, limits()).await;
        assert_eq!(error.kind(), ErrorKind::OutOfFuel, "{error}");
    }
}

#[tokio::test]
async fn a_function_that_the_host_calls_on_its_own_is_metered_too() {
    let guest = Guest {
        realloc: "(call $loop) (i32.const 0)",
        ..Guest::default()
    };
    let error = launch_error(guest, limits()).await;
    assert_eq!(error.kind(), ErrorKind::OutOfFuel, "{error}");
}

#[tokio::test]
async fn a_pointer_that_leads_nowhere_is_a_trap() {
    for realloc in ["(i32.const -8)", "(i32.const 8193)", "(unreachable)"] {
        let guest = Guest {
            realloc,
            ..Guest::default()
        };
        let error = launch_error(guest, limits()).await;
        assert_eq!(error.kind(), ErrorKind::Trap, "{error}");
    }
}

#[tokio::test]
async fn a_guest_that_is_refused_memory_and_gives_up_is_out_of_memory() {
    const HANDLE: &str = "(if (i32.eq (memory.grow (i32.const 1024)) (i32.const -1)) (then unreachable)) (call $nothing)";
    let running = running(handling(HANDLE), limits()).await;
    match running.ask().await.unwrap_err() {
        CallError::OutOfMemory { asked, limit, .. } => {
            assert_eq!(limit, limits().memory_bytes);
            assert!(asked > limit);
        }
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_guest_that_is_refused_memory_may_go_on_without() {
    const HANDLE: &str = "(drop (memory.grow (i32.const 1024))) (call $nothing)";
    let running = running(handling(HANDLE), kept()).await;
    assert_eq!(running.ask().await.unwrap(), None);
    assert_eq!(running.ask().await.unwrap(), None);
}

#[tokio::test]
async fn a_refusal_that_the_guest_survived_explains_no_other_trap() {
    const HANDLES: [&str; 2] = [
        "(drop (memory.grow (i32.const 1024))) (i32.load (i32.const -4))",
        "(drop (memory.grow (i32.const 1024))) (drop (memory.grow (i32.const 1))) unreachable",
    ];
    for handle in HANDLES {
        let running = running(handling(handle), limits()).await;
        let error = running.ask().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Trap, "{error}");
    }
}

#[tokio::test]
async fn a_guest_that_needs_more_memory_than_its_limit_does_not_start() {
    let guest = Guest {
        memory: r#"(memory (export "memory") 1025)"#,
        ..Guest::default()
    };
    let error = launch_error(guest, limits()).await;
    assert_eq!(error.kind(), ErrorKind::OutOfMemory, "{error}");
}

#[tokio::test]
async fn a_table_counts_and_its_refusal_names_its_own_limit() {
    let guest = Guest {
        more: "(table 1 funcref)",
        handle: "(if (i32.eq (table.grow (ref.null func) (i32.const 20000)) (i32.const -1)) (then unreachable)) (call $nothing)",
        ..Guest::default()
    };
    let running = running(guest, limits()).await;
    let error = running.ask().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutOfMemory);
    assert!(error.to_string().contains("table_elements"), "{error}");
}

#[tokio::test]
async fn a_trap_names_the_functions_of_the_guest() {
    let guest = Guest {
        more: "(func $innermost unreachable) (func $outer (call $innermost))",
        handle: "(call $outer) (call $nothing)",
        ..Guest::default()
    };
    let running = running(guest, limits()).await;
    let text = running.ask().await.unwrap_err().to_string();
    assert!(text.contains("unreachable"), "{text}");
    assert!(text.contains("innermost < outer < handle"), "{text}");
}

#[tokio::test]
async fn deep_recursion_is_a_trap() {
    let guest = Guest {
        more: "(func $deep (call $deep))",
        handle: "(call $deep) (call $nothing)",
        ..Guest::default()
    };
    let running = running(guest, limits()).await;
    let error = running.ask().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Trap, "{error}");
}

#[tokio::test]
async fn what_was_written_is_there_when_the_guest_has_returned() {
    let good = running(handling("(call $write) (call $nothing)"), limits()).await;
    good.ask().await.unwrap();
    assert!(good.is_written().await);
    let error = running(
        handling("(call $write) (call $digit (i32.const 1))"),
        limits(),
    )
    .await;
    assert_eq!(error.ask_text().await, "1");
    assert!(error.is_written().await);
}

#[tokio::test]
async fn nothing_was_written_by_a_guest_that_did_not_return() {
    let cases = [
        ("(call $write) unreachable", ErrorKind::Trap),
        (
            "(call $write) (call $loop) unreachable",
            ErrorKind::OutOfFuel,
        ),
        (
            "(call $write) (if (i32.eq (memory.grow (i32.const 1024)) (i32.const -1)) (then unreachable)) unreachable",
            ErrorKind::OutOfMemory,
        ),
    ];
    for (handle, kind) in cases {
        for limits in [limits(), kept()] {
            let running = running(handling(handle), limits).await;
            assert_eq!(running.ask().await.unwrap_err().kind(), kind);
            assert!(!running.is_written().await);
        }
    }
}

#[tokio::test]
async fn an_abandoned_request_leaves_no_store_and_no_writes() {
    let running = running(
        handling("(call $write) (call $loop) unreachable"),
        endless(),
    )
    .await;
    let abandoned = tokio::time::timeout(Duration::from_millis(30), running.ask()).await;
    assert!(abandoned.is_err());
    emptied(&running).await;
    assert!(!running.is_written().await);
}

/// Waits until no store of the mount is alive.
async fn emptied(running: &Running) {
    let begun = Instant::now();
    while running.instance.memory_bytes() != Some(0) {
        assert!(
            begun.elapsed() < Duration::from_secs(10),
            "a store was left over"
        );
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Counts its requests in memory.
const COUNT: &str = "(global.set $count (i32.add (global.get $count) (i32.const 1))) (call $digit (global.get $count))";

#[tokio::test]
async fn memory_is_new_for_each_call_and_kept_for_a_mount() {
    counts_requests::<Ordinary>().await;
    counts_requests::<Large>().await;
}

async fn counts_requests<C: Class>() {
    let component = handling(COUNT).component();
    let fresh = start_in::<C>(&component, limits()).await.unwrap();
    let reused = start_in::<C>(&component, kept()).await.unwrap();
    for expected in ["1", "2", "3"] {
        assert_eq!(fresh.ask_text().await, "1");
        assert_eq!(reused.ask_text().await, expected);
    }
    assert_eq!(fresh.instance.memory_bytes(), Some(0));
    assert!(reused.instance.memory_bytes() > Some(0));
}

#[tokio::test]
async fn a_store_that_trapped_is_not_used_again() {
    const TRAP_THE_SECOND_TIME: &str = "
        (global.set $count (i32.add (global.get $count) (i32.const 1)))
        (if (i32.eq (global.get $count) (i32.const 2)) (then unreachable))
        (call $digit (global.get $count))";
    let running = running(handling(TRAP_THE_SECOND_TIME), kept()).await;
    assert_eq!(running.ask_text().await, "1");
    assert_eq!(running.ask().await.unwrap_err().kind(), ErrorKind::Trap);
    assert_eq!(running.ask_text().await, "1");
}

#[tokio::test]
async fn fuel_is_for_one_request_and_not_for_the_store() {
    const BURN: &str = "
        (local $left i32) (local.set $left (i32.const 5000000))
        (loop $again (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
        (call $nothing)";
    let running = running(handling(BURN), kept()).await;
    for _ in 0..5 {
        running.ask().await.unwrap();
    }
}

#[tokio::test]
async fn a_store_hears_what_other_stores_committed_before_its_next_request() {
    let guest = Guest {
        invalidate: "(global.set $told (i32.add (global.get $told) (i32.const 1)))",
        handle: "(call $digit (global.get $told))",
        ..Guest::default()
    };
    let running = running(guest, kept()).await;
    assert_eq!(running.ask_text().await, "0");
    for expected in ["1", "2"] {
        let scope = running
            .services
            .direct_scope(Deadline::after(Duration::from_secs(5)));
        let entry = palisade_contract::StorageEntry::new("k", "v");
        palisade_contract::Storage::put(&scope, entry)
            .await
            .unwrap();
        assert_eq!(running.ask_text().await, expected);
    }
}

#[tokio::test]
async fn an_invalidated_key_reaches_the_idle_store() {
    let guest = Guest {
        invalidate: "(global.set $told (i32.add (global.get $told) (i32.const 1)))",
        handle: "(call $digit (global.get $told))",
        ..Guest::default()
    };
    let running = running(guest, kept()).await;
    let deadline = Deadline::after(Duration::from_secs(5));
    running.instance.invalidate("k", deadline).await.unwrap();
    assert_eq!(running.ask_text().await, "1");
}

#[tokio::test]
async fn a_transaction_left_open_costs_the_store() {
    const LEAVE_ONE: &str = "
        (call $import_begin (i32.const 1) (i32.const 2048))
        (global.set $count (i32.add (global.get $count) (i32.const 1)))
        (call $digit (global.get $count))";
    let running = running(handling(LEAVE_ONE), kept()).await;
    assert_eq!(running.ask_text().await, "1");
    assert_eq!(running.ask_text().await, "1");
}

#[tokio::test]
async fn a_stopped_component_cleans_up_and_answers_no_more() {
    for limits in [limits(), kept()] {
        let guest = Guest {
            cleanup: "(call $write)",
            ..Guest::default()
        };
        let running = running(guest, limits).await;
        running.ask().await.unwrap();
        assert!(!running.is_written().await);
        running.instance.stop(Duration::from_secs(5)).await;
        assert!(running.is_written().await);
        assert_eq!(running.ask().await.unwrap_err().kind(), ErrorKind::Stopping);
        emptied(&running).await;
    }
}

#[tokio::test]
async fn a_failing_cleanup_does_not_keep_other_stores_from_theirs() {
    // The store that was given back last is told last; the other one, without a request, fails before.
    let guest = Guest {
        handle: COUNT,
        cleanup: "(if (i32.eq (global.get $count) (i32.const 0)) (then unreachable)) (call $write)",
        ..Guest::default()
    };
    let running = running(guest, kept()).await;
    running.add_idle_store().await;
    running.ask_text().await;
    running.instance.stop(Duration::from_secs(5)).await;
    assert!(running.is_written().await);
}

#[tokio::test]
async fn a_cleanup_that_hangs_ends_with_the_grace() {
    let guest = Guest {
        cleanup: "(call $loop)",
        ..Guest::default()
    };
    let limits = Limits {
        fuel: ENDLESS,
        ..limits()
    };
    let running = running(guest, limits).await;
    let begun = Instant::now();
    running.instance.stop(Duration::from_millis(50)).await;
    assert!(begun.elapsed() < Duration::from_secs(2));
    emptied(&running).await;
}

#[tokio::test]
async fn writes_of_a_setup_are_refused() {
    let guest = Guest {
        setup: "(call $write) (call $nothing)",
        ..Guest::default()
    };
    let running = running(guest, limits()).await;
    assert!(!running.is_written().await);
}

#[tokio::test]
async fn a_refused_setup_is_told_with_its_text() {
    let guest = Guest {
        // The same error as `$digit` makes, where an answer of `setup` has it.
        setup: "(drop (call $digit (i32.const 7)))
            (i32.store (i32.const 1032) (i32.const 64))
            (i32.store (i32.const 1036) (i32.const 1))
            (i32.const 1024)",
        ..Guest::default()
    };
    match launch_error(guest, limits()).await {
        LaunchError::Setup { error, .. } => assert_eq!(error.message, "7"),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_request_body_over_its_limit_does_not_reach_the_guest() {
    let limits = Limits {
        message_bytes: 1,
        ..limits()
    };
    let running = running(Guest::default(), limits).await;
    let error = running.ask().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
}

#[tokio::test]
async fn an_answer_over_its_limit_is_no_answer() {
    let guest = Guest {
        memory: r#"(memory (export "memory") 40)"#,
        // An error whose text has 2 MiB.
        handle: "(call $write)
            (drop (call $digit (i32.const 0)))
            (i32.store (i32.const 1040) (i32.const 2097152))
            (i32.const 1024)",
        ..Guest::default()
    };
    let limits = Limits {
        message_bytes: 1024,
        ..limits()
    };
    let running = running(guest, limits).await;
    let error = running.ask().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
    assert!(!running.is_written().await);
}

#[tokio::test]
async fn a_mount_keeps_a_few_idle_stores_however_many_requests_it_may_run() {
    keeps_idle_stores::<Ordinary>(8).await;
    keeps_idle_stores::<Large>(2).await;
}

async fn keeps_idle_stores<C: Class>(idle: u64) {
    let limits = Limits {
        concurrency: 64,
        ..kept()
    };
    let component = Guest::default().component();
    let running = start_in::<C>(&component, limits).await.unwrap();
    let one = running.instance.memory_bytes().unwrap();
    for _ in 0..10 {
        running.add_idle_store().await;
    }
    assert_eq!(running.instance.memory_bytes(), Some(idle * one));
}

#[tokio::test]
async fn a_large_guest_answers_and_is_limited_in_its_own_engine() {
    for isolation in [Isolation::Call, Isolation::Mount] {
        let limits = Limits {
            isolation,
            ..limits()
        };
        let quiet = Guest::default().component();
        let running = start_in::<Large>(&quiet, limits.clone()).await.unwrap();
        for _ in 0..3 {
            assert_eq!(running.ask().await.unwrap(), None);
        }
        let looping = handling("(call $loop) (call $nothing)").component();
        let running = start_in::<Large>(&looping, limits).await.unwrap();
        let error = running.ask().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::OutOfFuel);
    }
}

#[tokio::test]
async fn a_large_guest_is_refused_memory_over_its_limit() {
    let limits = Limits {
        memory_bytes: 2 << 20,
        ..limits()
    };
    let guest = Guest {
        memory: r#"(memory (export "memory") 33)"#,
        ..Guest::default()
    };
    let Err(error) = start_in::<Large>(&guest.component(), limits).await else {
        panic!("it started");
    };
    assert!(error.to_string().contains("2097152"), "{error}");
}
