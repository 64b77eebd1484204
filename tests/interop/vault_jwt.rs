//! Vault's own JWT login, unchanged: configured, given a role, and logged in to.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use palisade_runtime::contract::{Json, Operation, PluginType, Request, Response};
use palisade_runtime::{CallError, NewMount};
use palisade_tests::Harness;
use rcgen::{KeyPair, PKCS_ED25519, SigningKey};
use serde_json::{Value, json};

use crate::peers::{Peer, VAULT_JWT, cases, enable_as, register};

cases! {
    CASES for VAULT_JWT;
    a_token_that_its_role_accepts_logs_in,
    a_token_of_another_key_or_audience_is_refused_in_its_own_words,
    two_mounts_know_their_own_keys_only,
    its_configuration_survives_a_reload,
}

async fn a_token_that_its_role_accepts_logs_in(h: Harness, peer: Peer) {
    let key = mount_jwt(&h, peer, "auth/jwt").await;
    let response = log_in(&h, "auth/jwt", &token(&key, "palisade")).await;
    let auth = response.unwrap().auth.expect("who logs in gets a login");
    let alias = auth.alias.expect("it names who logged in");
    assert_eq!(alias.name, "someone");
    assert_eq!(auth.policies, ["readers"]);
    assert_eq!(auth.metadata["role"], "dev");
}

async fn a_token_of_another_key_or_audience_is_refused_in_its_own_words(h: Harness, peer: Peer) {
    let key = mount_jwt(&h, peer, "auth/jwt").await;
    let stranger = new_key();
    for (token, words) in [
        (token(&stranger, "palisade"), "signature"),
        (token(&key, "others"), "audience"),
        ("no.token".to_owned(), "token"),
    ] {
        let text = h.said_no("auth/jwt/login", login(&token)).await;
        assert!(text.contains(words), "{text}");
    }
}

async fn two_mounts_know_their_own_keys_only(h: Harness, peer: Peer) {
    let key = mount_jwt(&h, peer, "auth/jwt").await;
    let other = new_key();
    enable_as(&h, peer, "auth/other", of_auth()).await;
    configure(&h, "auth/other", &other).await;
    let own = log_in(&h, "auth/other", &token(&other, "palisade")).await;
    assert!(own.unwrap().auth.is_some());
    let text = h
        .said_no("auth/other/login", login(&token(&key, "palisade")))
        .await;
    assert!(text.contains("signature"), "{text}");
}

async fn its_configuration_survives_a_reload(h: Harness, peer: Peer) {
    let key = mount_jwt(&h, peer, "auth/jwt").await;
    h.reload("auth/jwt").await.unwrap();
    let response = log_in(&h, "auth/jwt", &token(&key, "palisade")).await;
    assert!(response.unwrap().auth.is_some());
}

/// Enables it with a role that a new key's tokens are good for.
async fn mount_jwt(h: &Harness, peer: Peer, path: &str) -> KeyPair {
    register(h, peer, PluginType::Auth, &[]).await;
    enable_as(h, peer, path, of_auth()).await;
    let key = new_key();
    configure(h, path, &key).await;
    key
}

fn of_auth() -> NewMount {
    NewMount {
        plugin_type: Some(PluginType::Auth),
        ..NewMount::default()
    }
}

async fn configure(h: &Harness, path: &str, key: &KeyPair) {
    let config = json!({
        "jwt_validation_pubkeys": [key.public_key_pem()],
        "jwt_supported_algs": ["EdDSA"],
    });
    h.write(&format!("{path}/config"), config).await.unwrap();
    let role = json!({
        "role_type": "jwt",
        "bound_audiences": ["palisade"],
        "user_claim": "sub",
        "token_policies": ["readers"],
    });
    // The server asks whether the role exists, and the plugin wants to be told that it does not.
    let write = Request::new(
        Operation::Update,
        format!("{path}/role/dev"),
        Json::from_text(role.to_string()),
    );
    h.runtime.write(write, None).await.unwrap();
}

fn login(token: &str) -> Value {
    json!({ "role": "dev", "jwt": token })
}

async fn log_in(h: &Harness, path: &str, token: &str) -> Result<Response, CallError> {
    let path = format!("{path}/login");
    let answer = h.request(Operation::Update, &path, login(token)).await;
    answer.map(Option::unwrap_or_default)
}

fn new_key() -> KeyPair {
    KeyPair::generate_for(&PKCS_ED25519).unwrap()
}

/// A token for that audience, good for a minute.
fn token(key: &KeyPair, audience: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let claims = json!({
        "iss": "tests",
        "sub": "someone",
        "aud": audience,
        "nbf": now.as_secs() - 5,
        "exp": now.as_secs() + 60,
    });
    let part = |part: Value| URL_SAFE_NO_PAD.encode(part.to_string());
    let signed = format!(
        "{}.{}",
        part(json!({ "alg": "EdDSA", "typ": "JWT" })),
        part(claims)
    );
    let signature = key.sign(signed.as_bytes()).unwrap();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}
