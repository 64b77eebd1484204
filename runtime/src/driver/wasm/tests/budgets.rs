//! What is taken from an entry's account, and whom an empty one stops.

use std::time::Duration;

use palisade_contract::{Json, Operation, Request};

use super::{Guest, handling, kept, limits, running};
use crate::driver::Instance;
use crate::driver::wasm::testing::Running;
use crate::services::Deadline;
use crate::{CallError, ErrorKind, Limits};

const PER_MINUTE: u64 = 60_000_000;

fn of_a_minute(limits: Limits) -> Limits {
    Limits {
        fuel_per_minute: Some(PER_MINUTE),
        ..limits
    }
}

/// Counts down from a million, which is some millions of units.
const WORKS: &str = "(local $left i32) (local.set $left (i32.const 1000000))
    (loop $again (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))";

/// Writes the same value a thousand times, which is next to nothing for the guest.
const CALLS_THE_HOST: &str = "(local $left i32) (local.set $left (i32.const 1000))
    (loop $again (call $write)
        (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))";

fn doing(work: &str, end: &'static str) -> Guest {
    Guest {
        more: format!("(func $work {work})").leak(),
        ..handling(end)
    }
}

/// How many requests there are before one is refused.
async fn served(running: &Running) -> usize {
    for served in 0..1_000 {
        if let Err(CallError::Overspent { .. }) = running.ask().await {
            return served;
        }
    }
    panic!("the account is never empty");
}

#[tokio::test]
async fn what_a_guest_does_is_charged_however_its_stores_are_kept_and_its_requests_end() {
    for limits in [limits(), kept()] {
        for end in ["(call $work) (call $nothing)", "(call $work) unreachable"] {
            let running = running(doing(WORKS, end), of_a_minute(limits.clone())).await;
            let served = served(&running).await;
            assert!((5..40).contains(&served), "{served} of {end}");
        }
    }
}

#[tokio::test]
async fn what_the_host_does_for_a_guest_is_charged_too() {
    let guest = doing(CALLS_THE_HOST, "(call $work) (call $nothing)");
    let running = running(guest, of_a_minute(kept())).await;
    let served = served(&running).await;
    assert!((5..12).contains(&served), "{served}");
}

#[tokio::test]
async fn a_request_that_is_cut_off_at_its_deadline_is_charged() {
    let guest = handling("(call $loop) (call $nothing)");
    let limits = Limits {
        fuel: u64::MAX / 2,
        ..of_a_minute(limits())
    };
    let running = running(guest, limits).await;
    let limit = Duration::from_millis(300);
    let error = running.ask_for(limit).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    // Its store is dropped on another thread, which charges it and then tells of the crash.
    running.crashes(1).await;
    assert_eq!(served(&running).await, 0);
}

#[tokio::test]
async fn what_was_begun_can_be_ended_without_fuel() {
    let running = running(
        doing(WORKS, "(call $work) (call $nothing)"),
        of_a_minute(kept()),
    )
    .await;
    served(&running).await;
    let ask = async |operation| {
        let request = Request::new(operation, "lease", Json::null());
        let deadline = Deadline::after(Duration::from_secs(20));
        running.instance.handle(request.into(), deadline).await
    };
    for ends in [Operation::Renew, Operation::Revoke, Operation::Rollback] {
        assert!(ask(ends).await.is_ok(), "{ends:?}");
    }
    for new in [
        Operation::Read,
        Operation::Update,
        Operation::Delete,
        Operation::List,
    ] {
        let refused = ask(new).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Overloaded, "{new:?}: {refused}");
    }
}
