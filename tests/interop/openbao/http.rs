//! What a client sees: statuses and bodies.

use http::{Method, StatusCode};
use libtest_mimic::Trial;
use palisade_demo::http::{Answer, Client};
use serde_json::{Value, json};

use super::{Both, trial};

/// What is asked: method, path beneath the mount, and body.
type Question = (&'static str, &'static str, &'static str);

/// What the mock of each SDK answers alike behind both.
const OF_A_MOCK: &[Question] = &[
    ("GET", "kv/a", ""),
    ("PUT", "kv/a", r#"{"value":"one"}"#),
    ("POST", "kv/b", r#"{"value":"two"}"#),
    ("GET", "kv/a", ""),
    ("LIST", "kv", ""),
    ("LIST", "kv/", ""),
    ("GET", "kv?list=true", ""),
    ("GET", "kv/%62", ""),
    ("HEAD", "kv/b", ""),
    ("DELETE", "kv/a", ""),
    ("DELETE", "kv/none", ""),
    ("GET", "kv/a", ""),
    ("LIST", "kv/", ""),
    ("LIST", "none/", ""),
    ("GET", "raw", ""),
    ("GET", "special", ""),
    ("GET", "internal", ""),
    ("PUT", "internal", r#"{"value":"z"}"#),
    ("GET", "internal", ""),
    ("PUT", "kv/c", ""),
    ("PUT", "kv/c", r#"{"value":12}"#),
    ("PUT", "kv/c", r#"{"value":null}"#),
    ("PUT", "kv/c", r#"{"value":{"a":1}}"#),
    ("PUT", "kv/c", r#"{"value":12345678901234567890123}"#),
    ("GET", "kv/c", ""),
    ("GET", "", ""),
    ("GET", "nowhere", ""),
    ("PUT", "nowhere", "{}"),
    ("LIST", "nowhere", ""),
    ("DELETE", "nowhere", ""),
    ("OPTIONS", "kv/b", ""),
    ("SCAN", "kv/", ""),
    ("GET", "errors/rpc", ""),
    ("GET", "errors/kill", ""),
    ("PUT", "errors/type", r#"{"err_type":0}"#),
    ("PUT", "errors/type", r#"{"err_type":2}"#),
    ("PUT", "errors/type", r#"{"err_type":3}"#),
    ("PUT", "errors/type", r#"{"err_type":4}"#),
    ("PUT", "errors/type", r#"{"err_type":5}"#),
    ("PUT", "errors/type", r#"{"err_type":6}"#),
    ("PUT", "errors/type", r#"{"err_type":7}"#),
    ("PUT", "errors/type", r#"{"err_type":8}"#),
    ("PUT", "errors/type", r#"{"err_type":10}"#),
];

/// What the peer that tries everything else answers alike.
const OF_THE_PEER: &[Question] = &[
    ("PUT", "store/x", r#"{"bytes":10}"#),
    ("GET", "store/x", ""),
    ("GET", "store/none", ""),
    ("PUT", "store/large", r#"{"bytes":1000000}"#),
    ("PUT", "page", r#"{"after":"","limit":2}"#),
    ("PUT", "page", r#"{"after":"large","limit":-1}"#),
    ("PUT", "transfer", r#"{"keys":"a,b","end":"commit"}"#),
    ("GET", "store/a", ""),
    ("PUT", "transfer", r#"{"keys":"c","end":"rollback"}"#),
    ("PUT", "transfer", r#"{"keys":"c","end":"fail"}"#),
    ("GET", "store/c", ""),
    ("GET", "race", ""),
    ("PUT", "password", r#"{"policy":"strong"}"#),
];

pub(super) fn trials() -> Vec<Trial> {
    let alike = |plugin, questions| {
        trial(plugin, "answers_alike", move |both| {
            answers(both, questions)
        })
    };
    vec![
        alike("bao-mock", OF_A_MOCK),
        alike("vault-mock", OF_A_MOCK),
        alike("bao-peer", OF_THE_PEER),
        trial("bao-mock", "helps_alike", helps),
        trial(
            "bao-mock",
            "what_cannot_be_done_has_another_status",
            other_statuses,
        ),
        trial("bao-peer", "gives_a_secret_alike_but_for_its_lease", secret),
    ]
}

async fn answers(both: Both, questions: &[Question]) {
    let mut asked = Asked::of(&both).await;
    for question in questions {
        let [theirs, ours] = asked.ask(*question).await;
        assert_eq!(ours, theirs, "{question:?}");
    }
}

/// The description of the interface beside the help is each server's own.
async fn helps(both: Both) {
    let mut asked = Asked::of(&both).await;
    for path in ["?help=1", "kv/a?help=1"] {
        let [theirs, ours] = asked.ask(("GET", path, "")).await;
        assert!(ours.body["help"].is_string(), "{ours:?}");
        assert_eq!(ours.body["help"], theirs.body["help"]);
    }
}

async fn other_statuses(both: Both) {
    let mut asked = Asked::of(&both).await;
    for (question, theirs, ours) in [
        (("PUT", "errors/type", r#"{"err_type":1}"#), 500, 400),
        (("PUT", "errors/type", r#"{"err_type":9}"#), 500, 403),
        (("PATCH", "kv/a", r#"{"value":"x"}"#), 400, 415),
        (("GET", "kv//a", ""), 307, 400),
        (("GET", "kv/../special", ""), 307, 400),
    ] {
        let statuses = asked.ask(question).await.map(|seen| seen.status.as_u16());
        assert_eq!(statuses, [theirs, ours], "{question:?}");
    }
}

async fn secret(both: Both) {
    let [theirs, ours] = Asked::of(&both).await.ask(("GET", "creds/db", "")).await;
    assert_eq!(ours.status, theirs.status);
    for field in ["data", "lease_duration"] {
        assert_eq!(ours.body[field], theirs.body[field], "{field}");
    }
    let lease = theirs.body["lease_id"].as_str().unwrap();
    assert!(lease.starts_with("m/creds/db/"), "{lease}");
    assert_eq!(ours.body["lease_id"], "");
    let warning = ours.body["warnings"][0].as_str().unwrap();
    assert!(warning.contains("no leases"), "{warning}");
}

/// A connection to OpenBao, and one to this server.
struct Asked([Client; 2]);

/// What a client sees, without what differs from request to request.
#[derive(Debug, PartialEq)]
struct Seen {
    status: StatusCode,
    body: Value,
}

impl Asked {
    async fn of(both: &Both) -> Self {
        Self(both.clients().await)
    }

    /// OpenBao's answer and this server's.
    async fn ask(&mut self, (method, path, body): Question) -> [Seen; 2] {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let path = format!("m/{path}");
        let [theirs, ours] = &mut self.0;
        let theirs = theirs.send(method.clone(), &path, body).await.unwrap();
        let ours = ours.send(method, &path, body).await.unwrap();
        let mut theirs = Seen::of(&theirs);
        theirs.unlist();
        [theirs, Seen::of(&ours)]
    }
}

impl Seen {
    fn of(answer: &Answer) -> Self {
        let text = String::from_utf8_lossy(&answer.bytes);
        let mut body = serde_json::from_str(&text).unwrap_or_else(|_| json!(text));
        if let Some(fields) = body.as_object_mut() {
            fields.remove("request_id");
        }
        Self {
            status: answer.status,
            body,
        }
    }

    /// OpenBao puts what a plugin says into a list of one; this server passes it on as it is.
    fn unlist(&mut self) {
        let errors = self.body.get_mut("errors").and_then(Value::as_array_mut);
        errors.into_iter().flatten().for_each(unlist);
    }
}

fn unlist(error: &mut Value) {
    let text = error.as_str().unwrap_or_default();
    let only = text
        .strip_prefix("1 error occurred:\n\t* ")
        .and_then(|rest| rest.strip_suffix("\n\n"));
    if let Some(only) = only {
        *error = json!(only);
    }
}
