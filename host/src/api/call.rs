//! What a request asks for: verb, path, query and body, each checked and bounded before anybody acts on it.

use std::time::Instant;

use axum::extract::Request;
use http::{HeaderMap, Method, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use palisade_contract::Json;
use palisade_runtime::ErrorKind;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::REQUEST_TIMEOUT;
use super::error::ApiError;
use super::shape;
use crate::boolean;

/// As much as a body may be. OpenBao's default is 32 MiB too.
const BODY_BYTES_MAX: usize = 32 << 20;

/// As deep as a body's arrays and objects may lie in each other. Plugins' parsers stop at 128, and wrap some levels around.
const NESTING_MAX: usize = 120;

/// What OpenBao asks of a PATCH.
const MERGE_PATCH: &str = "application/merge-patch+json";

/// What a request does, by its method and the words `list` and `scan` of its query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Read,
    List,
    Scan,
    Write,
    Patch,
    Delete,
    Head,
    Help,
}

/// Verb, path and query of a request.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) verb: Verb,
    /// Decoded, without `/v1/` and leading slashes.
    pub(super) path: String,
    /// Without the words that made the verb.
    pub(super) query: Vec<(String, String)>,
}

impl Target {
    pub(super) fn of(request: &Request) -> Result<Self, ApiError> {
        let raw = request
            .uri()
            .path()
            .strip_prefix("/v1/")
            .ok_or_else(ApiError::not_found)?;
        let path = percent_decode_str(raw)
            .decode_utf8()
            .map_err(|_| ApiError::invalid("the path is not UTF-8 text"))?;
        let path = path.trim_start_matches('/');
        check_path(path)?;
        let query = request.uri().query().unwrap_or_default();
        let query = form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect();
        Self::with_verb(request.method(), path, query)
    }

    fn with_verb(
        method: &Method,
        path: &str,
        mut query: Vec<(String, String)>,
    ) -> Result<Self, ApiError> {
        let verb = match method.as_str() {
            "GET" => look(&mut query)?,
            "LIST" => Verb::List,
            "SCAN" => Verb::Scan,
            "PUT" | "POST" => Verb::Write,
            "PATCH" => Verb::Patch,
            "DELETE" => Verb::Delete,
            "HEAD" => Verb::Head,
            _ => return Err(ApiError::unsupported_operation()),
        };
        // A folder is listed by its name with the slash, whichever way the client wrote it.
        let slash = matches!(verb, Verb::List | Verb::Scan) && !path.ends_with('/');
        let path = format!("{path}{}", if slash { "/" } else { "" });
        Ok(Self { verb, path, query })
    }
}

fn check_path(path: &str) -> Result<(), ApiError> {
    if path.split('/').any(|segment| segment == "..") {
        return Err(ApiError::invalid("relative paths not supported"));
    }
    if path.contains("//") {
        return Err(ApiError::invalid("the path contains an empty segment"));
    }
    if path.chars().any(char::is_control) {
        return Err(ApiError::invalid(
            "the path contains non-printable characters",
        ));
    }
    Ok(())
}

/// Tells a listing and a plea for help from a read, and takes the words for it out of the query.
fn look(query: &mut Vec<(String, String)>) -> Result<Verb, ApiError> {
    if query
        .iter()
        .any(|(key, value)| key == "help" && !value.is_empty())
    {
        return Ok(Verb::Help);
    }
    for (word, verb) in [("list", Verb::List), ("scan", Verb::Scan)] {
        if take_flag(query, word)? {
            return Ok(verb);
        }
    }
    Ok(Verb::Read)
}

fn take_flag(query: &mut Vec<(String, String)>, word: &str) -> Result<bool, ApiError> {
    let Some(at) = query.iter().position(|(key, _)| key == word) else {
        return Ok(false);
    };
    match query.remove(at).1.as_str() {
        "" => Ok(false),
        value => boolean::parse(value)
            .ok_or_else(|| ApiError::invalid(format!("the query's {word} is not a boolean"))),
    }
}

/// One request with its body, from somebody with a valid token.
pub(super) struct Call {
    /// A UUID, for logs and audits.
    pub(super) id: String,
    pub(super) verb: Verb,
    pub(super) path: String,
    pub(super) query: Vec<(String, String)>,
    pub(super) headers: HeaderMap,
    pub(super) token: Zeroizing<String>,
    /// When the client stops waiting.
    pub(super) deadline: Instant,
    body: String,
}

impl Call {
    /// Reads the body, which happens only once the token is known to be good.
    pub(super) async fn read(
        target: Target,
        token: Zeroizing<String>,
        request: Request,
    ) -> Result<Self, ApiError> {
        let deadline = Instant::now() + REQUEST_TIMEOUT;
        let (parts, body) = request.into_parts();
        check_patch(target.verb, &parts.headers)?;
        let body = match target.verb {
            Verb::Write | Verb::Patch => {
                check_length(&parts.headers)?;
                read_body(body).await?
            }
            _ => String::new(),
        };
        Ok(Self {
            id: Uuid::new_v4().to_string(),
            verb: target.verb,
            path: target.path,
            query: target.query,
            headers: parts.headers,
            token,
            deadline,
            body,
        })
    }

