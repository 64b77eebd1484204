//! Requests, sensible and not, whose answers do not depend on the language that the engine is written in.

mod invented;

use std::time::Duration;

use palisade_runtime::catalog::Manifest;
use palisade_runtime::contract::{Operation, PluginErrorKind};
use palisade_runtime::{CallError, NewMount};
use palisade_tests::{Guest, Harness, Outcome};
use serde_json::{Value, json};

use invented::Inventor;

use Operation::{Create, Delete, Help, List, Patch, Read, Renew, Scan, Update};

/// The engine in Rust, registered and mounted under this name besides.
const RUST: &str = "rust";

/// What is asked, path by path; later requests see what earlier ones did.
const SCRIPT: &[(Operation, &str, &str)] = &[
    (Read, "config", "null"),
    (
        Update,
        "config",
        r#"{"max_versions":"5","cas_required":"f","delete_version_after":"1.5h"}"#,
    ),
    (Update, "config", r#"{"max_versions":4294967296}"#),
    (
        Update,
        "config",
        r#"{"max_versions":true,"delete_version_after":null}"#,
    ),
    (Update, "config", r#"{"max_versions":1.0}"#),
    (Update, "config", r#"{"max_versions":9223372036854775808}"#),
    (Update, "config", r#"{"max_versions":[]}"#),
    (Update, "config", r#"{"cas_required":"perhaps"}"#),
    (Update, "config", r#"{"cas_required":{}}"#),
    (Update, "config", r#"{"delete_version_after":"1h30"}"#),
    (Update, "config", r#"{"delete_version_after":"-2h"}"#),
    (Read, "config", "null"),
    (
        Update,
        "config",
        r#"{"delete_version_after":"0s","max_versions":3}"#,
    ),
    (Read, "config", "{}"),
    (List, "config", "null"),
    (Read, "config/x", "null"),
    (Read, "data/none", "null"),
    (Read, "metadata/none", "null"),
    (Read, "subkeys/none", "null"),
    (Delete, "data/none", "null"),
    (Delete, "metadata/none", "null"),
    (Update, "delete/none", r#"{"versions":[1]}"#),
    (List, "metadata/", "null"),
    (
        Create,
        "data/a",
        r#"{"data":{"k":"v","n":{"x":1.50,"y":[null,true]},"e":{}}}"#,
    ),
    (
        Update,
        "data/a",
        r#"{"data":{"k":"v2"},"options":{"cas":"1"}}"#,
    ),
    (Update, "data/a", r#"{"data":{},"options":{"cas":1}}"#),
    (Update, "data/a", r#"{"data":{},"options":{"cas":-1}}"#),
    (Update, "data/a", r#"{"data":{},"options":{"cas":null}}"#),
    (Update, "data/a", r#"{"data":{},"options":{"cas":2.5}}"#),
    (Update, "data/a", r#"{"data":{},"options":[]}"#),
    (Update, "data/a", r#"{"data":[]}"#),
    (Update, "data/a", r#"{"data":null}"#),
    (Update, "data/a", "null"),
    (Update, "data/a", "[]"),
    (
        Update,
        "data/a",
        r#"{"data":{"k":"v3"},"path":"other","version":"x"}"#,
    ),
    (Read, "data/a", r#"{"version":1}"#),
    (Read, "data/a", r#"{"version":"2"}"#),
    (Read, "data/a", r#"{"version":-3}"#),
    (Read, "data/a", r#"{"version":99}"#),
    (Read, "data/a", r#"{"version":{}}"#),
    (
        Patch,
        "data/a",
        r#"{"data":{"k":null,"n":{"x":{"deep":[1e2]}},"new":"\u0000\u001f\"\\\/é\ud83d\ude00"}}"#,
    ),
    (
        Patch,
        "data/a",
        r#"{"data":{"n":{"x":{"deep":null,"other":0}}},"options":{"cas":3}}"#,
    ),
    (Patch, "data/none", r#"{"data":{}}"#),
    (Patch, "data/", r#"{"data":{}}"#),
    (Read, "data/a", "null"),
    (Read, "subkeys/a", "null"),
    (Read, "subkeys/a", r#"{"depth":"1"}"#),
    (Read, "subkeys/a", r#"{"depth":2,"version":"0"}"#),
    (Read, "subkeys/a", r#"{"depth":"x"}"#),
    (Read, "metadata/a", "null"),
    (Update, "metadata/a", "{}"),
    (
        Update,
        "metadata/a",
        r#"{"max_versions":2,"cas_required":1,"delete_version_after":"2d"}"#,
    ),
    (Update, "metadata/a", r#"{"delete_version_after":-1}"#),
    (
        Update,
        "metadata/a",
        r#"{"custom_metadata":{"z":"1","a":2,"m":true}}"#,
    ),
    (Update, "metadata/a", r#"{"custom_metadata":{"a":{}}}"#),
    (
        Update,
        "metadata/a",
        r#"{"custom_metadata":{"tab\t":"a\u00a0b","":""}}"#,
    ),
    (Update, "metadata/a", r#"{"custom_metadata":"text"}"#),
    (
        Patch,
        "metadata/a",
        r#"{"custom_metadata":{"z":null,"q":"é"},"cas_required":null}"#,
    ),
    (Patch, "metadata/a", r#"{"max_versions":-1}"#),
    (Patch, "metadata/none", r#"{"max_versions":1}"#),
    (Read, "metadata/a", "null"),
    (Update, "data/a", r#"{"data":{"k":"after"}}"#),
    (Read, "metadata/a", "null"),
    (
        Patch,
        "metadata/a",
        r#"{"custom_metadata":null,"delete_version_after":null,"max_versions":null}"#,
    ),
    (
        Update,
        "data/twice",
        r#"{"data":1,"data":{"a":100000000000000000001,"__proto__":{"b":[ ]}, "a":100000000000000000002}}"#,
    ),
    (Read, "data/twice", "null"),
    (
        Patch,
        "data/twice",
        r#"{"data":{"__proto__":{"constructor":{"x":1}}}}"#,
    ),
    (Read, "data/twice", "null"),
    (Read, "subkeys/twice", "null"),
    (Update, "data/b/c", r#"{"data":{}}"#),
    (Update, "data/b/d e/ü", r#"{"data":{"":{"":""}}}"#),
    (List, "metadata/", "null"),
    (List, "metadata", "null"),
    (List, "metadata/b", r#"{"limit":1}"#),
    (
        List,
        "metadata/b/",
        r#"{"after":"c","limit":"99999999999"}"#,
    ),
    (List, "metadata/", r#"{"after":[]}"#),
    (Scan, "metadata/", "null"),
    (Delete, "data/a", "null"),
    (Read, "data/a", "null"),
    (Read, "subkeys/a", "null"),
    (Patch, "data/a", r#"{"data":{"k":1}}"#),
    (Update, "undelete/a", r#"{"versions":"5, 6,,99"}"#),
    (Read, "data/a", "null"),
    (Update, "undelete/a", r#"{"versions":"x"}"#),
    (Update, "undelete/a", r#"{"versions":{}}"#),
    (Update, "undelete/a", r#"{"versions":[]}"#),
    (Update, "delete/a", r#"{"versions":5}"#),
    (Update, "destroy/a", r#"{"versions":["5",-1,0]}"#),
    (Update, "destroy/a", "{}"),
    (Read, "metadata/a", "null"),
    (Read, "data/a", r#"{"version":5}"#),
    (Update, "config", r#"{"cas_required":true}"#),
    (Update, "metadata/a", r#"{"cas_required":false}"#),
    (Patch, "metadata/a", r#"{"cas_required":"0"}"#),
    (Update, "data/a", r#"{"data":{}}"#),
    (Delete, "metadata/a", "null"),
    (Read, "data/a", "null"),
    (Read, "", "null"),
    (Read, "data", "null"),
    (Update, "metadata", "null"),
    (Delete, "my-secret", "null"),
    (List, "anything/else", "null"),
    (Scan, "anything", "null"),
    (Read, "delete/a", "null"),
    (Delete, "destroy/a", "null"),
    (List, "data/a", "null"),
    (Renew, "data/a", "null"),
    (Help, "data/a", "null"),
    (Help, "config", "null"),
    (Help, "nothing", "null"),
    (Help, "", "null"),
];

/// Sends the script to what is mounted at `kv/` and to the engine in Rust, and compares answer by answer.
pub(crate) async fn every_answer_is_the_one_of_the_engine_in_rust(h: Harness) {
    mount_rust(&h).await;
    for (operation, path, body) in SCRIPT {
        compare(&h, *operation, path, body).await;
    }
}

/// The same with requests that nobody would think of.
pub(crate) async fn invented_requests_are_answered_as_in_rust(h: Harness) {
    const REQUESTS: usize = 600;
    let mut inventor = Inventor::new(0x5eed);
    mount_rust(&h).await;
    for _ in 0..REQUESTS {
        let (operation, path, body) = inventor.request();
        compare(&h, operation, &path, &body).await;
    }
}

async fn compare(h: &Harness, operation: Operation, path: &str, body: &str) {
    let found = ask(h, "kv", operation, path, body).await;
    let expected = ask(h, RUST, operation, path, body).await;
    assert_eq!(found, expected, "{operation:?} {path} {body}");
}

async fn mount_rust(h: &Harness) {
    let component = std::fs::read(Guest::Kv.component()).unwrap();
    let digest = h.place(RUST, &component);
    let manifest = Manifest::new(Guest::Kv.plugin_type(), RUST, &digest);
    h.runtime.register(manifest).await.unwrap();
    let mount = NewMount {
        plugin: RUST.to_owned(),
        ..NewMount::default()
    };
    let path = RUST.parse().unwrap();
    h.runtime.enable(path, mount).await.unwrap();
}

async fn ask(h: &Harness, mount: &str, operation: Operation, path: &str, body: &str) -> Value {
    let path = format!("{mount}/{path}");
    let patience = Duration::from_secs(30);
    shown(
        h.request_text(patience, operation, &path, body.to_owned())
            .await,
    )
}

/// An outcome without what is another at each request.
fn shown(outcome: Outcome) -> Value {
    match outcome {
        Ok(None) => json!("nothing"),
        Ok(Some(response)) => {
            let data: Value = response.data.parse().unwrap();
            json!({ "data": masked(data), "warnings": response.warnings })
        }
        Err(CallError::Plugin(error)) => {
            json!({ "error": kind(error.kind), "says": error.message })
        }
        Err(other) => panic!("{other}"),
    }
}

fn kind(kind: PluginErrorKind) -> String {
    format!("{kind:?}")
}

/// With the same text for every time, the body of an answer of another status taken apart, and help without its document, of
/// which only Rust's has the parameters.
fn masked(value: Value) -> Value {
    match value {
        Value::String(text) if is_time(&text) => json!("a time"),
        Value::Array(items) => items.into_iter().map(masked).collect(),
        Value::Object(members) => {
            let members = members.into_iter().map(|(name, member)| {
                let member = match (name.as_str(), member) {
                    ("http_raw_body", Value::String(text)) => serde_json::from_str(&text).unwrap(),
                    ("request_id", _) => json!("an id"),
                    ("openapi", _) => json!("a document"),
                    // The place of the fault is told by one of them only.
                    ("error", Value::String(text)) => json!(text.split(" (line").next()),
                    (_, member) => member,
                };
                (name, masked(member))
            });
            Value::Object(members.collect())
        }
        other => other,
    }
}

fn is_time(text: &str) -> bool {
    text.len() > 19 && text.ends_with('Z') && text.as_bytes()[10] == b'T'
}
