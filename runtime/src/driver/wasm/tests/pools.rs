//! How long a mount's stores live, which of them are never used again, and who gives way to whom.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;

use super::{COUNT, ENDLESS, emptied, handling, kept, limits, running};
use crate::driver::Instance;
use crate::driver::wasm::testing::{Compiled, Running};
use crate::{CallError, ErrorKind, Isolation, Limits};

/// Counts its requests in memory, and does this at the second one.
fn at_the_second(act: &str) -> &'static str {
    let handle = format!(
        "(global.set $count (i32.add (global.get $count) (i32.const 1)))
         (if (i32.eq (global.get $count) (i32.const 2)) (then {act}))
         (call $digit (global.get $count))"
    );
    Box::leak(handle.into_boxed_str())
}

async fn second_ends(act: &str, limits: Limits, kind: ErrorKind) -> Running {
    let running = running(handling(at_the_second(act)), limits).await;
    assert_eq!(running.ask_text().await, "1");
    let patience = match kind {
        ErrorKind::Timeout => Duration::from_millis(100),
        _ => Duration::from_secs(20),
    };
    let error = running.ask_for(patience).await.unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    running
}

#[tokio::test]
async fn whatever_ended_a_request_the_next_one_has_another_store() {
    const GROW: &str =
        "(if (i32.eq (memory.grow (i32.const 1024)) (i32.const -1)) (then unreachable))";
    let endless = || Limits {
        fuel: ENDLESS,
        ..kept()
    };
    // The control: where nothing ends it, the store goes on counting.
    let sound = running(handling(at_the_second("")), kept()).await;
    for expected in ["1", "2", "3"] {
        assert_eq!(sound.ask_text().await, expected);
    }
    for ended in [
        second_ends("unreachable", kept(), ErrorKind::Trap).await,
        second_ends("(call $loop)", kept(), ErrorKind::OutOfFuel).await,
        second_ends(GROW, kept(), ErrorKind::OutOfMemory).await,
        second_ends("(call $loop)", endless(), ErrorKind::Timeout).await,
    ] {
        assert_eq!(ended.ask_text().await, "1");
    }
}

#[tokio::test]
async fn a_request_that_is_given_up_or_leaves_a_transaction_open_costs_its_store() {
    let limits = Limits {
        fuel: ENDLESS,
        ..kept()
    };
    let given_up = running(handling(at_the_second("(call $loop)")), limits).await;
    assert_eq!(given_up.ask_text().await, "1");
    let asking = tokio::time::timeout(Duration::from_millis(20), given_up.ask());
    assert!(asking.await.is_err());
    assert_eq!(given_up.ask_text().await, "1");

    let begins = at_the_second("(call $import_begin (i32.const 1) (i32.const 2048))");
    let untidy = running(handling(begins), kept()).await;
    for expected in ["1", "2", "1"] {
        assert_eq!(untidy.ask_text().await, expected);
    }
}

#[tokio::test]
async fn a_store_is_used_as_often_as_it_may_be() {
    let limits = Limits {
        store_uses: 3,
        ..kept()
    };
    let running = running(handling(COUNT), limits).await;
    for expected in ["1", "2", "3", "1", "2", "3", "1"] {
        assert_eq!(running.ask_text().await, expected);
    }
}

#[tokio::test]
async fn a_store_that_is_too_old_is_dropped_even_if_nobody_asks() {
    let limits = Limits {
        store_age: Duration::from_millis(100),
        ..kept()
    };
    let running = running(handling(COUNT), limits).await;
    running.ask_text().await;
    assert!(
        running.instance.memory_bytes() > Some(0),
        "the control: it is kept at first"
    );
    emptied(&running).await;
    assert_eq!(running.ask_text().await, "1");
}

#[tokio::test]
async fn no_more_idle_stores_are_kept_than_the_entry_says() {
    for (idle_stores, expected) in [(0, 0), (1, 1), (3, 3)] {
        let limits = Limits {
            idle_stores,
            ..kept()
        };
        let running = running(handling(COUNT), limits).await;
        for _ in 0..5 {
            running.add_idle_store().await;
        }
        assert_eq!(running.instance.mount.pool.idle(), expected);
    }
}

/// Each of these numbers is of one test only: entries with the same name and number share the places.
fn sharing(stores: u32, limits: Limits) -> Limits {
    Limits { stores, ..limits }
}

#[tokio::test]
async fn idle_stores_of_other_mounts_give_way() {
    let mut mounts = Vec::new();
    for _ in 0..5 {
        mounts.push(running(handling(COUNT), sharing(2, kept())).await);
    }
    for _ in 0..3 {
        for mount in &mounts {
            mount.ask_text().await;
        }
    }
    let idle: usize = mounts
        .iter()
        .map(|mount| mount.instance.mount.pool.idle())
        .sum();
    assert!(idle <= 2, "{idle}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn mounts_that_compete_wait_for_no_store_that_is_idle() {
    let spinning = Limits {
        fuel: ENDLESS,
        ..kept()
    };
    let counts = Compiled::of(&handling(COUNT));
    let spins = Compiled::of(&handling("(call $loop) (call $nothing)"));
    let (mut quick, mut slow) = (Vec::new(), Vec::new());
    for _ in 0..6 {
        quick.push(counts.start(sharing(6, kept())).await);
        slow.push(spins.start(sharing(6, spinning.clone())).await);
    }
    for round in 0..4 {
        for mount in &quick {
            mount.ask_text().await;
        }
        // Three of the six places are held until the deadline; the others go around.
        let held = slow.iter().take(3);
        let held = join_all(held.map(|it| it.ask_for(Duration::from_millis(500))));
        let asked = quick.iter().chain(&quick);
        let asked = join_all(asked.map(Running::ask));
        let all = async { tokio::join!(held, asked) };
        let (held, asked) = all.await;
        for ended in held {
            let kind = ended.unwrap_err().kind();
            assert_eq!(kind, ErrorKind::Timeout, "round {round}");
        }
        for answer in asked {
            assert!(matches!(answer, Err(CallError::Plugin(_))), "{answer:?}");
        }
    }
}

#[tokio::test]
async fn one_entry_cannot_take_the_places_of_all() {
    let spinning = Limits {
        fuel: ENDLESS,
        isolation: Isolation::Call,
        ..limits()
    };
    let greedy = running(
        handling("(call $loop) (call $nothing)"),
        sharing(4, spinning),
    )
    .await;
    let other = running(handling(COUNT), sharing(5, limits())).await;
    let greedy = Arc::new(greedy);
    let spin = || {
        let greedy = Arc::clone(&greedy);
        tokio::spawn(async move { greedy.ask_for(Duration::from_secs(2)).await })
    };
    let spins: Vec<_> = std::iter::repeat_with(spin).take(4).collect();
    while greedy.instance.mount.maker.stores_left() > 0 {
        tokio::task::yield_now().await;
    }
    match greedy
        .ask_for(Duration::from_millis(200))
        .await
        .unwrap_err()
    {
        CallError::NoStore { stores, whose, .. } => assert_eq!((stores, whose), (4, "its entry")),
        error => panic!("{error}"),
    }
    assert_eq!(other.ask_text().await, "1");
    for spin in spins {
        assert_eq!(spin.await.unwrap().unwrap_err().kind(), ErrorKind::Timeout);
    }
}
