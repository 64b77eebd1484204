//! Deadlines, memory and floods: what one plugin takes is not taken from others.

use std::time::{Duration, Instant};

use palisade_runtime::contract::{Json, Operation, Request};
use palisade_runtime::{CallError, ErrorKind};
use palisade_tests::{Guest, Harness, expect_kind};
use serde_json::{Value, json};

use crate::case::cases;

cases! {
    a_plugin_that_waits_too_long_meets_its_deadline,
    a_plugin_that_sleeps_meets_its_deadline,
    an_endless_loop_meets_its_deadline,
    an_endless_fill_of_memory_is_ended,
    work_without_end_runs_out_of_fuel,
    a_stated_fuel_is_what_a_request_has,
    an_entry_that_used_up_its_fuel_of_a_minute_is_refused_until_there_is_more,
    a_stated_request_timeout_is_what_a_request_has,
    a_request_that_finds_no_place_and_no_queue_is_refused,
    no_more_requests_run_at_once_than_the_entry_says,
    a_deadline_that_has_passed_is_refused_at_once,
    a_loop_in_one_mount_does_not_hold_up_another,
    memory_over_the_default_limit_is_refused_with_the_limit,
    a_stated_memory_is_what_a_plugin_has,
    a_plugin_that_asks_for_too_much_memory_can_go_on_with_less,
    endless_recursion_ends_the_call_and_nothing_else,
    a_caller_that_goes_away_leaves_the_mount_in_order,
    a_plugin_knows_how_much_time_is_left,
    a_flood_of_log_lines_harms_nobody,
    what_a_plugin_prints_reaches_no_answer,
}

/// Less time than a component's fuel lasts.
const SHORT: Duration = Duration::from_millis(400);

/// How late a refusal may come on a busy machine.
const LATE: Duration = Duration::from_secs(10);

async fn a_plugin_that_waits_too_long_meets_its_deadline(h: Harness) {
    h.mount(Guest::Hostile).await;
    times_out(&h, "hostile/wait", json!({ "ms": 60_000 })).await;
    assert!(h.read("hostile/echo").await.is_ok());
}

async fn a_plugin_that_sleeps_meets_its_deadline(h: Harness) {
    h.mount(Guest::Hostile).await;
    let slept = h.write("hostile/sleep", json!({ "ms": 20 })).await;
    assert!(slept.is_ok(), "{slept:?}");
    times_out(&h, "hostile/sleep", json!({ "ms": 60_000 })).await;
}

async fn an_endless_loop_meets_its_deadline(h: Harness) {
    // A component's fuel could be gone before a machine that does other things too sees that the time is.
    let limits: &[_] = match h.mode.is_wasm() {
        true => &[("fuel", "1000000000000")],
        false => &[],
    };
    h.mount_with_limits(Guest::Hostile, limits).await;
    times_out(&h, "hostile/spin", Value::Null).await;
}

async fn an_endless_fill_of_memory_is_ended(h: Harness) {
    h.mount(Guest::Hostile).await;
    let error = ended(&h, "hostile/spin-memory", Value::Null).await;
    // Each byte that is filled costs fuel, which may be gone before the time is.
    let kinds = [ErrorKind::Timeout, ErrorKind::OutOfFuel];
    assert!(kinds.contains(&error.kind()), "{error}");
}

async fn work_without_end_runs_out_of_fuel(h: Harness) {
    h.mount(Guest::Hostile).await;
    let outcome = h.write("hostile/spin-memory", Value::Null).await;
    let error = expect_kind(outcome, ErrorKind::OutOfFuel).to_string();
    assert!(
        error.contains("10000000000") && error.contains("`fuel`"),
        "{error}"
    );
    assert!(h.read("hostile/echo").await.is_ok());
}

async fn a_stated_fuel_is_what_a_request_has(h: Harness) {
    h.mount_with_limits(Guest::Hostile, &[("fuel", "50000000")])
        .await;
    let outcome = h.write("hostile/spin", Value::Null).await;
    let error = expect_kind(outcome, ErrorKind::OutOfFuel).to_string();
    assert!(
        error.contains("50000000") && error.contains("`fuel`"),
        "{error}"
    );
    // The next request has all of it again.
    assert!(h.read("hostile/echo").await.is_ok());
}

async fn an_entry_that_used_up_its_fuel_of_a_minute_is_refused_until_there_is_more(h: Harness) {
    // One request may use what is earned in five minutes.
    let limits = [("fuel", "300000000"), ("fuel_per_minute", "60000000")];
    h.mount_with_limits(Guest::Hostile, &limits).await;
    assert!(
        h.read("hostile/echo").await.is_ok(),
        "what is left serves it"
    );
    expect_kind(
        h.write("hostile/spin", Value::Null).await,
        ErrorKind::OutOfFuel,
    );
    let begun = Instant::now();
    let refused = expect_kind(h.read("hostile/echo").await, ErrorKind::Overloaded);
    let CallError::Overspent { fuel, wait, .. } = refused else {
        panic!("{refused}");
    };
    assert_eq!(fuel, 60_000_000);
    assert!(
        (Duration::from_secs(180)..Duration::from_secs(300)).contains(&wait),
        "{wait:?}"
    );
    assert!(begun.elapsed() < LATE);
    // All mounts of an entry have one account, however late they are made; other entries have theirs.
    h.enable("other", Guest::Hostile, &[]).await.unwrap();
    expect_kind(h.read("other/echo").await, ErrorKind::Overloaded);
    h.mount_with_limits(Guest::Kv, &limits).await;
    assert!(
        h.write("kv/data/app", json!({ "data": { "a": 1 } }))
            .await
            .is_ok()
    );
}

