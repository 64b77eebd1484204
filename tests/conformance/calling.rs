//! How requests and answers cross: unchanged, whole, bounded, side by side.

use std::time::Duration;

use palisade_runtime::ErrorKind;
use palisade_runtime::contract::{Operation, PluginErrorKind};
use palisade_tests::{Guest, Harness, expect_kind, expect_plugin_error};
use serde_json::{Value, json};

use crate::case::cases;

cases! {
    a_request_arrives_with_the_fields_of_its_mount,
    every_operation_arrives_as_itself,
    numbers_of_thirty_digits_cross_unchanged,
    any_text_crosses_unchanged,
    nothing_to_say_is_no_response,
    warnings_cross,
    an_answer_of_a_megabyte_crosses_whole,
    a_path_that_the_plugin_does_not_have_is_unsupported,
    an_operation_that_a_path_does_not_have_is_unsupported,
    a_path_answers_for_help,
    an_existence_check_tells_a_new_key_from_an_old_one,
    a_request_to_no_mount_is_refused_by_name,
    an_oversized_body_is_refused_with_its_size,
    an_oversized_answer_is_refused_with_its_size,
    requests_run_side_by_side,
}

const PATIENCE: Duration = Duration::from_secs(30);

async fn a_request_arrives_with_the_fields_of_its_mount(h: Harness) {
    let mount = h.mount_at("deep/er", Guest::Hostile, &[]).await;
    let seen = h.read("deep/er/echo/some/path").await.unwrap();
    assert_eq!(seen["path"], "echo/some/path");
    assert_eq!(seen["mount_point"], "deep/er/");
    assert_eq!(seen["mount_type"], "hostile");
    assert_eq!(seen["mount_accessor"], mount.accessor.as_str());
}

async fn every_operation_arrives_as_itself(h: Harness) {
    h.mount(Guest::Hostile).await;
    let operations = [
        Operation::Read,
        Operation::Create,
        Operation::Update,
        Operation::Patch,
        Operation::Delete,
        Operation::List,
        Operation::Scan,
    ];
    for operation in operations {
        let answer = h.request(operation, "hostile/echo", json!({})).await;
        let seen: Value = answer.unwrap().unwrap().data.parse().unwrap();
        assert_eq!(seen["operation"], operation.as_str());
    }
}

async fn numbers_of_thirty_digits_cross_unchanged(h: Harness) {
    const DATA: &str = r#"{"a":123456789012345678901234567890,"b":0.100000000000000000000000000001,"c":-98765432109876543210987654321.5}"#;
    h.mount(Guest::Hostile).await;
    let answer = h.request_text(PATIENCE, Operation::Update, "hostile/echo", DATA.to_owned());
    let answer = answer.await.unwrap().unwrap();
    for digits in [
        "123456789012345678901234567890",
        "0.100000000000000000000000000001",
        "-98765432109876543210987654321.5",
    ] {
        assert!(
            answer.data.as_str().contains(digits),
            "{:?}",
            answer.data.as_str()
        );
    }
}

async fn any_text_crosses_unchanged(h: Harness) {
    h.mount(Guest::Hostile).await;
    let text = "nul \u{0}, quote \", backslash \\, line\nfeed, é, 漢字, 🦀, \u{2028}";
    let seen = h
        .write("hostile/echo", json!({ text: text }))
        .await
        .unwrap();
    assert_eq!(seen["data"][text], text);
}

async fn nothing_to_say_is_no_response(h: Harness) {
    h.mount(Guest::Hostile).await;
    let answer = h
        .request(Operation::Read, "hostile/store/absent", Value::Null)
        .await;
    assert_eq!(answer.unwrap(), None);
}

async fn warnings_cross(h: Harness) {
    h.mount(Guest::Hostile).await;
    let answer = h
        .request(Operation::Read, "hostile/warn", Value::Null)
        .await;
    assert!(!answer.unwrap().unwrap().warnings.is_empty());
}

async fn an_answer_of_a_megabyte_crosses_whole(h: Harness) {
    const BYTES: usize = 1 << 20;
    h.mount(Guest::Hostile).await;
    let answer = h
        .request(Operation::Read, "hostile/big", json!({ "bytes": BYTES }))
        .await;
    assert!(answer.unwrap().unwrap().data.as_str().len() >= BYTES);
}

