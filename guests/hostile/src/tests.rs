//! The harmless paths, over a host in memory.

use palisade_plugin::testing::{Mount, ready};
use palisade_plugin::{Host, PluginErrorKind, Response, StorageEntry};
use serde_json::{Value, json};

fn mount() -> Mount {
    Mount::enable(super::plugin(), &[]).unwrap()
}

fn body(response: Option<Response>) -> Value {
    response.unwrap().data.parse().unwrap()
}

#[test]
fn echo_gives_back_the_request_with_every_digit() {
    let text = r#"{"n":123456789012345678901234567890.10}"#;
    let sent: Value = serde_json::from_str(text).unwrap();
    let response = mount().write("echo/a/b", sent).unwrap().unwrap();
    assert!(response.data.as_str().contains(text));
    let echoed = body(Some(response));
    assert_eq!(echoed["path"], "echo/a/b");
    assert_eq!(echoed["operation"], "update");
}

#[test]
fn a_key_is_written_read_listed_and_deleted() {
    let mount = mount();
    for key in ["a", "b/1", "c"] {
        mount
            .write(&format!("store/{key}"), json!({ "value": key }))
            .unwrap();
    }
    assert_eq!(
        body(mount.read("store/b/1").unwrap()),
        json!({ "value": "b/1" })
    );
    assert_eq!(
        body(mount.list("store/").unwrap())["keys"],
        json!(["a", "b/", "c", "initialized"])
    );
    mount.delete("store/a").unwrap();
    assert_eq!(mount.read("store/a").unwrap(), None);
}

#[test]
fn a_transaction_tells_what_each_step_said() {
    let mount = mount();
    let steps = json!({ "steps": [
        { "op": "put", "key": "k", "value": "v" },
        { "op": "get", "key": "k" },
        { "op": "list", "key": "" },
        { "op": "delete", "key": "k" },
    ]});
    let told = body(mount.write("tx", steps).unwrap());
    assert_eq!(told["committed"], true);
    assert_eq!(told["results"][1], json!({ "value": "v" }));
    assert_eq!(mount.read("store/k").unwrap(), None);
}

#[test]
fn a_read_only_transaction_says_no_to_a_put() {
    let steps = json!({ "mode": "read-only", "steps": [{ "op": "put", "key": "k" }] });
    let told = body(mount().write("tx", steps).unwrap());
    assert_eq!(told["results"][0]["kind"], "ReadOnly");
}

#[test]
fn a_race_is_lost() {
    let outcome = mount().write("tx-race/k", json!({ "value": "v" }));
    assert_eq!(outcome.unwrap_err().message, "transaction commit failed");
}

#[test]
fn a_write_before_an_error_is_made() {
    let mount = mount();
    mount
        .write("write-then/error/k", json!({ "value": "v" }))
        .unwrap_err();
    assert_eq!(body(mount.read("store/k").unwrap())["value"], "v");
}

#[test]
fn every_kind_of_error_comes_back_with_its_text() {
    let query = json!({ "message": "so it is", "code": 429 });
    for (word, kind) in [
        ("unknown", PluginErrorKind::Unknown),
        ("coded", PluginErrorKind::Coded(429)),
        ("permission-denied", PluginErrorKind::PermissionDenied),
        ("unrecoverable", PluginErrorKind::Unrecoverable),
    ] {
        let outcome = mount().read_with(&format!("fail/{word}"), query.clone());
        let error = outcome.unwrap_err();
        assert_eq!((error.kind, error.message.as_str()), (kind, "so it is"));
    }
    let refused = mount().read_with("fail/response", query).unwrap().unwrap();
    assert_eq!(refused.error_text().unwrap(), "so it is");
}

#[test]
fn the_cache_is_stale_until_it_is_told() {
    let mount = mount();
    let cached = |mount: &Mount| body(mount.read("cache/k").unwrap());
    mount.write("store/k", json!({ "value": "old" })).unwrap();
    assert_eq!(cached(&mount), json!({ "value": "old", "cached": false }));
    // As another instance of the mount would write it.
    let elsewhere = mount.host().storage().put(StorageEntry::new("k", "new"));
    ready(elsewhere).unwrap();
    assert_eq!(cached(&mount), json!({ "value": "old", "cached": true }));
    ready(mount.backend().invalidate_key("k", mount.host()));
    assert_eq!(cached(&mount), json!({ "value": "new", "cached": false }));
}

#[test]
fn an_instance_forgets_what_it_overwrites_itself() {
    let mount = mount();
    for value in ["one", "two"] {
        mount.write("store/k", json!({ "value": value })).unwrap();
        assert_eq!(body(mount.read("cache/k").unwrap())["value"], value);
    }
}

#[test]
fn memory_is_lost_with_the_instance_and_storage_is_not() {
    let mut mount = mount();
    mount.read("count").unwrap();
    assert_eq!(body(mount.read("count").unwrap())["count"], 2);
    mount.renew_instance().unwrap();
    assert_eq!(body(mount.read("count").unwrap())["count"], 1);
    assert_eq!(body(mount.read("initialized").unwrap())["times"], 1);
}

#[test]
fn options_make_setup_and_initialize_fail() {
    let enable = |name, value| Mount::enable(super::plugin(), &[(name, value)]).err();
    assert_eq!(enable("fail_setup", "no").unwrap().message, "no");
    assert_eq!(
        enable("fail_initialize", "not yet").unwrap().message,
        "not yet"
    );
    let written = enable("write_in_setup", "k").unwrap();
    assert_eq!(written.message, "cannot write to storage during setup");
}

#[test]
fn memory_is_taken_up_to_a_limit() {
    let told = body(
        mount()
            .read_with("hog", json!({ "bytes": 3_000_000 }))
            .unwrap(),
    );
    assert_eq!(told, json!({ "taken": 3_000_000, "refused": false }));
}

#[test]
fn the_system_view_is_told_whole() {
    let told = body(mount().read("system").unwrap());
    assert_eq!(told["tainted"], false);
    assert_eq!(told["replication_state"], 8224);
    assert!(told["password"]["error"].is_string());
}

#[test]
fn a_key_that_climbs_reaches_the_host_as_it_is() {
    let outcome = mount().write("key/x", json!({ "key": "../a" }));
    assert!(outcome.unwrap_err().message.contains("\"..\""));
}