async fn a_stated_request_timeout_is_what_a_request_has(h: Harness) {
    h.mount_with_limits(Guest::Hostile, &[("request_timeout", "1500ms")])
        .await;
    // Neither a caller that would wait longer nor one that says nothing gets more.
    let begun = Instant::now();
    let outcome = h.write("hostile/wait", json!({ "ms": 60_000 })).await;
    let error = expect_kind(outcome, ErrorKind::Timeout).to_string();
    assert!(begun.elapsed() < SHORT + LATE, "{:?}", begun.elapsed());
    assert!(
        error.contains("1.5s") && error.contains("request_timeout"),
        "{error}"
    );
    let request = Request::new(Operation::Read, "hostile/time-left", Json::default());
    let answer = h.runtime.handle(request, None).await.unwrap().unwrap();
    let answer: Value = answer.data.parse().unwrap();
    assert!(answer["ms"].as_u64().unwrap() <= 1_500, "{answer}");
}

async fn a_request_that_finds_no_place_and_no_queue_is_refused(h: Harness) {
    h.mount_with_limits(Guest::Hostile, &[("concurrency", "1"), ("queue", "1")])
        .await;
    let busy = async || h.write("hostile/wait", json!({ "ms": 1_000 })).await;
    let (first, second, third) = tokio::join!(busy(), busy(), busy());
    let (served, mut refused): (Vec<_>, Vec<_>) =
        [first, second, third].into_iter().partition(Result::is_ok);
    assert_eq!(
        (served.len(), refused.len()),
        (2, 1),
        "{served:?} {refused:?}"
    );
    let error = expect_kind(refused.remove(0), ErrorKind::Overloaded).to_string();
    for word in ["requests wait", "`concurrency`", "`queue`"] {
        assert!(error.contains(word), "{error}");
    }
    // Nobody holds a place any more.
    assert!(h.read("hostile/echo").await.is_ok());
}

async fn times_out(h: &Harness, path: &str, body: Value) {
    let error = ended(h, path, body).await;
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
}

/// Ends at its deadline, or before.
async fn ended(h: &Harness, path: &str, body: Value) -> CallError {
    h.read("hostile/echo").await.unwrap();
    let begun = Instant::now();
    let outcome = h.request_within(SHORT, Operation::Update, path, body).await;
    let took = begun.elapsed();
    assert!(took < SHORT + LATE, "{took:?}");
    outcome.unwrap_err()
}

async fn no_more_requests_run_at_once_than_the_entry_says(h: Harness) {
    const MILLISECONDS: u64 = 200;
    h.mount_with_limits(Guest::Hostile, &[("concurrency", "2")])
        .await;
    h.read("hostile/echo").await.unwrap();
    let begun = Instant::now();
    let mut waits = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let h = h.clone();
        waits.spawn(async move { h.write("hostile/wait", json!({ "ms": MILLISECONDS })).await });
    }
    for wait in waits.join_all().await {
        wait.unwrap();
    }
    // Two at once take three turns; that they do run at once is a case of its own. A component's clock shows whole
    // milliseconds, so each turn may be one shorter.
    let took = begun.elapsed();
    assert!(
        took >= Duration::from_millis(3 * (MILLISECONDS - 1)),
        "{took:?}"
    );
}

async fn a_deadline_that_has_passed_is_refused_at_once(h: Harness) {
    h.mount(Guest::Hostile).await;
    let before = h.read("hostile/store/a").await.unwrap();
    let body = json!({ "value": "x" });
    let outcome = h.request_within(Duration::ZERO, Operation::Update, "hostile/store/a", body);
    expect_kind(outcome.await, ErrorKind::Timeout);
    assert_eq!(h.read("hostile/store/a").await.unwrap(), before);
}

async fn a_loop_in_one_mount_does_not_hold_up_another(h: Harness) {
    h.register_apart(Guest::Hostile).await;
    for path in ["hostile", "other"] {
        h.enable(path, Guest::Hostile, &[]).await.unwrap();
    }
    h.read("other/echo").await.unwrap();
    let spinning = {
        let h = h.clone();
        let limit = Duration::from_secs(4);
        tokio::spawn(async move {
            let path = "hostile/spin";
            h.request_within(limit, Operation::Update, path, Value::Null)
                .await
        })
    };
    let mut served = 0;
    while !spinning.is_finished() {
        h.read("other/echo").await.unwrap();
        served += 1;
    }
    // Were they held up, the first of them would have outlasted the loop.
    assert!(
        served >= 10,
        "only {served} requests were served beside the loop"
    );
    let error = spinning.await.unwrap().unwrap_err();
    let kinds = [ErrorKind::Timeout, ErrorKind::OutOfFuel];
    assert!(kinds.contains(&error.kind()), "{error}");
}

