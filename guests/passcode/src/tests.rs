//! Users and logins, over a host in memory.

use std::time::Duration;

use palisade_plugin::testing::Mount;
use palisade_plugin::{Auth, Json, Operation, Request, Response};
use serde_json::{Value, json};

fn mount_with_alice() -> Mount {
    let mount = Mount::enable(super::plugin(), &[]).unwrap();
    let alice = json!({ "code": "correct horse", "policies": "ops, dev", "ttl": "1h" });
    assert_eq!(mount.write("users/alice", alice).unwrap(), None);
    mount
}

fn login(mount: &Mount, name: &str, code: &str) -> Response {
    let outcome = mount.write(&format!("login/{name}"), json!({ "code": code }));
    outcome.unwrap().unwrap()
}

fn auth(response: Response) -> Box<Auth> {
    response.auth.unwrap()
}

#[test]
fn the_right_code_gives_a_login() {
    let auth = auth(login(&mount_with_alice(), "Alice", "correct horse"));
    assert_eq!(auth.policies, ["ops", "dev"]);
    assert_eq!(auth.display_name, "alice");
    assert_eq!(auth.alias.unwrap().name, "alice");
    assert_eq!(auth.lease.ttl, Duration::from_secs(3600));
    assert!(auth.lease.renewable);
}

#[test]
fn a_wrong_code_and_a_wrong_name_are_refused_with_one_text() {
    let mount = mount_with_alice();
    for (name, code) in [
        ("alice", "wrong"),
        ("alice", ""),
        ("nobody", "correct horse"),
    ] {
        let refused = login(&mount, name, code);
        assert_eq!(
            refused.error_text().unwrap(),
            "invalid username or passcode"
        );
        assert_eq!(refused.auth, None);
    }
}

#[test]
fn the_code_is_neither_stored_nor_given_back() {
    let mount = mount_with_alice();
    let read: Value = mount
        .read("users/alice")
        .unwrap()
        .unwrap()
        .data
        .parse()
        .unwrap();
    assert_eq!(read, json!({ "policies": ["ops", "dev"], "ttl": 3600 }));
    use palisade_plugin::Host;
    let stored = palisade_plugin::testing::ready(mount.host().storage().get("users/alice"));
    let stored = stored.unwrap().unwrap().value;
    assert!(!String::from_utf8_lossy(&stored).contains("correct horse"));
}

#[test]
fn a_new_user_needs_a_code_and_an_old_one_keeps_it() {
    let mount = mount_with_alice();
    let refused = mount
        .write("users/bob", json!({ "policies": "dev" }))
        .unwrap();
    assert_eq!(
        refused.unwrap().error_text().unwrap(),
        "a new user needs a code"
    );
    mount
        .write("users/alice", json!({ "policies": ["dev"] }))
        .unwrap();
    assert_eq!(
        auth(login(&mount, "alice", "correct horse")).policies,
        ["dev"]
    );
}

#[test]
fn users_are_listed_and_removed() {
    let mount = mount_with_alice();
    let listed = mount.list("users/").unwrap().unwrap();
    assert_eq!(listed.data.as_str(), r#"{"keys":["alice"]}"#);
    mount.delete("users/alice").unwrap();
    assert_eq!(mount.read("users/alice").unwrap(), None);
}

#[test]
fn a_login_is_renewed_while_its_user_is_as_it_was() {
    let mount = mount_with_alice();
    let known = auth(login(&mount, "alice", "correct horse"));
    let renew = || {
        let mut request = Request::new(Operation::Renew, "login/alice", Json::null());
        request.auth = Some(known.clone());
        mount.send(request).unwrap()
    };
    assert_eq!(auth(renew().unwrap()).lease.ttl, Duration::from_secs(3600));
    mount
        .write("users/alice", json!({ "policies": "root" }))
        .unwrap();
    assert!(
        renew()
            .unwrap()
            .error_text()
            .unwrap()
            .contains("policies have changed")
    );
    mount.delete("users/alice").unwrap();
    assert_eq!(renew(), None);
}

#[test]
fn a_look_ahead_names_the_alias_and_logs_nobody_in() {
    let mount = mount_with_alice();
    let request = Request::new(Operation::AliasLookahead, "login/alice", Json::null());
    let auth = auth(mount.send(request).unwrap().unwrap());
    assert_eq!(auth.alias.unwrap().name, "alice");
    assert!(auth.policies.is_empty());
}

#[test]
fn only_the_login_needs_no_token() {
    let description = super::plugin().describe();
    assert_eq!(description.special_paths.unauthenticated, ["login/*"]);
}
