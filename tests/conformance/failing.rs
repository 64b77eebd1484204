//! What a plugin says went wrong arrives as it said it.

use palisade_runtime::ErrorKind;
use palisade_runtime::contract::{Operation, PluginErrorKind};
use palisade_tests::{Guest, Harness, expect_kind, expect_plugin_error};
use serde_json::{Value, json};

use crate::case::cases;

cases! {
    every_kind_of_plugin_error_crosses_with_its_text,
    an_error_response_of_the_old_kind_crosses,
    a_wrong_field_is_the_callers_fault_and_named,
    an_answer_that_is_no_json_harms_nobody,
    an_error_of_a_host_call_keeps_its_text,
}

async fn every_kind_of_plugin_error_crosses_with_its_text(h: Harness) {
    let kinds = [
        ("unknown", PluginErrorKind::Unknown),
        ("user", PluginErrorKind::User),
        ("internal", PluginErrorKind::Internal),
        ("coded", PluginErrorKind::Coded(418)),
        ("bad-request", PluginErrorKind::BadRequest),
        (
            "unsupported-operation",
            PluginErrorKind::UnsupportedOperation,
        ),
        ("unsupported-path", PluginErrorKind::UnsupportedPath),
        ("invalid-request", PluginErrorKind::InvalidRequest),
        ("permission-denied", PluginErrorKind::PermissionDenied),
        (
            "multi-authorization-pending",
            PluginErrorKind::MultiAuthorizationPending,
        ),
        ("unrecoverable", PluginErrorKind::Unrecoverable),
    ];
    h.mount(Guest::Hostile).await;
    for (word, kind) in kinds {
        let path = format!("hostile/fail/{word}");
        let message = format!("text of {word}: é, \"quoted\"");
        let body = json!({ "message": message, "code": 418 });
        let error = expect_plugin_error(h.write(&path, body).await);
        assert_eq!((error.kind, error.message), (kind, message), "{word}");
    }
}

async fn an_error_response_of_the_old_kind_crosses(h: Harness) {
    h.mount(Guest::Hostile).await;
    let body = json!({ "message": "said so" });
    let answer = h
        .request(Operation::Update, "hostile/fail/response", body)
        .await;
    let answer = answer.unwrap().unwrap();
    assert_eq!(answer.error_text().as_deref(), Some("said so"));
}

async fn a_wrong_field_is_the_callers_fault_and_named(h: Harness) {
    h.mount(Guest::Hostile).await;
    let ask = json!({ "limit": ["not", "a", "number"] });
    let answer = h.request(Operation::List, "hostile/store/", ask).await;
    let text = match answer {
        Ok(response) => response.unwrap().error_text().unwrap(),
        Err(error) => expect_plugin_error::<Value>(Err(error)).message,
    };
    assert!(text.contains("limit"), "{text}");
}

async fn an_answer_that_is_no_json_harms_nobody(h: Harness) {
    h.mount(Guest::Hostile).await;
    let answer = h
        .request(Operation::Read, "hostile/bad-json", Value::Null)
        .await;
    match answer {
        // Data crosses unparsed: whoever parses it finds out, and must be ready to.
        Ok(response) => assert_eq!(response.unwrap().data.as_str(), r#"{"unfinished":"#),
        Err(error) => drop(expect_kind::<Value>(Err(error), ErrorKind::Protocol)),
    }
    assert!(h.read("hostile/echo").await.is_ok());
}

async fn an_error_of_a_host_call_keeps_its_text(h: Harness) {
    h.mount(Guest::Hostile).await;
    let steps = json!([{ "op": "put", "key": "a", "value": "1" }]);
    let body = json!({ "mode": "read-only", "steps": steps, "commit": true });
    let said = h.write("hostile/tx", body).await.unwrap()["results"][0].clone();
    assert_eq!(said["error"], "cannot write to readonly storage");
    assert_eq!(said["kind"], "ReadOnly");
}
