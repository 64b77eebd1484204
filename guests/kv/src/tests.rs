//! The store as its clients see it, over a host in memory.

use std::time::Duration;

use palisade_plugin::testing::Mount;
use palisade_plugin::{Operation, Request, Response};
use serde_json::{Value, json};

/// The clock of the testing host stands at this time.
const START: &str = "2026-01-01T00:00:00Z";

fn mount() -> Mount {
    Mount::enable(super::plugin(), &[]).unwrap()
}

fn body(response: Option<Response>) -> Value {
    response.unwrap().data.parse().unwrap()
}

fn put(mount: &Mount, key: &str, data: Value) -> Value {
    body(
        mount
            .write(&format!("data/{key}"), json!({ "data": data }))
            .unwrap(),
    )
}

fn get(mount: &Mount, path: &str) -> Value {
    body(mount.read(path).unwrap())
}

fn refusal(response: Option<Response>) -> String {
    response.unwrap().error_text().unwrap()
}

/// The status and the body of an answer that brings its own.
fn with_status(response: Option<Response>) -> (u64, Value) {
    let fields = body(response);
    let inner = fields["http_raw_body"].as_str();
    let inner = inner.map_or(Value::Null, |text| serde_json::from_str(text).unwrap());
    (fields["http_status_code"].as_u64().unwrap(), inner)
}

#[test]
fn a_write_makes_a_version_and_a_read_gives_the_newest() {
    let mount = mount();
    let made = put(&mount, "a/b", json!({ "user": "alice" }));
    assert_eq!(
        made,
        json!({
            "version": 1, "created_time": START, "deletion_time": "", "destroyed": false,
            "custom_metadata": null,
        })
    );
    put(&mount, "a/b", json!({ "user": "bob" }));
    let newest = get(&mount, "data/a/b");
    assert_eq!(newest["data"], json!({ "user": "bob" }));
    assert_eq!(newest["metadata"]["version"], 2);
    let first = body(
        mount
            .read_with("data/a/b", json!({ "version": "1" }))
            .unwrap(),
    );
    assert_eq!(first["data"], json!({ "user": "alice" }));
}

