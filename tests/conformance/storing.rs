//! Storage as a plugin sees it: keys, pages, transactions, and what is visible after a request that went wrong.

use std::time::Duration;

use palisade_runtime::contract::{Operation, PluginErrorKind};
use palisade_runtime::{CallError, ErrorKind};
use palisade_tests::{Guest, Harness, Mode, expect_kind, expect_plugin_error};
use serde_json::{Value, json};

use crate::case::cases;

cases! {
    what_is_written_is_read_until_it_is_deleted,
    a_listing_comes_in_order_with_folders_once,
    pages_of_a_listing_join_without_gap_or_repetition,
    a_key_that_climbs_out_of_its_mount_is_refused,
    two_mounts_of_one_plugin_share_no_keys,
    a_transaction_sees_its_own_writes_and_commits_as_a_whole,
    a_transaction_that_is_rolled_back_leaves_nothing,
    a_transaction_that_met_a_newer_write_conflicts,
    a_transaction_that_lost_to_another_request_is_told,
    a_write_after_a_commit_and_before_the_answer_follows_the_rule_of_the_mode,
    writes_before_an_error_are_kept,
    writes_before_a_trap_follow_the_rule_of_the_mode,
    writes_before_a_timeout_follow_the_rule_of_the_mode,
    concurrent_writes_to_one_key_leave_one_of_them,
}

async fn what_is_written_is_read_until_it_is_deleted(h: Harness) {
    h.mount(Guest::Hostile).await;
    h.write("hostile/store/a/b", json!({ "value": "one" }))
        .await
        .unwrap();
    h.write("hostile/store/a/b", json!({ "value": "two" }))
        .await
        .unwrap();
    assert_eq!(stored(&h, "a/b").await, "two");
    h.delete("hostile/store/a/b").await.unwrap();
    assert_eq!(stored(&h, "a/b").await, Value::Null);
    h.delete("hostile/store/a/b").await.unwrap();
}

async fn a_listing_comes_in_order_with_folders_once(h: Harness) {
    h.mount(Guest::Hostile).await;
    put_all(
        &h,
        &["l/b", "l/a/1", "l/a/2", "l/a/3/x", "l/a", "l/B", "l/c/d"],
    )
    .await;
    assert_eq!(
        names(&h, "l/", json!({})).await,
        ["B", "a", "a/", "b", "c/"]
    );
    assert_eq!(names(&h, "l/a/", json!({})).await, ["1", "2", "3/"]);
    assert_eq!(names(&h, "l/nothing/", json!({})).await, [""; 0]);
}