    /// What a plugin gets as data: the body as it came, or the query.
    pub(super) fn data(&mut self) -> Json {
        match self.verb {
            Verb::Write | Verb::Patch if self.body.is_empty() => Json::null(),
            Verb::Write | Verb::Patch => Json::from_text(std::mem::take(&mut self.body)),
            _ => query_data(&self.query),
        }
    }

    /// The body's fields; none when there is no body.
    pub(super) fn fields(&self) -> Result<Map<String, Value>, ApiError> {
        match self.body.is_empty() {
            true => Ok(Map::new()),
            false => serde_json::from_str(&self.body).map_err(|fault| malformed(&fault)),
        }
    }

    /// A value of the query; the first when there are many.
    pub(super) fn query(&self, name: &str) -> Option<&str> {
        let mut all = self.query.iter().filter(|(key, _)| key == name);
        all.next().map(|(_, value)| value.as_str())
    }
}

fn check_patch(verb: Verb, headers: &HeaderMap) -> Result<(), ApiError> {
    let given = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let bare = given.map(|given| given.split(';').next().unwrap_or_default().trim());
    if verb != Verb::Patch || bare.is_some_and(|bare| bare.eq_ignore_ascii_case(MERGE_PATCH)) {
        return Ok(());
    }
    let text = format!("PATCH requires Content-Type: {MERGE_PATCH}");
    Err(ApiError::new(ErrorKind::InvalidInput, text)
        .with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE))
}

/// A client that says how much it will send need not send it to be refused.
fn check_length(headers: &HeaderMap) -> Result<(), ApiError> {
    let stated = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    match stated {
        Some(length) if length > BODY_BYTES_MAX as u64 => {
            Err(too_large(&format!("it has {length} bytes")))
        }
        _ => Ok(()),
    }
}

fn too_large(seen: &str) -> ApiError {
    let text =
        format!("request body too large: {seen}, {BODY_BYTES_MAX} are allowed; send less at once");
    ApiError::new(ErrorKind::TooLarge, text)
}

/// Reads the whole body and checks that it is one JSON object, or nothing.
async fn read_body(body: axum::body::Body) -> Result<String, ApiError> {
    let whole = Limited::new(body, BODY_BYTES_MAX)
        .collect()
        .await
        .map_err(|fault| match fault.downcast_ref::<LengthLimitError>() {
            Some(_) => too_large("it has more bytes"),
            None => ApiError::invalid("the request body ended early"),
        })?;
    let text = String::from_utf8(Vec::from(whole.to_bytes()))
        .map_err(|_| ApiError::invalid("error parsing JSON: the body is not UTF-8 text"))?;
    if text.trim_ascii().is_empty() || text.trim_ascii() == "null" {
        return Ok(String::new());
    }
    if shape::is_deeper_than(&text, NESTING_MAX) {
        return Err(ApiError::invalid(format!(
            "the request body is nested too deeply: {NESTING_MAX} levels are allowed"
        )));
    }
    shape::check_object(&text).map_err(|fault| malformed(&fault))?;
    Ok(text)
}

/// The parser's own text could quote a secret, so only the place is told.
fn malformed(fault: &serde_json::Error) -> ApiError {
    let (line, column) = (fault.line(), fault.column());
    ApiError::invalid(match fault.is_data() {
        true => "error parsing JSON: the body is not a JSON object".to_owned(),
        false => format!("error parsing JSON: see line {line}, column {column}"),
    })
}

