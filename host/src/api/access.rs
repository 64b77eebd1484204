//! Who may ask: the holder of the root token, in the root namespace.

use http::{HeaderMap, header};
use serde_json::json;
use zeroize::Zeroizing;

use super::call::{Call, Verb};
use super::error::ApiError;
use super::reply::Reply;
use super::server::{Server, rfc3339};
use crate::config::duration;

/// Finds the token in the headers and compares it.
pub(super) fn check(server: &Server, headers: &HeaderMap) -> Result<Zeroizing<String>, ApiError> {
    let token = token(headers).ok_or_else(ApiError::permission_denied)?;
    match server.root.matches(&token) {
        true => Ok(token),
        false => Err(ApiError::permission_denied()),
    }
}

fn token(headers: &HeaderMap) -> Option<Zeroizing<String>> {
    let text = |name| {
        headers
            .get(name)
            .and_then(|value: &http::HeaderValue| value.to_str().ok())
    };
    let bearer = || {
        let (scheme, token) = text(header::AUTHORIZATION.as_str())?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    };
    // An empty header is a client without a token, and must not match whatever the server was started with.
    let given = |token: &&str| !token.is_empty();
    let token = text("x-vault-token")
        .filter(given)
        .or_else(bearer)
        .filter(given)?;
    Some(Zeroizing::new(token.to_owned()))
}

/// There is only the root namespace, and a request for another must not be answered from it.
pub(super) fn check_namespace(headers: &HeaderMap) -> Result<(), ApiError> {
    let named = headers
        .get("x-vault-namespace")
        .map(|value| value.to_str().unwrap_or("?"));
    match named.map(|name| name.trim_matches('/')) {
        None | Some("" | "root") => Ok(()),
        // Not 404: a client takes that for "nothing there" and goes on.
        Some(name) => Err(ApiError::invalid(format!(
            "namespace {name:?} does not exist: this server has the root namespace only"
        ))),
    }
}

/// An answer that was to be wrapped must not go out bare.
pub(super) fn check_wrapping(headers: &HeaderMap) -> Result<(), ApiError> {
    let Some(asked) = headers.get("x-vault-wrap-ttl") else {
        return Ok(());
    };
    let text = asked.to_str().unwrap_or("?").trim();
    match text.is_empty() || duration::parse(text).is_ok_and(|ttl| ttl.is_zero()) {
        true => Ok(()),
        false => Err(ApiError::invalid(
            "response wrapping is not supported yet: leave out X-Vault-Wrap-TTL",
        )),
    }
}

/// `auth/token/lookup-self`, in the shape of OpenBao's root token.
pub(super) fn lookup_self(server: &Server, call: &Call) -> Result<Reply, ApiError> {
    if call.verb != Verb::Read {
        return Err(ApiError::unsupported_operation());
    }
    let root = &server.root;
    Ok(Reply::data(
        &call.id,
        &json!({
            "accessor": root.accessor,
            "creation_time": root.created,
            "creation_ttl": 0,
            "display_name": "root",
            "entity_id": "",
            "expire_time": null,
            "explicit_max_ttl": 0,
            "id": call.token.as_str(),
            "issue_time": rfc3339(root.created),
            "meta": null,
            "num_uses": 0,
            "orphan": true,
            "path": "auth/token/root",
            "policies": ["root"],
            "renewable": false,
            "ttl": 0,
            "type": "service",
        }),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::StatusCode;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(http::HeaderName::from_static(name), value.parse().unwrap())])
    }

    #[test]
    fn a_token_comes_in_either_header() {
        for (name, value) in [
            ("x-vault-token", "s.t"),
            ("authorization", "Bearer s.t"),
            ("authorization", "bearer s.t"),
        ] {
            assert_eq!(token(&headers(name, value)).unwrap().as_str(), "s.t");
        }
        assert!(token(&headers("authorization", "Basic s.t")).is_none());
        assert!(token(&HeaderMap::new()).is_none());
    }

    #[test]
    fn an_empty_token_is_none() {
        for (name, value) in [
            ("x-vault-token", ""),
            ("authorization", "Bearer "),
            ("authorization", "Bearer    "),
        ] {
            assert!(token(&headers(name, value)).is_none(), "{name}: {value:?}");
        }
    }

    #[test]
    fn a_wish_for_wrapping_is_refused_and_no_wish_is_not() {
        let error = check_wrapping(&headers("x-vault-wrap-ttl", "5m")).unwrap_err();
        assert_eq!(error.status(), StatusCode::BAD_REQUEST);
        assert!(error.text().contains("response wrapping is not supported"));
        assert!(check_wrapping(&headers("x-vault-wrap-ttl", "soon")).is_err());
        for none in ["", "0", "0s"] {
            assert!(check_wrapping(&headers("x-vault-wrap-ttl", none)).is_ok());
        }
        assert!(check_wrapping(&HeaderMap::new()).is_ok());
    }

    #[test]
    fn another_namespace_is_refused_by_name() {
        let error = check_namespace(&headers("x-vault-namespace", "team/")).unwrap_err();
        assert_eq!(error.status(), StatusCode::BAD_REQUEST);
        assert!(error.text().contains("team"));
        assert!(check_namespace(&headers("x-vault-namespace", "root/")).is_ok());
    }
}