async fn pages_of_a_listing_join_without_gap_or_repetition(h: Harness) {
    h.mount(Guest::Hostile).await;
    let keys: Vec<String> = (0..25)
        .map(|n| format!("l/k{n:02}{}", if n % 3 == 0 { "/x" } else { "" }))
        .collect();
    put_all(&h, &keys.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let whole = names(&h, "l/", json!({})).await;
    assert_eq!(whole.len(), keys.len());
    let mut joined: Vec<String> = Vec::new();
    loop {
        let after = joined.last().cloned().unwrap_or_default();
        let page = names(&h, "l/", json!({ "after": after, "limit": 4 })).await;
        assert!(page.len() <= 4);
        if page.is_empty() {
            break;
        }
        joined.extend(page);
    }
    assert_eq!(joined, whole);
}

async fn a_key_that_climbs_out_of_its_mount_is_refused(h: Harness) {
    h.mount(Guest::Hostile).await;
    let other = h.mount_at("other", Guest::Hostile, &[]).await;
    h.write("other/store/secret", json!({ "value": "theirs" }))
        .await
        .unwrap();
    for key in [
        "..",
        "../secret",
        "a/../../secret",
        &format!("../{}/secret", other.uuid),
        &format!("../../logical/{}/secret", other.uuid),
    ] {
        let outcome = h.write("hostile/key/get", json!({ "key": key })).await;
        match outcome {
            Err(error) => drop(expect_plugin_error::<Value>(Err(error))),
            Ok(found) => assert!(!found.to_string().contains("theirs"), "{key}: {found}"),
        }
    }
    // The control: an ordinary key is read this way.
    h.write("hostile/store/mine", json!({ "value": "mine" }))
        .await
        .unwrap();
    let found = h
        .write("hostile/key/get", json!({ "key": "mine" }))
        .await
        .unwrap();
    assert!(found.to_string().contains("mine"));
}

async fn two_mounts_of_one_plugin_share_no_keys(h: Harness) {
    h.mount_at("one", Guest::Hostile, &[]).await;
    h.mount_at("two", Guest::Hostile, &[]).await;
    h.write("one/store/x/a", json!({ "value": "of one" }))
        .await
        .unwrap();
    assert_eq!(h.read("two/store/x/a").await.unwrap(), Value::Null);
    assert!(h.list("two/store/x/", json!({})).await.unwrap().is_empty());
    h.write("two/store/x/a", json!({ "value": "of two" }))
        .await
        .unwrap();
    assert_eq!(h.read("one/store/x/a").await.unwrap()["value"], "of one");
}

async fn a_transaction_sees_its_own_writes_and_commits_as_a_whole(h: Harness) {
    h.mount(Guest::Hostile).await;
    put_all(&h, &["gone"]).await;
    let results = transaction(
        &h,
        true,
        json!([
            { "op": "put", "key": "new", "value": "1" },
            { "op": "delete", "key": "gone" },
            { "op": "get", "key": "new" },
            { "op": "get", "key": "gone" },
            { "op": "list", "key": "" },
        ]),
    )
    .await;
    assert!(results[2].to_string().contains('1'), "{results}");
    assert!(results[4].to_string().contains("new"), "{results}");
    assert!(!results[4].to_string().contains("gone"), "{results}");
    assert_eq!(stored(&h, "new").await, "1");
    assert_eq!(stored(&h, "gone").await, Value::Null);
}

async fn a_transaction_that_is_rolled_back_leaves_nothing(h: Harness) {
    h.mount(Guest::Hostile).await;
    put_all(&h, &["kept"]).await;
    let steps = json!([
        { "op": "put", "key": "new", "value": "1" },
        { "op": "delete", "key": "kept" },
    ]);
    transaction(&h, false, steps).await;
    assert_eq!(stored(&h, "new").await, Value::Null);
    assert_eq!(stored(&h, "kept").await, "kept");
}

async fn a_transaction_that_met_a_newer_write_conflicts(h: Harness) {
    h.mount(Guest::Hostile).await;
    put_all(&h, &["a"]).await;
    let error = h
        .write("hostile/tx-race/a", json!({ "value": "new" }))
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("transaction commit failed"),
        "{error}"
    );
}

async fn a_transaction_that_lost_to_another_request_is_told(h: Harness) {
    h.mount(Guest::Hostile).await;
    put_all(&h, &["a"]).await;
    let steps = json!([
        { "op": "get", "key": "a" },
        { "op": "wait", "value": "300" },
        { "op": "put", "key": "a", "value": "lost" },
    ]);
    let answer = beside_writers(&h, json!({ "steps": steps })).await;
    assert!(has_lost(&answer.unwrap()));
    assert_eq!(stored(&h, "a").await, "won");
}

/// What a component commits is its request's own until it returns: the newer write comes in between.
async fn a_write_after_a_commit_and_before_the_answer_follows_the_rule_of_the_mode(h: Harness) {
    h.mount(Guest::Hostile).await;
    put_all(&h, &["a"]).await;
    let steps = json!([{ "op": "get", "key": "a" }, { "op": "put", "key": "a", "value": "mine" }]);
    let body = json!({ "steps": steps, "pause": 300 });
    // Should the newer write come before the commit, the plugin itself is told.
    let outcome = loop {
        match beside_writers(&h, body.clone()).await {
            Ok(answer) if has_lost(&answer) => {}
            outcome => break outcome,
        }
    };
    match h.mode.is_wasm() {
        true => drop(expect_kind(outcome, ErrorKind::Conflict)),
        false => assert_eq!(outcome.unwrap()["committed"], true),
    }
}

