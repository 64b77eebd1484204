//! The mock plugins of both SDKs, unchanged, and ours in every mode: requests, storage, errors by kind, special paths.

use palisade_runtime::ErrorKind;
use palisade_runtime::contract::{
    Existence, Json, Operation, PluginErrorKind, PluginType, Request,
};
use palisade_runtime::{MountError, NewMount};
use palisade_tests::{Harness, expect_plugin_error};
use serde_json::{Value, json};

use crate::peers::{GO_MOCKS, MOCKS, Peer, REMEMBERING_MOCKS, cases, mount, register};

cases! {
    CASES for MOCKS;
    a_value_is_written_read_listed_and_deleted,
    a_write_finds_out_whether_something_is_there,
    each_kind_of_error_crosses,
    the_text_of_a_shut_down_connection_crosses_and_nothing_is_sent_twice,
    special_paths_and_version_are_told,
    a_raw_answer_crosses_unchanged,
}

cases! {
    MEMORY for REMEMBERING_MOCKS;
    what_it_remembers_lasts_until_a_reload,
}

cases! {
    TYPES for GO_MOCKS;
    it_can_be_an_auth_plugin,
    another_type_than_registered_is_refused_and_leaves_nothing,
}

async fn a_value_is_written_read_listed_and_deleted(h: Harness, peer: Peer) {
    mount(&h, peer, "m").await;
    assert_eq!(h.read("m/kv/a").await.unwrap(), Value::Null);
    for key in ["a", "b"] {
        let answer = h
            .write(&format!("m/kv/{key}"), json!({ "value": key }))
            .await;
        assert_eq!(answer.unwrap()["value"], key);
    }
    assert_eq!(h.read("m/kv/b").await.unwrap()["value"], "b");
    assert_eq!(h.list("m/kv/", Value::Null).await.unwrap(), ["a", "b"]);
    h.delete("m/kv/a").await.unwrap();
    assert_eq!(h.list("m/kv/", Value::Null).await.unwrap(), ["b"]);
}

async fn a_write_finds_out_whether_something_is_there(h: Harness, peer: Peer) {
    mount(&h, peer, "m").await;
    let ask = || {
        let request = Request::new(Operation::Create, "m/kv/a", Json::null());
        h.runtime.exists(request, None)
    };
    assert_eq!(ask().await.unwrap(), Existence::Absent);
    let body = Json::from_text(r#"{"value":"x"}"#);
    let write = Request::new(Operation::Update, "m/kv/a", body);
    h.runtime.write(write, None).await.unwrap();
    assert_eq!(ask().await.unwrap(), Existence::Present);
}

async fn each_kind_of_error_crosses(h: Harness, peer: Peer) {
    use PluginErrorKind as K;
    mount(&h, peer, "m").await;
    for (number, kind) in [
        (0, K::Unknown),
        (1, K::User),
        (2, K::Internal),
        (3, K::Coded(403)),
        (4, K::BadRequest),
        (5, K::UnsupportedOperation),
        (6, K::UnsupportedPath),
        (7, K::InvalidRequest),
        (8, K::PermissionDenied),
        (9, K::MultiAuthorizationPending),
    ] {
        let answer = h
            .write("m/errors/type", json!({ "err_type": number }))
            .await;
        let error = expect_plugin_error(answer);
        assert_eq!(error.kind, kind, "{number}: {error}");
    }
}

async fn the_text_of_a_shut_down_connection_crosses_and_nothing_is_sent_twice(
    h: Harness,
    peer: Peer,
) {
    let before = mount(&h, peer, "m").await.process_id;
    for path in ["m/errors/rpc", "m/errors/kill"] {
        let error = expect_plugin_error(h.read(path).await);
        assert_eq!(error.message, "connection is shut down");
    }
    assert_eq!(h.info("m").process_id, before);
}

async fn special_paths_and_version_are_told(h: Harness, peer: Peer) {
    let info = mount(&h, peer, "m").await;
    assert_eq!(info.special_paths.unauthenticated, ["special"]);
    assert!(info.special_paths.safe_reads.is_empty());
    assert_eq!(h.read("m/special").await.unwrap()["data"], "foo");
}

async fn a_raw_answer_crosses_unchanged(h: Harness, peer: Peer) {
    mount(&h, peer, "m").await;
    let answer = h.read("m/raw").await.unwrap();
    assert_eq!(answer["http_content_type"], "text/plain");
    assert_eq!(answer["http_raw_body"], "UmVzcG9uc2U=");
    assert_eq!(answer["http_status_code"], 200);
}

async fn what_it_remembers_lasts_until_a_reload(h: Harness, peer: Peer) {
    mount(&h, peer, "m").await;
    h.write("m/internal", json!({ "value": "remembered" }))
        .await
        .unwrap();
    assert_eq!(h.read("m/internal").await.unwrap()["value"], "remembered");
    h.reload("m").await.unwrap();
    assert_eq!(h.read("m/internal").await.unwrap()["value"], "bar");
}

async fn it_can_be_an_auth_plugin(h: Harness, peer: Peer) {
    register(&h, peer, PluginType::Auth, &["-auth"]).await;
    let mount = NewMount {
        plugin: peer.name().to_owned(),
        plugin_type: Some(PluginType::Auth),
        ..NewMount::default()
    };
    h.runtime
        .enable("auth/m".parse().unwrap(), mount)
        .await
        .unwrap();
    assert_eq!(h.read("auth/m/special").await.unwrap()["data"], "foo");
}

async fn another_type_than_registered_is_refused_and_leaves_nothing(h: Harness, peer: Peer) {
    register(&h, peer, PluginType::Secret, &["-auth"]).await;
    let mount = NewMount {
        plugin: peer.name().to_owned(),
        ..NewMount::default()
    };
    let refused = h
        .runtime
        .enable("m".parse().unwrap(), mount)
        .await
        .unwrap_err();
    assert!(matches!(refused, MountError::Launch(_)), "{refused}");
    assert_eq!(refused.kind(), ErrorKind::PluginMismatch);
    assert!(h.runtime.mounts().is_empty());
}
