//! What a component may try that no toolchain emits: wrong pointers and handles, huge arguments, work where the host calls it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::store::HANDLES_MAX;
use super::testing::{Guest, Running, start, start_over};
use crate::driver::Instance;
use crate::store::{Commit, MemoryStore, Snapshot, Store, StoreError};
use crate::{CallError, ErrorKind, Isolation, Limits};

fn limits() -> Limits {
    Limits {
        fuel: 1_000_000_000,
        ..Limits::default()
    }
}

/// Stores are kept, so that one that was harmed would be seen again.
fn kept() -> Limits {
    Limits {
        isolation: Isolation::Mount,
        ..limits()
    }
}

async fn running(guest: Guest) -> Running {
    start(&guest, kept()).await.unwrap()
}

fn handling(handle: &'static str) -> Guest {
    Guest {
        handle,
        ..Guest::default()
    }
}

/// How the request ended; the store is not used again.
async fn end_of(guest: Guest) -> CallError {
    let running = running(guest).await;
    let error = running.ask().await.unwrap_err();
    assert_eq!(running.instance.memory_bytes(), Some(0), "{error}");
    error
}

#[tokio::test]
async fn an_answer_that_is_none_is_a_trap() {
    const CASES: [(&str, &str); 7] = [
        (
            "a result that is neither",
            "(i32.store8 (i32.const 1024) (i32.const 9))",
        ),
        (
            "an option that is neither",
            "(i32.store8 (i32.const 1032) (i32.const 2))",
        ),
        (
            "a kind of error that there is not",
            "(i32.store8 (i32.const 1024) (i32.const 1)) (i32.store8 (i32.const 1032) (i32.const 250))",
        ),
        (
            "a text that is none",
            "(drop (call $digit (i32.const 1))) (i32.store8 (i32.const 64) (i32.const 0xff))",
        ),
        (
            "a text behind the end of memory",
            "(drop (call $digit (i32.const 1))) (i32.store (i32.const 1036) (i32.const 0x7ffffff0))",
        ),
        (
            "a text that wraps around",
            "(drop (call $digit (i32.const 1))) (i32.store (i32.const 1036) (i32.const -8)) (i32.store (i32.const 1040) (i32.const 64))",
        ),
        (
            "an answer behind the end of memory",
            "(return (i32.const 0x7ffffff0))",
        ),
    ];
    for (what, deed) in CASES {
        let handle = format!("(drop (call $nothing)) {deed} (i32.const 1024)");
        let error = end_of(handling(handle.leak())).await;
        assert_eq!(error.kind(), ErrorKind::Trap, "{what}: {error}");
    }
    // The same answers, well made.
    let nothing = running(handling("(call $nothing)")).await;
    assert_eq!(nothing.ask().await.unwrap(), None);
    let error = running(handling("(call $digit (i32.const 1))")).await;
    assert_eq!(error.ask_text().await, "1");
}

#[tokio::test]
async fn an_answer_at_an_odd_place_is_a_trap() {
    let error = end_of(handling("(i32.const 1025)")).await;
    assert_eq!(error.kind(), ErrorKind::Trap, "{error}");
}

#[tokio::test]
async fn what_the_host_calls_on_its_own_may_not_call_back() {
    let guest = Guest {
        realloc: "(call $write) (call $allocate (local.get 3))",
        ..Guest::default()
    };
    let error = match start(&guest, kept()).await {
        Ok(_) => panic!("it started"),
        Err(error) => error,
    };
    assert_eq!(error.kind(), ErrorKind::Trap, "{error}");
}

/// Called by the host when it has read the answer.
const POST_RETURN: &str =
    r#"(func (export "cabi_post_palisade:plugin/backend@0.1.0#handle-request") (param i32) "#;

#[tokio::test]
async fn a_trap_after_the_answer_costs_the_request_and_the_store() {
    let guest = Guest {
        handle: "(call $write) (call $nothing)",
        more: format!("{POST_RETURN} unreachable)").leak(),
        ..Guest::default()
    };
    let running = running(guest).await;
    for _ in 0..2 {
        assert_eq!(running.ask().await.unwrap_err().kind(), ErrorKind::Trap);
        assert_eq!(running.instance.memory_bytes(), Some(0));
        assert!(!running.is_written().await);
    }
}

#[tokio::test]
async fn a_loop_after_the_answer_is_metered() {
    let guest = Guest {
        more: format!("{POST_RETURN} (call $loop))").leak(),
        ..Guest::default()
    };
    assert_eq!(end_of(guest).await.kind(), ErrorKind::OutOfFuel);
    let well_behaved = Guest {
        more: format!("{POST_RETURN} (global.set $told (i32.const 1)))").leak(),
        ..Guest::default()
    };
    running(well_behaved).await.ask().await.unwrap();
}

