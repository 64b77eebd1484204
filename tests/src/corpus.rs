//! What a key-value engine of version 2 does at `kv/`, whoever wrote it. Each function panics where it does otherwise.
#![expect(clippy::unwrap_used, reason = "a panic is a test's verdict")]

use palisade_runtime::contract::Operation;
use serde_json::{Value, json};

use crate::Harness;

/// Hands the names of all functions of the corpus to another macro, which makes tests of them.
#[macro_export]
macro_rules! kv_corpus {
    ($tests:ident) => {
        $tests! {
            kv_gives_back_what_was_put,
            kv_refuses_a_check_and_set_that_does_not_match,
            kv_keeps_versions_and_forgets_the_oldest,
            kv_deletes_undeletes_and_destroys,
            kv_lists_and_removes_metadata,
            kv_patches_a_part,
        }
    };
}

/// What was put is given back, with its version.
pub async fn kv_gives_back_what_was_put(h: Harness) {
    let put = h
        .write("kv/data/a/b", json!({ "data": { "k": "v" } }))
        .await
        .unwrap();
    assert_eq!(put["version"], 1);
    let got = h.read("kv/data/a/b").await.unwrap();
    assert_eq!(got["data"], json!({ "k": "v" }));
    assert_eq!(got["metadata"]["version"], 1);
    assert_eq!(got["metadata"]["destroyed"], false);
}

/// A check-and-set that does not match is refused in OpenBao's words, and so is a write without one where it is required.
pub async fn kv_refuses_a_check_and_set_that_does_not_match(h: Harness) {
    put(&h, "a", "1").await;
    let body = json!({ "options": { "cas": 0 }, "data": { "k": "2" } });
    let text = h.said_no("kv/data/a", body).await;
    assert!(
        text.contains("check-and-set parameter did not match the current version"),
        "{text}"
    );
    let body = json!({ "options": { "cas": 1 }, "data": { "k": "2" } });
    assert_eq!(h.write("kv/data/a", body).await.unwrap()["version"], 2);

    h.write("kv/config", json!({ "cas_required": true }))
        .await
        .unwrap();
    let text = h
        .said_no("kv/data/a", json!({ "data": { "k": "3" } }))
        .await;
    assert!(
        text.contains("check-and-set parameter required for this call"),
        "{text}"
    );
    assert_eq!(value(&h, "a").await, "2");
}

/// As many versions are kept as stated, the latest of them.
pub async fn kv_keeps_versions_and_forgets_the_oldest(h: Harness) {
    h.write("kv/metadata/a", json!({ "max_versions": 3 }))
        .await
        .unwrap();
    for n in 1..=5 {
        put(&h, "a", &n.to_string()).await;
    }
    let old = json!({ "version": 3 });
    let got = h
        .request(Operation::Read, "kv/data/a", old)
        .await
        .unwrap()
        .unwrap();
    let got: Value = got.data.parse().unwrap();
    assert_eq!(got["data"]["k"], "3");
    let metadata = h.read("kv/metadata/a").await.unwrap();
    assert_eq!(metadata["current_version"], 5);
    let versions: Vec<_> = metadata["versions"].as_object().unwrap().keys().collect();
    assert_eq!(versions, ["3", "4", "5"]);
}

/// A deleted version comes back, and a destroyed one does not.
pub async fn kv_deletes_undeletes_and_destroys(h: Harness) {
    put(&h, "a", "1").await;
    h.delete("kv/data/a").await.unwrap();
    assert_eq!(value(&h, "a").await, Value::Null);
    h.write("kv/undelete/a", json!({ "versions": [1] }))
        .await
        .unwrap();
    assert_eq!(value(&h, "a").await, "1");
    h.write("kv/destroy/a", json!({ "versions": [1] }))
        .await
        .unwrap();
    h.write("kv/undelete/a", json!({ "versions": [1] }))
        .await
        .unwrap();
    assert_eq!(value(&h, "a").await, Value::Null);
    let metadata = h.read("kv/metadata/a").await.unwrap();
    assert_eq!(metadata["versions"]["1"]["destroyed"], true);
}

/// Keys are listed by folder, and gone with their metadata.
pub async fn kv_lists_and_removes_metadata(h: Harness) {
    for key in ["a", "b/c", "b/d"] {
        put(&h, key, "x").await;
    }
    assert_eq!(
        h.list("kv/metadata/", json!({})).await.unwrap(),
        ["a", "b/"]
    );
    assert_eq!(
        h.list("kv/metadata/b/", json!({})).await.unwrap(),
        ["c", "d"]
    );
    h.delete("kv/metadata/b/c").await.unwrap();
    assert_eq!(h.list("kv/metadata/b/", json!({})).await.unwrap(), ["d"]);
}

/// A patch changes what it names, and null removes.
pub async fn kv_patches_a_part(h: Harness) {
    let whole = json!({ "data": { "a": "1", "b": { "c": "2", "d": "3" } } });
    h.write("kv/data/x", whole).await.unwrap();
    let part = json!({ "data": { "b": { "c": null, "e": "4" } } });
    h.request(Operation::Patch, "kv/data/x", part)
        .await
        .unwrap();
    let got = h.read("kv/data/x").await.unwrap();
    assert_eq!(
        got["data"],
        json!({ "a": "1", "b": { "d": "3", "e": "4" } })
    );
}

async fn put(h: &Harness, key: &str, value: &str) {
    let body = json!({ "data": { "k": value } });
    h.write(&format!("kv/data/{key}"), body).await.unwrap();
}

/// The value of a key; `Null` when its current version is gone.
async fn value(h: &Harness, key: &str) -> Value {
    let answer = h.read(&format!("kv/data/{key}")).await.unwrap();
    answer["data"]["k"].clone()
}