#[test]
fn data_comes_back_as_the_text_that_was_sent() {
    let mount = mount();
    let text = r#"{"z": 123456789012345678901234567890, "a":1.500e+3}"#;
    let sent = palisade_plugin::Json::from_text(format!(r#"{{"data":{text}}}"#));
    mount
        .send(Request::new(Operation::Create, "data/a", sent))
        .unwrap();
    let response = mount.read("data/a").unwrap().unwrap();
    assert!(response.data.as_str().contains(text));
}

#[test]
fn what_is_not_there_is_nothing() {
    let mount = mount();
    assert_eq!(mount.read("data/none").unwrap(), None);
    assert_eq!(mount.read("metadata/none").unwrap(), None);
    assert_eq!(mount.read("subkeys/none").unwrap(), None);
    assert_eq!(mount.delete("data/none").unwrap(), None);
    put(&mount, "a", json!({}));
    assert_eq!(
        mount.read_with("data/a", json!({ "version": 9 })).unwrap(),
        None
    );
}

#[test]
fn a_write_without_data_or_path_is_refused() {
    let mount = mount();
    assert_eq!(
        refusal(mount.write("data/a", json!({})).unwrap()),
        "no data provided"
    );
    assert_eq!(
        refusal(mount.write("data/a", json!({ "data": null })).unwrap()),
        "no data provided"
    );
    assert_eq!(
        refusal(mount.write("data/", json!({ "data": {} })).unwrap()),
        "missing path"
    );
    let wrong = refusal(mount.write("data/a", json!({ "data": "text" })).unwrap());
    assert!(
        wrong.contains("\"data\"") && wrong.contains("expected an object"),
        "{wrong}"
    );
}

#[test]
fn check_and_set_lets_only_the_expected_version_be_replaced() {
    let mount = mount();
    let with = |cas: Value| {
        mount
            .write(
                "data/a",
                json!({ "data": { "x": 1 }, "options": { "cas": cas } }),
            )
            .unwrap()
    };
    assert_eq!(body(with(json!(0)))["version"], 1);
    let mismatch = "check-and-set parameter did not match the current version";
    assert_eq!(refusal(with(json!(0))), mismatch);
    assert_eq!(refusal(with(json!(-1))), mismatch);
    assert_eq!(body(with(json!("1")))["version"], 2);
    assert_eq!(
        refusal(with(json!("x"))),
        "error parsing check-and-set parameter"
    );
}

#[test]
fn check_and_set_can_be_required_by_the_mount_and_by_the_key() {
    let required = "check-and-set parameter required for this call";
    let write = |mount: &Mount| mount.write("data/a", json!({ "data": {} })).unwrap();
    let by_mount = mount();
    by_mount
        .write("config", json!({ "cas_required": true }))
        .unwrap();
    assert_eq!(refusal(write(&by_mount)), required);
    let by_key = mount();
    by_key
        .write("metadata/a", json!({ "cas_required": true }))
        .unwrap();
    assert_eq!(refusal(write(&by_key)), required);
}

#[test]
fn old_versions_are_dropped_at_the_tenth_or_where_the_settings_say() {
    let mount = mount();
    for number in 0..12 {
        put(&mount, "a", json!({ "number": number }));
    }
    let known = get(&mount, "metadata/a");
    assert_eq!(known["oldest_version"], 3);
    assert_eq!(known["versions"].as_object().unwrap().len(), 10);
    let stored = mount
        .host()
        .keys()
        .into_iter()
        .filter(|key| key.starts_with("versions/a/"));
    assert_eq!(stored.count(), 10);
    mount
        .write("metadata/b", json!({ "max_versions": 2 }))
        .unwrap();
    for number in 0..5 {
        put(&mount, "b", json!({ "number": number }));
    }
    assert_eq!(get(&mount, "metadata/b")["oldest_version"], 4);
    assert_eq!(
        mount.read_with("data/b", json!({ "version": 3 })).unwrap(),
        None
    );
}

#[test]
fn the_configuration_reads_back_with_its_defaults() {
    let mount = mount();
    let unset = json!({ "max_versions": 0, "cas_required": false, "delete_version_after": "0s" });
    assert_eq!(get(&mount, "config"), unset);
    let set = json!({ "max_versions": 5, "delete_version_after": "1h30m" });
    mount.write("config", set).unwrap();
    let known = get(&mount, "config");
    assert_eq!(known["max_versions"], 5);
    assert_eq!(known["delete_version_after"], "1h30m0s");
    mount
        .write("config", json!({ "delete_version_after": "-5s" }))
        .unwrap();
    assert_eq!(get(&mount, "config")["delete_version_after"], "-1s");
    assert!(
        refusal(
            mount
                .write("config", json!({ "max_versions": -1 }))
                .unwrap()
        )
        .contains("max_versions")
    );
}

#[test]
fn the_configuration_is_forgotten_when_another_instance_changes_it() {
    let (mount, other) = (mount(), mount());
    assert_eq!(get(&mount, "config")["max_versions"], 0);
    other.write("config", json!({ "max_versions": 3 })).unwrap();
    let entry = palisade_plugin::StorageEntry::new(
        "config",
        r#"{"max_versions":3,"cas_required":false,"delete_version_after":0}"#,
    );
    use palisade_plugin::Host;
    palisade_plugin::testing::ready(async {
        mount.host().storage().put(entry).await.unwrap();
        assert_eq!(get(&mount, "config")["max_versions"], 0);
        mount.backend().invalidate_key("config", mount.host()).await;
    });
    assert_eq!(get(&mount, "config")["max_versions"], 3);
}

#[test]
fn a_deleted_version_answers_404_with_what_is_known_of_it() {
    let mount = mount();
    put(&mount, "a", json!({ "x": 1 }));
    mount.delete("data/a").unwrap();
    mount.host().advance(Duration::from_millis(1500));
    let (status, inner) = with_status(mount.read("data/a").unwrap());
    assert_eq!(status, 404);
    assert_eq!(inner["data"]["data"], Value::Null);
    assert_eq!(inner["data"]["metadata"]["deletion_time"], START);
    assert_eq!(inner["data"]["metadata"]["destroyed"], false);
    mount
        .write("undelete/a", json!({ "versions": [1] }))
        .unwrap();
    assert_eq!(get(&mount, "data/a")["data"], json!({ "x": 1 }));
}

#[test]
fn versions_are_deleted_restored_and_destroyed_by_number() {
    let mount = mount();
    for number in 1..=3 {
        put(&mount, "a", json!({ "number": number }));
    }
    mount
        .write("delete/a", json!({ "versions": "1,2" }))
        .unwrap();
    mount.host().advance(Duration::from_secs(1));
    let first = |mount: &Mount| mount.read_with("data/a", json!({ "version": 1 })).unwrap();
    assert_eq!(with_status(first(&mount)).0, 404);
    mount
        .write("undelete/a", json!({ "versions": [1, 99] }))
        .unwrap();
    assert_eq!(body(first(&mount))["data"], json!({ "number": 1 }));
    mount
        .write("destroy/a", json!({ "versions": [1, 3] }))
        .unwrap();
    assert_eq!(
        with_status(first(&mount)).1["data"]["metadata"]["destroyed"],
        true
    );
    mount
        .write("undelete/a", json!({ "versions": [3] }))
        .unwrap();
    assert_eq!(with_status(mount.read("data/a").unwrap()).0, 404);
    assert!(!mount.host().keys().contains(&"versions/a/3".to_owned()));
}

#[test]
fn acting_on_no_versions_is_refused() {
    let mount = mount();
    let refused = |verb: &str| refusal(mount.write(&format!("{verb}/a"), json!({})).unwrap());
    assert_eq!(refused("delete"), "No version number provided");
    assert_eq!(refused("undelete"), "No version number provided");
    assert_eq!(refused("destroy"), "no version number provided");
}

#[test]
fn a_version_is_deleted_from_that_moment_on() {
    let mount = mount();
    put(&mount, "a", json!({ "x": 1 }));
    mount.delete("data/a").unwrap();
    // No time has passed.
    assert_eq!(with_status(mount.read("data/a").unwrap()).0, 404);
}

#[test]
fn a_version_is_deleted_by_its_age() {
    let mount = mount();
    mount
        .write("config", json!({ "delete_version_after": "2h" }))
        .unwrap();
    mount
        .write("metadata/a", json!({ "delete_version_after": "1h" }))
        .unwrap();
    let made = put(&mount, "a", json!({ "x": 1 }));
    assert_eq!(made["deletion_time"], "2026-01-01T01:00:00Z");
    assert_eq!(get(&mount, "data/a")["data"]["x"], 1);
    mount.host().advance(Duration::from_secs(3601));
    assert_eq!(with_status(mount.read("data/a").unwrap()).0, 404);
    mount
        .write("config", json!({ "delete_version_after": -1 }))
        .unwrap();
    assert_eq!(put(&mount, "a", json!({}))["deletion_time"], "");
}

#[test]
fn a_patch_changes_part_of_the_newest_version() {
    let mount = mount();
    put(
        &mount,
        "a",
        json!({ "keep": 1, "drop": 2, "deep": { "x": 1, "y": 2 } }),
    );
    let change = json!({ "data": { "drop": null, "deep": { "y": 3 } }, "options": { "cas": 1 } });
    assert_eq!(body(mount.patch("data/a", change).unwrap())["version"], 2);
    assert_eq!(
        get(&mount, "data/a")["data"],
        json!({ "keep": 1, "deep": { "x": 1, "y": 3 } })
    );
    let stale = json!({ "data": {}, "options": { "cas": 1 } });
    assert!(refusal(mount.patch("data/a", stale).unwrap()).contains("did not match"));
    assert_eq!(
        refusal(mount.patch("data/a", json!({})).unwrap()),
        "no data provided"
    );
}

#[test]
fn a_patch_of_what_is_not_there_is_not_found() {
    let mount = mount();
    let patch = |mount: &Mount| with_status(mount.patch("data/a", json!({ "data": {} })).unwrap());
    assert_eq!(patch(&mount), (404, Value::Null));
    put(&mount, "a", json!({}));
    mount.delete("data/a").unwrap();
    mount.host().advance(Duration::from_secs(1));
    let (status, inner) = patch(&mount);
    assert_eq!((status, inner["data"]["version"].as_u64()), (404, Some(1)));
}

#[test]
fn keys_are_listed_by_folder_and_by_page() {
    let mount = mount();
    assert_eq!(
        mount.list("metadata/").unwrap().unwrap().data.as_str(),
        "{}"
    );
    for key in ["b/1", "a", "b/2", "c"] {
        put(&mount, key, json!({}));
    }
    assert_eq!(
        body(mount.list("metadata/").unwrap())["keys"],
        json!(["a", "b/", "c"])
    );
    assert_eq!(
        body(mount.list("metadata/b/").unwrap())["keys"],
        json!(["1", "2"])
    );
    let page = palisade_plugin::Json::from_text(r#"{"after":"a","limit":"1"}"#);
    let page = mount
        .send(Request::new(Operation::List, "metadata/", page))
        .unwrap();
    assert_eq!(body(page)["keys"], json!(["b/"]));
}

#[test]
fn metadata_reads_back_whole() {
    let mount = mount();
    put(&mount, "a", json!({}));
    let settings = json!({
        "max_versions": 4, "cas_required": true, "delete_version_after": 90,
        "custom_metadata": { "owner": "team-a", "level": 3 },
    });
    assert_eq!(mount.write("metadata/a", settings).unwrap(), None);
    assert_eq!(
        get(&mount, "metadata/a"),
        json!({
            "versions": { "1": { "created_time": START, "deletion_time": "", "destroyed": false } },
            "current_version": 1, "oldest_version": 0, "created_time": START, "updated_time": START,
            "max_versions": 4, "cas_required": true, "delete_version_after": "1m30s",
            "custom_metadata": { "owner": "team-a", "level": "3" },
        })
    );
    assert_eq!(
        get(&mount, "data/a")["metadata"]["custom_metadata"]["owner"],
        "team-a"
    );
}

#[test]
fn custom_metadata_is_patched_and_bounded() {
    let mount = mount();
    let texts = |mount: &Mount| get(mount, "metadata/a")["custom_metadata"].clone();
    mount
        .write(
            "metadata/a",
            json!({ "custom_metadata": { "a": "1", "b": "2" } }),
        )
        .unwrap();
    mount
        .patch(
            "metadata/a",
            json!({ "custom_metadata": { "a": null, "c": "3" } }),
        )
        .unwrap();
    assert_eq!(texts(&mount), json!({ "b": "2", "c": "3" }));
    let too_long = json!({ "custom_metadata": { "d": "x".repeat(513) } });
    assert_eq!(
        refusal(mount.write("metadata/a", too_long).unwrap()),
        "1 error occurred:\n\t* custom_metadata validation failed: length of value for key \"d\" is 513 \
         but must be 0 < len(value) <= 512\n\n"
    );
    let many: serde_json::Map<_, _> = (0..65).map(|n| (n.to_string(), json!("x"))).collect();
    let too_many = refusal(
        mount
            .write("metadata/a", json!({ "custom_metadata": many }))
            .unwrap(),
    );
    assert!(too_many.contains("payload must contain at most 64 keys, provided 65"));
    mount
        .patch("metadata/a", json!({ "custom_metadata": null }))
        .unwrap();
    assert_eq!(texts(&mount), Value::Null);
    let missing = mount
        .patch("metadata/none", json!({ "max_versions": 1 }))
        .unwrap();
    assert_eq!(with_status(missing).0, 404);
}

#[test]
fn a_key_warns_when_the_mount_requires_check_and_set_anyway() {
    let mount = mount();
    mount
        .write("config", json!({ "cas_required": true }))
        .unwrap();
    let response = mount
        .write("metadata/a", json!({ "cas_required": false }))
        .unwrap();
    let warnings = response.unwrap().warnings;
    assert!(warnings[0].starts_with("\"cas_required\" set to false, but is mandated"));
}

#[test]
fn deleting_metadata_leaves_nothing_behind() {
    let mount = mount();
    put(&mount, "a", json!({}));
    put(&mount, "a", json!({}));
    put(&mount, "a/1", json!({}));
    mount.delete("metadata/a").unwrap();
    assert_eq!(mount.host().keys(), ["metadata/a/1", "versions/a/1/1"]);
}

#[test]
fn subkeys_show_names_and_no_values() {
    let mount = mount();
    put(
        &mount,
        "a",
        json!({ "x": 1, "deep": { "y": "s", "deeper": { "z": [1] } }, "empty": {} }),
    );
    let subkeys = |query| body(mount.read_with("subkeys/a", query).unwrap())["subkeys"].clone();
    assert_eq!(
        subkeys(json!({})),
        json!({ "x": null, "deep": { "y": null, "deeper": { "z": null } }, "empty": null })
    );
    assert_eq!(
        subkeys(json!({ "depth": 1 })),
        json!({ "x": null, "deep": null, "empty": null })
    );
    assert_eq!(
        subkeys(json!({ "depth": 2 })),
        json!({ "x": null, "deep": { "y": null, "deeper": null }, "empty": null })
    );
}

#[test]
fn a_path_of_the_store_without_versions_is_answered_with_the_way() {
    let (status, inner) = with_status(mount().read("my-secret").unwrap());
    assert_eq!(status, 404);
    assert!(
        inner["warnings"][0]
            .as_str()
            .unwrap()
            .contains("'bao kv get'")
    );
    let (_, inner) = with_status(mount().write("data", json!({})).unwrap());
    assert!(
        inner["warnings"][0]
            .as_str()
            .unwrap()
            .starts_with("Non-listing operations")
    );
}

#[test]
fn nothing_but_storage_has_to_survive() {
    let mut mount = mount();
    mount.write("config", json!({ "max_versions": 7 })).unwrap();
    put(&mount, "a", json!({ "x": 1 }));
    mount.renew_instance().unwrap();
    assert_eq!(get(&mount, "config")["max_versions"], 7);
    assert_eq!(get(&mount, "data/a")["data"]["x"], 1);
}

#[test]
fn help_names_every_path() {
    let help = mount().send(Request::new(
        Operation::Help,
        "",
        palisade_plugin::Json::null(),
    ));
    let text = body(help.unwrap())["help"].as_str().unwrap().to_owned();
    for path in [
        "config",
        "data/",
        "metadata/",
        "delete/",
        "undelete/",
        "destroy/",
        "subkeys/",
    ] {
        assert!(text.contains(&format!("^{path}")), "{path}");
    }
}