/// Begins as many transactions as it is told and drops none; says 1 when the last one was refused.
fn leak(handles: usize) -> Guest {
    let handle = format!(
        "(local $left i32) (local.set $left (i32.const {handles}))
        (loop $again
            (call $import_begin (i32.const 0) (i32.const 2048))
            (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
        (call $digit (i32.load8_u (i32.const 2048)))"
    );
    handling(handle.leak())
}

#[tokio::test]
async fn handles_that_nobody_drops_come_to_an_end() {
    let greedy = running(leak(HANDLES_MAX + 1)).await;
    assert_eq!(greedy.ask_text().await, "1");
    // They go with the store, so that the next request has its own.
    assert_eq!(greedy.instance.memory_bytes(), Some(0));
    assert_eq!(greedy.ask_text().await, "1");
    assert_eq!(running(leak(8)).await.ask_text().await, "0");
}

#[tokio::test]
async fn a_handle_that_is_none_of_its_own_is_a_trap() {
    for handle in [
        "(call $import_drop (i32.const 77)) (call $nothing)",
        "(call $import_drop (i32.const -1)) (call $nothing)",
        // The first handle has the number one.
        "(call $import_begin (i32.const 0) (i32.const 2048))
         (call $import_drop (i32.load (i32.const 2052)))
         (call $import_drop (i32.load (i32.const 2052)))
         (call $nothing)",
    ] {
        let error = end_of(handling(handle)).await;
        assert_eq!(error.kind(), ErrorKind::Trap, "{handle}: {error}");
    }
    const ONCE: &str = "
        (call $import_begin (i32.const 0) (i32.const 2048))
        (call $import_drop (i32.load (i32.const 2052)))
        (call $nothing)";
    running(handling(ONCE)).await.ask().await.unwrap();
}

#[tokio::test]
async fn arguments_that_would_fill_the_host_are_cut_off() {
    /// Three quarters of the memory that the guest may have, which costs it nothing to claim.
    const GROW: &str = "(drop (memory.grow (i32.const 768)))";
    const CASES: [(&str, &str); 3] = [
        (
            "a text of 40 MiB",
            "(call $import_log (i32.const 0) (i32.const 131072) (i32.const 41943040) (i32.const 0) (i32.const 0))",
        ),
        (
            "a list of 2,500,000 pairs of nothing",
            "(call $import_log (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 131072) (i32.const 2500000))",
        ),
        (
            "a value of 40 MiB",
            "(call $import_put (i32.const 32) (i32.const 7) (i32.const 131072) (i32.const 41943040) (i32.const 0) (i32.const 2048))",
        ),
    ];
    for (what, deed) in CASES {
        let handle = format!("{GROW} {deed} (call $nothing)");
        let error = end_of(handling(handle.leak())).await;
        assert!(
            matches!(error.kind(), ErrorKind::Trap | ErrorKind::TooLarge),
            "{what}: {error}"
        );
    }
}

#[tokio::test]
async fn a_list_in_the_answer_that_would_fill_the_host_is_cut_off() {
    // An answer with a list of 3,000,000 warnings, each an empty text: eight bytes here, three times as many in the host.
    const HANDLE: &str = "
        (drop (memory.grow (i32.const 768)))
        (drop (call $nothing))
        (i32.store8 (i32.const 1032) (i32.const 1))
        (memory.fill (i32.const 1040) (i32.const 0) (i32.const 600))
        (call $list_everywhere)
        (i32.const 1024)";
    let guest = Guest {
        handle: HANDLE,
        // Wherever the answer has a list, it has this one.
        more: "(func $list_everywhere (local $at i32)
            (local.set $at (i32.const 1400))
            (loop $again
                (i32.store (local.get $at) (i32.const 131072))
                (i32.store (i32.add (local.get $at) (i32.const 4)) (i32.const 3000000))
                (local.set $at (i32.add (local.get $at) (i32.const 8)))
                (br_if $again (i32.lt_u (local.get $at) (i32.const 1640)))))",
        ..Guest::default()
    };
    let error = end_of(guest).await;
    assert!(
        matches!(error.kind(), ErrorKind::Trap | ErrorKind::TooLarge),
        "{error}"
    );
}

#[tokio::test]
async fn a_bulk_instruction_over_and_over_ends_at_the_deadline() {
    const MEMORY: &str = r#"(memory (export "memory") 512)"#;
    const CASES: [(&str, &str); 5] = [
        (
            "memory.fill",
            "(memory.fill (i32.const 65536) (i32.const 7) (i32.const 33000000))",
        ),
        (
            "memory.copy",
            "(memory.copy (i32.const 65536) (i32.const 65537) (i32.const 33000000))",
        ),
        (
            "memory.init",
            "(memory.init $some (i32.const 65536) (i32.const 0) (i32.const 4))",
        ),
        (
            "table.fill",
            "(table.fill $table (i32.const 0) (ref.null func) (i32.const 9000))",
        ),
        (
            "table.copy",
            "(table.copy $table $table (i32.const 1) (i32.const 0) (i32.const 8000))",
        ),
    ];
    for (what, deed) in CASES {
        let guest = Guest {
            memory: MEMORY,
            more: r#"(data $some "some") (table $table 9000 funcref)"#,
            handle: format!("(loop $again {deed} (br $again)) (call $nothing)").leak(),
            ..Guest::default()
        };
        let endless = Limits {
            fuel: u64::MAX / 2,
            ..kept()
        };
        let running = start(&guest, endless).await.unwrap();
        running.meets_its_deadline(what).await;
    }
}

#[tokio::test]
async fn data_behind_the_end_of_memory_is_a_trap_and_leaves_no_store() {
    let guest = Guest {
        more: r#"(data (i32.const 0x7fff0000) "x")"#,
        ..Guest::default()
    };
    for _ in 0..50 {
        match start(&guest, limits()).await {
            Ok(_) => panic!("it started"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Trap, "{error}"),
        }
    }
}

#[tokio::test]
async fn functions_that_call_each_other_without_end_are_a_trap() {
    let guest = Guest {
        more: "(func $ping (result i32) (i32.add (call $pong) (i32.const 1)))
            (func $pong (result i32) (i32.add (call $ping) (i32.const 1)))",
        handle: "(drop (call $ping)) (call $nothing)",
        ..Guest::default()
    };
    let error = end_of(guest).await;
    assert_eq!(error.kind(), ErrorKind::Trap, "{error}");
    assert!(error.to_string().contains("stack"), "{error}");
}

#[tokio::test]
async fn a_request_that_is_dropped_anywhere_leaves_nothing() {
    const WRITE_OFTEN: &str = "
        (local $left i32) (local.set $left (i32.const 200))
        (loop $again
            (call $write)
            (call $import_begin (i32.const 1) (i32.const 2048))
            (call $import_drop (i32.load (i32.const 2052)))
            (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
        unreachable";
    let running = start(&handling(WRITE_OFTEN), limits()).await.unwrap();
    for micros in 0..400 {
        let patience = Duration::from_micros(micros * 5);
        let _ = tokio::time::timeout(patience, running.ask()).await;
    }
    let begun = Instant::now();
    while running.instance.memory_bytes() != Some(0) {
        assert!(begun.elapsed() < Duration::from_secs(10), "a store is left");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(!running.is_written().await);
    // It still answers, as it would have.
    assert_eq!(running.ask().await.unwrap_err().kind(), ErrorKind::Trap);
}

/// A store that fails its first reader in the worst way.
#[derive(Default)]
struct Panicking {
    has_panicked: AtomicBool,
    inner: MemoryStore,
}

#[async_trait]
impl Store for Panicking {
    async fn snapshot(&self) -> Result<Box<dyn Snapshot>, StoreError> {
        assert!(self.has_panicked.swap(true, Ordering::SeqCst), "on purpose");
        self.inner.snapshot().await
    }

    async fn commit(&self, commit: Commit) -> Result<(), StoreError> {
        self.inner.commit(commit).await
    }
}

#[tokio::test]
async fn a_panic_of_the_host_beneath_a_guest_costs_one_request_and_its_store() {
    const READS: &str = "(call $import_begin (i32.const 0) (i32.const 2048)) (call $nothing)";
    for limits in [kept(), limits()] {
        let neighbour = running(handling("(call $nothing)")).await;
        let store = Arc::new(Panicking::default());
        let running = start_over(store, &handling(READS), limits).await.unwrap();
        let error = running.ask().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Trap, "{error}");
        assert!(
            error.to_string().contains("a function of the host failed"),
            "{error}"
        );
        assert_eq!(running.instance.memory_bytes(), Some(0));
        assert_eq!(
            running.ask().await.unwrap(),
            None,
            "the control: the store is well again"
        );
        assert_eq!(neighbour.ask().await.unwrap(), None);
    }
}