/// A query as data: one value as text, many as a list.
fn query_data(query: &[(String, String)]) -> Json {
    let mut data: Map<String, Value> = Map::new();
    for (key, value) in query
        .iter()
        .filter(|(key, _)| !key.is_empty() && key != "help")
    {
        let value = Value::String(value.clone());
        match data.get_mut(key) {
            None => {
                data.insert(key.clone(), value);
            }
            Some(Value::Array(earlier)) => earlier.push(value),
            Some(earlier) => {
                let first = earlier.take();
                *earlier = Value::Array(vec![first, value]);
            }
        }
    }
    match data.is_empty() {
        true => Json::null(),
        false => Json::from_text(Value::Object(data).to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;

    fn target(method: &str, uri: &str) -> Result<Target, ApiError> {
        let request = Request::builder()
            .method(method)
            .uri(uri)
            .body(Body::empty())
            .unwrap();
        Target::of(&request)
    }

    fn call(method: &str, uri: &str, body: impl Into<Body>) -> Result<Call, ApiError> {
        let request = Request::builder()
            .method(method)
            .uri(uri)
            .header("content-type", MERGE_PATCH)
            .body(body.into())
            .unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let target = Target::of(&request)?;
        runtime.block_on(Call::read(target, Zeroizing::default(), request))
    }

    #[test]
    fn a_listing_is_the_same_whichever_way_it_is_asked_for() {
        for (method, uri) in [
            ("LIST", "/v1/kv/a"),
            ("LIST", "/v1/kv/a/"),
            ("GET", "/v1/kv/a?list=true"),
            ("GET", "/v1/kv/a/?list=1"),
        ] {
            let target = target(method, uri).unwrap();
            assert_eq!(
                (target.verb, target.path.as_str()),
                (Verb::List, "kv/a/"),
                "{method} {uri}"
            );
            assert!(target.query.is_empty());
        }
    }

    #[test]
    fn a_path_is_decoded_once() {
        assert_eq!(
            target("GET", "/v1/kv/a%20b%252F").unwrap().path,
            "kv/a b%2F"
        );
    }

    #[test]
    fn paths_that_could_mean_something_else_are_refused() {
        for uri in [
            "/v1/kv/../sys",
            "/v1/kv/%2e%2e/sys",
            "/v1/kv/%00",
            "/v1/kv//a",
            "/v1/kv/a//",
            "/v1/kv/%2Fa",
            "/v1/kv/%ff",
        ] {
            assert_eq!(
                target("GET", uri).unwrap_err().status(),
                StatusCode::BAD_REQUEST,
                "{uri}"
            );
        }
        assert!(target("GET", "/v1/kv/a..b").is_ok());
    }

    #[test]
    fn a_path_outside_of_the_api_is_not_found() {
        for uri in ["/", "/v2/kv", "/v1"] {
            assert_eq!(
                target("GET", uri).unwrap_err().status(),
                StatusCode::NOT_FOUND,
                "{uri}"
            );
        }
    }

    #[test]
    fn a_body_passes_through_as_it_came() {
        let text = r#"{ "n": 123456789012345678901234567890.10, "n": 1e400 }"#;
        assert_eq!(call("PUT", "/v1/kv/a", text).unwrap().data().as_str(), text);
    }

    #[test]
    fn a_query_becomes_data() {
        let data = call("GET", "/v1/kv/a?version=2&x=1&x=2", "")
            .unwrap()
            .data();
        assert_eq!(data.as_str(), r#"{"version":"2","x":["1","2"]}"#);
        assert!(call("GET", "/v1/kv/a", "").unwrap().data().is_null());
    }

    #[test]
    fn what_is_no_json_object_is_refused_without_an_echo() {
        for body in [
            "hunter2",
            "[\"hunter2\"]",
            "\"hunter2\"",
            "{\"a\":hunter2}",
            "{} hunter2",
            "7",
        ] {
            let error = call("PUT", "/v1/kv/a", body).err().unwrap();
            assert_eq!(error.status(), StatusCode::BAD_REQUEST, "{body}");
            assert!(
                error.text().contains("error parsing JSON"),
                "{}",
                error.text()
            );
            assert!(!error.text().contains("hunter2"), "{}", error.text());
        }
    }

    #[test]
    fn a_body_over_the_limit_is_refused() {
        let body = vec![b' '; BODY_BYTES_MAX + 1];
        let error = call("PUT", "/v1/kv/a", body).err().unwrap();
        assert_eq!(error.status(), StatusCode::PAYLOAD_TOO_LARGE);
        assert!(error.text().contains("request body too large"));
        assert!(
            error.text().contains("33554432 are allowed"),
            "{}",
            error.text()
        );
    }

    #[test]
    fn a_body_nested_over_the_limit_is_refused_by_name() {
        let nested = |arrays| format!("{{\"a\":{}{}}}", "[".repeat(arrays), "]".repeat(arrays));
        assert!(call("PUT", "/v1/kv/a", nested(NESTING_MAX - 1)).is_ok());
        let error = call("PUT", "/v1/kv/a", nested(NESTING_MAX)).err().unwrap();
        assert_eq!(error.status(), StatusCode::BAD_REQUEST);
        assert!(error.text().contains("120 levels"), "{}", error.text());
    }

    #[test]
    fn a_stated_length_over_the_limit_is_refused_before_the_body_is_read() {
        let request = Request::builder()
            .method("PUT")
            .uri("/v1/kv/a")
            .header("content-length", BODY_BYTES_MAX + 1)
            .body(Body::empty())
            .unwrap();
        let error = check_length(request.headers()).unwrap_err();
        assert_eq!(error.status(), StatusCode::PAYLOAD_TOO_LARGE);
        assert!(
            error.text().contains("it has 33554433 bytes"),
            "{}",
            error.text()
        );
        assert!(check_length(&HeaderMap::new()).is_ok());
    }

    #[test]
    fn a_patch_must_say_that_it_is_a_merge_patch() {
        let request = Request::builder()
            .method("PATCH")
            .uri("/v1/a")
            .body(Body::empty())
            .unwrap();
        assert!(check_patch(Verb::Patch, request.headers()).is_err());
        assert!(call("PATCH", "/v1/kv/a", "{}").is_ok());
    }
}
