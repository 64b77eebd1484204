//! What a request leaves in its store, and that nobody else ever finds it.

use super::{kept, limits, running};
use crate::driver::wasm::testing::{Compiled, Guest, Running};
use crate::{Isolation, Limits};

/// Has what both guests keep something in. A guest's own calls lie below its heap's end, where it does not look.
const PLACES: &str = "
    (table $spread 100 funcref)
    (elem declare func $loop)
    (global $secret (mut i64) (i64.const 0))
    (func $grow (param $pages i32)
        (if (i32.lt_u (memory.size) (local.get $pages))
            (then (drop (memory.grow (i32.sub (local.get $pages) (memory.size)))))))
    (func $fill
        (call $grow (i32.const 60))
        (memory.fill (global.get $heap) (i32.const 0xab)
            (i32.sub (i32.shl (memory.size) (i32.const 16)) (global.get $heap)))
        (table.fill $spread (i32.const 0) (ref.func $loop) (i32.const 100))
        (global.set $secret (i64.const -1)))
    (func $residue (result i32) (local $at i32) (local $end i32)
        (call $grow (i32.const 40))
        (local.set $at (i32.and (i32.add (global.get $heap) (i32.const 7)) (i32.const -8)))
        (local.set $end (i32.shl (memory.size) (i32.const 16)))
        (loop $next
            (if (i64.ne (i64.load (local.get $at)) (i64.const 0)) (then (return (i32.const 1))))
            (local.set $at (i32.add (local.get $at) (i32.const 8)))
            (br_if $next (i32.lt_u (local.get $at) (local.get $end))))
        (local.set $at (i32.const 0))
        (loop $next
            (if (i32.eqz (ref.is_null (table.get $spread (local.get $at)))) (then (return (i32.const 2))))
            (local.set $at (i32.add (local.get $at) (i32.const 1)))
            (br_if $next (i32.lt_u (local.get $at) (i32.const 100))))
        (if (i64.ne (global.get $secret) (i64.const 0)) (then (return (i32.const 3))))
        (i32.const 0))";

/// Memories of different sizes, in pages: smaller and larger than what stays mapped between two uses of a slot.
const MEMORIES: [&str; 3] = [
    r#"(memory (export "memory") 2)"#,
    r#"(memory (export "memory") 17)"#,
    r#"(memory (export "memory") 40)"#,
];

/// Leaves something everywhere.
fn filler(memory: &'static str) -> Guest {
    guest(memory, "(call $fill) (call $nothing)")
}

/// Says whether it finds something: in memory, a table, a global.
fn searcher(memory: &'static str) -> Guest {
    guest(memory, "(call $digit (call $residue))")
}

/// Says what it finds, and then leaves something everywhere.
fn both(memory: &'static str) -> Guest {
    guest(
        memory,
        "(local $found i32) (local.set $found (call $residue)) (call $fill) (call $digit (local.get $found))",
    )
}

fn guest(memory: &'static str, handle: &'static str) -> Guest {
    Guest {
        memory,
        handle,
        more: PLACES,
        ..Guest::default()
    }
}

fn isolated(isolation: Isolation) -> Limits {
    Limits {
        isolation,
        ..limits()
    }
}

/// The control: what was left is there, and found, when a store is used again.
#[tokio::test]
async fn within_one_mount_that_keeps_its_stores_the_residue_is_found() {
    let running = running(both(MEMORIES[0]), kept()).await;
    assert_eq!(running.ask_text().await, "0");
    assert_eq!(running.ask_text().await, "1");
}

#[tokio::test]
async fn a_store_for_each_call_finds_nothing_of_the_call_before() {
    for memory in MEMORIES {
        let running = running(both(memory), limits()).await;
        for _ in 0..100 {
            assert_eq!(running.ask_text().await, "0");
        }
    }
}

#[tokio::test]
async fn another_mount_finds_nothing_however_often_they_take_turns() {
    for isolation in [Isolation::Call, Isolation::Mount] {
        let (mut fillers, mut searchers) = (Vec::new(), Vec::new());
        for memory in MEMORIES {
            fillers.push(running(filler(memory), isolated(isolation)).await);
            searchers.push(running(searcher(memory), isolated(isolation)).await);
        }
        for turn in 0..300 {
            fillers[turn % 3].ask().await.unwrap();
            let found = searchers[turn / 3 % 3].ask_text().await;
            assert_eq!(found, "0", "turn {turn}, {isolation:?}");
        }
    }
}

/// A slot is first given to the module that had it last. With more modules than are remembered it goes to another one.
#[tokio::test]
async fn a_module_that_gets_the_slot_of_another_finds_nothing() {
    let compiled =
        |guest: fn(&'static str) -> Guest| MEMORIES.map(|memory| Compiled::of(&guest(memory)));
    let (fillers, searchers) = (compiled(filler), compiled(searcher));
    for isolation in [Isolation::Call, Isolation::Mount] {
        for turn in 0..150 {
            let filling: Running = fillers[turn % 3].start(isolated(isolation)).await;
            filling.ask().await.unwrap();
            drop(filling);
            let searching = searchers[turn / 3 % 3].start(isolated(isolation)).await;
            assert_eq!(
                searching.ask_text().await,
                "0",
                "turn {turn}, {isolation:?}"
            );
        }
    }
}
