//! What the host serves to a plugin of the OpenBao SDK: storage of any size, pages, transactions, leases, system view.

use palisade_runtime::contract::{Json, Operation, Request};
use palisade_tests::{Harness, expect_plugin_error, logged};
use serde_json::{Value, json};

use crate::peers::{BAO_PEERS, Peer, cases, mount};

/// The largest value that OpenBao's own suite sends, in bytes.
const LARGE: usize = 16 << 20;

cases! {
    CASES for BAO_PEERS;
    its_version_and_special_paths_are_told,
    a_large_value_passes_both_ways,
    storage_is_listed_in_pages,
    a_transaction_is_seen_inside_and_then_by_all,
    a_transaction_that_is_rolled_back_or_left_open_leaves_nothing,
    the_second_of_two_transactions_on_one_key_fails,
    a_lease_and_its_internal_data_come_back_as_they_went,
    the_system_view_answers,
    a_transaction_for_reading_reads_and_does_not_write,
    what_it_logs_and_prints_is_in_the_log,
    its_environment_is_what_the_protocol_needs,
    a_policy_that_nobody_made_is_refused_in_openbaos_words,
}

async fn its_version_and_special_paths_are_told(h: Harness, peer: Peer) {
    let info = mount(&h, peer, "p").await;
    assert_eq!(info.running_version, "v1.2.3");
    assert_eq!(info.special_paths.root, ["root/*"]);
    assert_eq!(info.special_paths.seal_wrap_storage, ["store/"]);
}

async fn a_large_value_passes_both_ways(h: Harness, peer: Peer) {
    mount(&h, peer, "p").await;
    let answer = h
        .write("p/store/large", json!({ "bytes": LARGE }))
        .await
        .unwrap();
    assert_eq!(answer["value"].as_str().unwrap().len(), LARGE);
}

async fn storage_is_listed_in_pages(h: Harness, peer: Peer) {
    mount(&h, peer, "p").await;
    for key in ["a", "b", "c", "d"] {
        h.write(&format!("p/store/{key}"), json!({ "bytes": 1 }))
            .await
            .unwrap();
    }
    let page = |after: &str, limit: i32| h.clone().page(json!({ "after": after, "limit": limit }));
    assert_eq!(page("", 2).await, json!(["a", "b"]));
    assert_eq!(page("b", 2).await, json!(["c", "d"]));
    assert_eq!(page("d", 2).await, Value::Null);
    assert_eq!(page("", -1).await, json!(["a", "b", "c", "d"]));
}

trait Pages {
    async fn page(self, body: Value) -> Value;
}

impl Pages for Harness {
    async fn page(self, body: Value) -> Value {
        self.write("p/page", body).await.unwrap()["page"].clone()
    }
}

async fn a_transaction_is_seen_inside_and_then_by_all(h: Harness, peer: Peer) {
    mount(&h, peer, "p").await;
    let body = json!({ "keys": "a,b", "end": "commit" });
    let answer = h.write("p/transfer", body).await.unwrap();
    assert_eq!(answer["transactional"], true);
    assert_eq!(answer["inside"], json!(["a", "b"]));
    assert_eq!(answer["outside"], Value::Null);
    assert_eq!(h.read("p/store/a").await.unwrap()["value"], "transferred");
}

async fn a_transaction_that_is_rolled_back_or_left_open_leaves_nothing(h: Harness, peer: Peer) {
    mount(&h, peer, "p").await;
    h.write("p/transfer", json!({ "keys": "a", "end": "rollback" }))
        .await
        .unwrap();
    let failed = h
        .write("p/transfer", json!({ "keys": "b", "end": "fail" }))
        .await;
    assert_eq!(expect_plugin_error(failed).message, "failed on purpose");
    for key in ["a", "b"] {
        assert_eq!(
            h.read(&format!("p/store/{key}")).await.unwrap(),
            Value::Null
        );
    }
}

async fn the_second_of_two_transactions_on_one_key_fails(h: Harness, peer: Peer) {
    mount(&h, peer, "p").await;
    let answer = h.read("p/race").await.unwrap();
    assert_eq!(answer, json!({ "first": true, "conflict": true }));
}