async fn memory_over_the_default_limit_is_refused_with_the_limit(h: Harness) {
    h.mount(Guest::Hostile).await;
    let path = "hostile/write-then/hog/a";
    let outcome = h.write(path, json!({ "value": "x" })).await;
    let error = expect_kind(outcome, ErrorKind::OutOfMemory).to_string();
    let limit: u64 = match h.mode.is_wasm() {
        true => 64 << 20,
        false => 1 << 30,
    };
    assert!(error.contains(&limit.to_string()), "{error}");
    assert!(error.contains("memory_bytes"), "{error}");
    // A component's writes become visible when it returns; a process's as it goes.
    let kept = match h.mode.is_wasm() {
        true => Value::Null,
        false => json!({ "value": "x" }),
    };
    assert_eq!(h.read("hostile/store/a").await.unwrap(), kept);
}

async fn a_stated_memory_is_what_a_plugin_has(h: Harness) {
    // Each far below the default of its mode, which an unstated limit would give.
    let limit: u64 = match h.mode.is_wasm() {
        true => 16 << 20,
        false => 64 << 20,
    };
    h.mount_with_limits(Guest::Hostile, &[("memory_bytes", &limit.to_string())])
        .await;
    let modest = h.write("hostile/hog", json!({ "bytes": 4 << 20 })).await;
    assert_eq!(modest.unwrap()["refused"], false);

    let outcome = h.write("hostile/write-then/hog/a", Value::Null).await;
    let error = expect_kind(outcome, ErrorKind::OutOfMemory).to_string();
    assert!(error.contains(&limit.to_string()), "{error}");
    assert!(h.read("hostile/echo").await.is_ok());
}

async fn a_plugin_that_asks_for_too_much_memory_can_go_on_with_less(h: Harness) {
    h.mount(Guest::Hostile).await;
    let greedy = h.write("hostile/hog", Value::Null).await.unwrap();
    assert_eq!(greedy["refused"], true);
    assert!(greedy["taken"].as_u64().unwrap() < 64 << 20);

    // The control: less than the limit is given.
    let modest = h
        .write("hostile/hog", json!({ "bytes": 8 << 20 }))
        .await
        .unwrap();
    assert_eq!(modest["refused"], false);
}

async fn endless_recursion_ends_the_call_and_nothing_else(h: Harness) {
    h.mount(Guest::Hostile).await;
    h.mount_at("other", Guest::Hostile, &[]).await;
    h.write("hostile/deep", Value::Null).await.unwrap_err();
    assert!(h.read("hostile/echo").await.is_ok());
    assert!(h.read("other/echo").await.is_ok());
}

async fn a_caller_that_goes_away_leaves_the_mount_in_order(h: Harness) {
    h.mount(Guest::Hostile).await;
    h.read("hostile/echo").await.unwrap();
    let request = h.write("hostile/wait", json!({ "ms": 60_000 }));
    let gone = tokio::time::timeout(Duration::from_millis(300), request).await;
    assert!(gone.is_err(), "the request should have been waiting");
    for _ in 0..3 {
        h.read("hostile/echo").await.unwrap();
    }
    // Nothing counts as in flight any more: stopping does not wait for it.
    let begun = Instant::now();
    h.disable("hostile").await.unwrap();
    assert!(
        begun.elapsed() < Duration::from_secs(8),
        "{:?}",
        begun.elapsed()
    );
}

async fn a_plugin_knows_how_much_time_is_left(h: Harness) {
    h.mount(Guest::Hostile).await;
    let answer = h.request_within(
        Duration::from_secs(20),
        Operation::Read,
        "hostile/time-left",
        Value::Null,
    );
    let answer: Value = answer.await.unwrap().unwrap().data.parse().unwrap();
    let left = answer["ms"].as_u64().unwrap();
    assert!((1..=20_000).contains(&left), "{left}");
}

async fn a_flood_of_log_lines_harms_nobody(h: Harness) {
    h.mount(Guest::Hostile).await;
    let flood = json!({ "lines": 20_000, "bytes": 1_000, "level": "info" });
    h.write("hostile/log", flood).await.unwrap();
    let odd = json!({ "lines": 1, "bytes": 1 << 20, "level": "error" });
    h.write("hostile/log", odd).await.unwrap();
    assert!(h.read("hostile/echo").await.is_ok());
}

async fn what_a_plugin_prints_reaches_no_answer(h: Harness) {
    h.mount(Guest::Hostile).await;
    let text = "1|5|unix|/nowhere|grpc|\n".repeat(2_000);
    h.write("hostile/print", json!({ "text": text }))
        .await
        .unwrap();
    let seen = h.read("hostile/echo").await.unwrap();
    assert_eq!(seen["path"], "echo");
}