/// Runs a transaction while others write the key that it reads.
async fn beside_writers(h: &Harness, transaction: Value) -> Result<Value, CallError> {
    let running = {
        let h = h.clone();
        tokio::spawn(async move { h.write("hostile/tx", transaction).await })
    };
    while !running.is_finished() {
        let won = json!({ "value": "won" });
        h.write("hostile/store/a", won).await.unwrap();
    }
    running.await.unwrap()
}

fn has_lost(answer: &Value) -> bool {
    answer["committed"] == false && answer["end_error"]["kind"] == "Conflict"
}

async fn writes_before_an_error_are_kept(h: Harness) {
    h.mount(Guest::Hostile).await;
    let error = h
        .write("hostile/write-then/error/a", json!({ "value": "kept" }))
        .await;
    assert_ne!(
        expect_plugin_error(error).kind,
        PluginErrorKind::UnsupportedPath
    );
    assert_eq!(stored(&h, "a").await, "kept");
}

async fn writes_before_a_trap_follow_the_rule_of_the_mode(h: Harness) {
    h.mount(Guest::Hostile).await;
    let outcome = h
        .write("hostile/write-then/trap/a", json!({ "value": "x" }))
        .await;
    outcome.unwrap_err();
    assert_eq!(stored(&h, "a").await, left_behind(&h));
}

async fn writes_before_a_timeout_follow_the_rule_of_the_mode(h: Harness) {
    h.mount(Guest::Hostile).await;
    h.read("hostile/echo").await.unwrap();
    let body = json!({ "value": "x" });
    let path = "hostile/write-then/spin/a";
    h.request_within(Duration::from_secs(2), Operation::Update, path, body)
        .await
        .unwrap_err();
    if h.mode == Mode::Native {
        // Its one thread is busy for ever; a new process has a free one.
        h.reload("hostile").await.unwrap();
    }
    assert_eq!(stored(&h, "a").await, left_behind(&h));
}

/// A component's writes become visible together when it returns; a process writes as it goes.
fn left_behind(h: &Harness) -> Value {
    match h.mode.is_wasm() {
        true => Value::Null,
        false => json!("x"),
    }
}

async fn concurrent_writes_to_one_key_leave_one_of_them(h: Harness) {
    h.mount(Guest::Hostile).await;
    let write = |n: u32| {
        let h = h.clone();
        tokio::spawn(async move {
            h.write("hostile/store/a", json!({ "value": format!("writer {n}") }))
                .await
        })
    };
    for write in (0..16).map(write).collect::<Vec<_>>() {
        write.await.unwrap().unwrap();
    }
    let last = stored(&h, "a").await;
    assert!(
        last.as_str()
            .is_some_and(|text| text.starts_with("writer ")),
        "{last}"
    );
}

/// The value of a key, or `Null`.
async fn stored(h: &Harness, key: &str) -> Value {
    let answer = h.read(&format!("hostile/store/{key}")).await.unwrap();
    answer["value"].clone()
}

async fn put_all(h: &Harness, keys: &[&str]) {
    for key in keys {
        let path = format!("hostile/store/{key}");
        h.write(&path, json!({ "value": key })).await.unwrap();
    }
}

async fn names(h: &Harness, prefix: &str, page: Value) -> Vec<String> {
    h.list(&format!("hostile/store/{prefix}"), page)
        .await
        .unwrap()
}

async fn transaction(h: &Harness, commit: bool, steps: Value) -> Value {
    let body = json!({ "mode": "read-write", "steps": steps, "commit": commit });
    h.write("hostile/tx", body).await.unwrap()["results"].clone()
}