async fn a_lease_and_its_internal_data_come_back_as_they_went(h: Harness, peer: Peer) {
    mount(&h, peer, "p").await;
    let made = h.request(Operation::Read, "p/creds/db", Value::Null).await;
    let mut secret = made.unwrap().unwrap().secret.unwrap();
    assert_eq!(secret.lease.ttl.as_secs(), 90);
    assert_eq!(secret.lease.max_ttl.as_secs(), 3600);
    let internal: Value = secret.internal_data.parse().unwrap();
    assert_eq!(internal["secret_type"], "credential");
    assert_eq!(internal["number"].to_string(), "12345678901234567");
    for (operation, path) in [
        (Operation::Renew, "p/creds/db"),
        (Operation::Revoke, "p/creds/db"),
    ] {
        let mut request = Request::new(operation, path, Json::null());
        request.secret = Some(secret.clone());
        let answer = h.runtime.handle(request, None).await.unwrap();
        if let Some(renewed) = answer.and_then(|answer| answer.secret) {
            assert_eq!(renewed.lease.ttl.as_secs(), 150);
            secret = renewed;
        }
    }
    assert_eq!(h.read("p/store/revoked-db").await.unwrap()["value"], "yes");
}

async fn the_system_view_answers(h: Harness, peer: Peer) {
    mount(&h, peer, "p").await;
    let answer = h.read("p/system").await.unwrap();
    assert!(
        answer["default_lease_ttl"].as_i64().unwrap() > 0,
        "{answer}"
    );
    assert!(answer["max_lease_ttl"].as_i64() >= answer["default_lease_ttl"].as_i64());
    assert_eq!(answer["caching_disabled"], false);
    assert_eq!(answer["local_mount"], false);
    assert_eq!(answer["tainted"], false);
    assert_eq!(answer["mlock_enabled"], false);
    // The bits of an active node's consts.ReplicationState: performance primary, and no disaster recovery.
    assert_eq!(answer["replication_state"], (1 << 5) | (1 << 13));
    assert_eq!(answer["version"], env!("CARGO_PKG_VERSION"));
    // This embedder states no cluster, knows nobody, and makes no tokens.
    let answers = json!({ "cluster_id": "", "entity": null, "groups": [] });
    assert_eq!(answer["answers"], answers);
    let refusals = json!({ "wrapped": "responses cannot be wrapped: this server makes no tokens" });
    assert_eq!(answer["refusals"], refusals);
}

async fn a_transaction_for_reading_reads_and_does_not_write(h: Harness, peer: Peer) {
    mount(&h, peer, "p").await;
    h.write("p/store/a", json!({ "bytes": 1 })).await.unwrap();
    let answer = h.read("p/snapshot").await.unwrap();
    assert_eq!(answer["transactional"], true);
    assert_eq!(answer["keys"], json!(["a"]));
    for refused in ["put", "delete"] {
        assert_eq!(answer[refused], "cannot write to readonly storage");
    }
    assert_eq!(h.read("p/store/snapshot").await.unwrap(), Value::Null);
}

async fn what_it_logs_and_prints_is_in_the_log(h: Harness, peer: Peer) {
    let accessor = mount(&h, peer, "p").await.accessor;
    let text = |what: &str| json!({ "text": format!("{what} {accessor}") });
    h.write("p/log", text("a line of hclog")).await.unwrap();
    let line = logged(&format!("a line of hclog {accessor}")).await;
    assert!(line.starts_with("WARN message=the peer speaks"), "{line}");
    h.write("p/print", text("said aloud")).await.unwrap();
    for stream in ["stdout", "stderr"] {
        let line = logged(&format!("said aloud {accessor} on {stream}")).await;
        assert!(line.contains(&format!("stream={stream}")), "{line}");
    }
}

async fn its_environment_is_what_the_protocol_needs(h: Harness, peer: Peer) {
    mount(&h, peer, "p").await;
    let answer = h.read("p/environment").await.unwrap();
    let names: Vec<_> = answer["names"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let belongs = |name: &&str| {
        ["BAO_", "VAULT_", "PLUGIN_"]
            .iter()
            .any(|front| name.starts_with(front))
            || *name == "TMPDIR"
    };
    let strange: Vec<_> = names.iter().filter(|name| !belongs(name)).collect();
    assert!(strange.is_empty(), "{strange:?}");
    // The control: this process has many that would have shown.
    assert!(std::env::var_os("PATH").is_some());
}

async fn a_policy_that_nobody_made_is_refused_in_openbaos_words(h: Harness, peer: Peer) {
    mount(&h, peer, "p").await;
    let answer = h.write("p/password", json!({ "policy": "strong" })).await;
    let error = expect_plugin_error(answer);
    assert!(
        error.message.contains("failed to generate password"),
        "{error}"
    );
}
