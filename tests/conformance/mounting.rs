//! Where things are mounted: which path, which storage, and what is left after a mount is gone.

use palisade_runtime::{ErrorKind, MountPath};
use palisade_tests::{Guest, Harness, expect_kind};
use serde_json::{Value, json};

use crate::case::cases;

cases! {
    a_path_that_is_taken_is_refused,
    a_path_inside_or_around_another_is_refused,
    a_disabled_mount_is_gone_with_its_data,
    a_mount_says_what_runs_in_it,
    an_unknown_plugin_cannot_be_enabled,
    a_secret_plugin_cannot_be_enabled_as_auth,
    a_login_gives_the_identity_it_proved,
    a_plugin_that_needs_no_token_says_where,
}

async fn a_path_that_is_taken_is_refused(h: Harness) {
    h.mount(Guest::Hostile).await;
    let error = h.enable("hostile", Guest::Hostile, &[]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::MountExists);
    assert_eq!(error.to_string(), "path is already in use at hostile/");
}

async fn a_path_inside_or_around_another_is_refused(h: Harness) {
    h.mount_at("a/b", Guest::Hostile, &[]).await;
    for path in ["a", "a/b/c"] {
        let error = h.enable(path, Guest::Hostile, &[]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::MountExists, "{path}");
    }
    h.enable("a/bc", Guest::Hostile, &[]).await.unwrap();
    assert_eq!(h.read("a/bc/echo").await.unwrap()["mount_point"], "a/bc/");
}

async fn a_disabled_mount_is_gone_with_its_data(h: Harness) {
    h.mount(Guest::Hostile).await;
    h.write("hostile/store/a", json!({ "value": "x" }))
        .await
        .unwrap();
    h.disable("hostile").await.unwrap();
    expect_kind(h.read("hostile/store/a").await, ErrorKind::MountNotFound);
    assert!(h.runtime.mounts().is_empty());
    h.enable("hostile", Guest::Hostile, &[]).await.unwrap();
    assert_eq!(h.read("hostile/store/a").await.unwrap(), Value::Null);
    let path: MountPath = "never/there".parse().unwrap();
    h.runtime.disable(&path).await.unwrap();
}

async fn a_mount_says_what_runs_in_it(h: Harness) {
    let mount = h.mount(Guest::Hostile).await;
    assert!(mount.running);
    assert_eq!(mount.runtime, h.mode.runtime());
    assert_eq!(mount.plugin.as_str(), "hostile");
    assert!(mount.accessor.starts_with("hostile_"), "{}", mount.accessor);
    let bytes = Guest::Hostile.artifact(h.mode);
    assert_eq!(mount.running_sha256.is_some(), bytes.is_some());
}

async fn an_unknown_plugin_cannot_be_enabled(h: Harness) {
    let mount = palisade_runtime::NewMount {
        plugin: "nobody".to_owned(),
        ..Default::default()
    };
    let error = h
        .runtime
        .enable("x".parse().unwrap(), mount)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::EntryNotFound);
    assert!(error.to_string().contains("nobody"));
}

async fn a_secret_plugin_cannot_be_enabled_as_auth(h: Harness) {
    h.register(Guest::Hostile).await.unwrap();
    let mount = palisade_runtime::NewMount {
        plugin: "hostile".to_owned(),
        plugin_type: Some(palisade_runtime::contract::PluginType::Auth),
        ..Default::default()
    };
    let error = h
        .runtime
        .enable("x".parse().unwrap(), mount)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::EntryNotFound);
}

async fn a_login_gives_the_identity_it_proved(h: Harness) {
    use palisade_runtime::contract::Operation;
    h.mount_at("door", Guest::Passcode, &[]).await;
    let user = json!({ "code": "correct horse", "policies": ["readers"] });
    h.write("door/users/ada", user).await.unwrap();
    let right = json!({ "code": "correct horse" });
    let answer = h.request(Operation::Update, "door/login/ada", right).await;
    let auth = answer.unwrap().unwrap().auth.expect("a login succeeded");
    assert!(
        auth.policies.iter().any(|policy| policy == "readers"),
        "{auth:?}"
    );
    assert_eq!(auth.alias.unwrap().name, "ada");

    let wrong = json!({ "code": "wrong" });
    let answer = h.request(Operation::Update, "door/login/ada", wrong).await;
    let proved = answer.ok().flatten().and_then(|response| response.auth);
    assert!(proved.is_none(), "a wrong code logged in");
}

async fn a_plugin_that_needs_no_token_says_where(h: Harness) {
    let mount = h.mount_at("door", Guest::Passcode, &[]).await;
    let open = mount.special_paths.unauthenticated;
    assert!(
        open.iter().any(|path| path.starts_with("login/")),
        "{open:?}"
    );
    let mount = h.mount(Guest::Hostile).await;
    assert!(mount.special_paths.unauthenticated.is_empty());
}