async fn a_path_that_the_plugin_does_not_have_is_unsupported(h: Harness) {
    h.mount(Guest::Hostile).await;
    let error = expect_plugin_error(h.read("hostile/no/such/path").await);
    assert_eq!(error.kind, PluginErrorKind::UnsupportedPath);
}

async fn an_operation_that_a_path_does_not_have_is_unsupported(h: Harness) {
    h.mount(Guest::Hostile).await;
    let error = expect_plugin_error(h.delete("hostile/count").await);
    assert_eq!(error.kind, PluginErrorKind::UnsupportedOperation);
}

async fn a_path_answers_for_help(h: Harness) {
    h.mount(Guest::Hostile).await;
    let answer = h
        .request(Operation::Help, "hostile/echo", Value::Null)
        .await;
    let help: Value = answer.unwrap().unwrap().data.parse().unwrap();
    assert!(help["help"].as_str().is_some_and(|text| !text.is_empty()));
}

async fn an_existence_check_tells_a_new_key_from_an_old_one(h: Harness) {
    use palisade_runtime::contract::{Existence, Json, Request};
    h.mount(Guest::Kv).await;
    let check = || {
        let request = Request::new(Operation::Update, "kv/data/a", Json::null());
        h.runtime.exists(request, Some(PATIENCE))
    };
    assert_eq!(check().await.unwrap(), Existence::Absent);
    h.write("kv/data/a", json!({ "data": { "k": "v" } }))
        .await
        .unwrap();
    assert_eq!(check().await.unwrap(), Existence::Present);
}

async fn a_request_to_no_mount_is_refused_by_name(h: Harness) {
    h.mount(Guest::Hostile).await;
    for path in ["elsewhere/echo", "hostiles/echo", "", "/"] {
        let error = expect_kind(h.read(path).await, ErrorKind::MountNotFound);
        assert!(error.to_string().contains(path), "{error}");
    }
}

async fn an_oversized_body_is_refused_with_its_size(h: Harness) {
    const LIMIT: usize = 32 << 20;
    h.mount(Guest::Hostile).await;
    let body = json!({ "text": "x".repeat(LIMIT) });
    let error = expect_kind(h.write("hostile/echo", body).await, ErrorKind::TooLarge);
    assert!(error.to_string().contains(&LIMIT.to_string()), "{error}");

    // The control: a large one gets through.
    let body = json!({ "text": "x".repeat(LIMIT / 8) });
    h.write("hostile/echo", body).await.unwrap();
}

async fn an_oversized_answer_is_refused_with_its_size(h: Harness) {
    const LIMIT: usize = 32 << 20;
    h.mount(Guest::Hostile).await;
    let ask = json!({ "bytes": LIMIT + 1 });
    let answer = h.request(Operation::Read, "hostile/big", ask).await;
    let error = match h.mode.is_wasm() {
        // Making it takes more than twice its size, which is more memory than a component has.
        true => expect_kind_of(answer, &[ErrorKind::TooLarge, ErrorKind::OutOfMemory]),
        false => expect_kind(answer, ErrorKind::TooLarge),
    };
    assert!(error.to_string().contains("bytes"), "{error}");
    assert!(h.read("hostile/echo").await.is_ok());
}

fn expect_kind_of(
    outcome: palisade_tests::Outcome,
    kinds: &[ErrorKind],
) -> palisade_runtime::CallError {
    let error = outcome.unwrap_err();
    assert!(kinds.contains(&error.kind()), "{error:?}");
    error
}

async fn requests_run_side_by_side(h: Harness) {
    const MILLISECONDS: u64 = 400;
    h.mount(Guest::Hostile).await;
    h.read("hostile/echo").await.unwrap();
    let wait = || {
        let h = h.clone();
        tokio::spawn(async move { h.write("hostile/wait", json!({ "ms": MILLISECONDS })).await })
    };
    let begun = std::time::Instant::now();
    let waits: Vec<_> = std::iter::repeat_with(wait).take(8).collect();
    for wait in waits {
        wait.await.unwrap().unwrap();
    }
    // One after the other they would take eight times as long.
    let took = begun.elapsed();
    assert!(took < Duration::from_millis(5 * MILLISECONDS), "{took:?}");
}
