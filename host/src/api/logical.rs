//! Every other path: a request to a mount, and its answer in OpenBao's shape.

use std::time::Instant;

use base64::Engine;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use palisade_contract::{Headers, Json, Operation, Request, Response};
use palisade_runtime::{ErrorKind, Route};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::call::{Call, Verb};
use super::error::ApiError;
use super::reply::{Envelope, Reply};
use super::server::Server;
use super::shape::{Keys, Shape};

/// What a client's headers may never carry to a plugin, whatever a mount's settings say.
const NEVER_PASSED: [&str; 2] = ["x-vault-token", "authorization"];

/// Answers a request to a mount.
pub(super) async fn handle(server: &Server, mut call: Call) -> Result<Reply, ApiError> {
    refuse_folder_write(&call)?;
    let Some(mount) = server.runtime.route(&call.path) else {
        return Err(ApiError::no_handler(&call.path));
    };
    let mut request = Request::new(operation(call.verb), call.path.clone(), call.data());
    request.id.clone_from(&call.id);
    request.headers = passed_headers(&mount, &call.headers);
    request.client_token = server.root.for_mount(&call.token, mount.accessor());
    request
        .client_token_accessor
        .clone_from(&server.root.accessor);
    request.display_name = "root".to_owned();
    let operation = request.operation;
    let timeout = Some(call.deadline.saturating_duration_since(Instant::now()));
    let answer = match call.verb {
        Verb::Write => server.runtime.write(request, timeout).await?,
        _ => server.runtime.handle(request, timeout).await?,
    };
    match answer {
        Some(response) => shape_answer(&call, &mount, operation, &response),
        None => nothing(operation),
    }
}

/// Nobody could tell whether a name that ends in a slash or a name in that folder was meant. OpenBao refuses it alike.
fn refuse_folder_write(call: &Call) -> Result<(), ApiError> {
    match matches!(call.verb, Verb::Write | Verb::Patch) && call.path.ends_with('/') {
        true => Err(ApiError::invalid("cannot write to a path ending in '/'")),
        false => Ok(()),
    }
}

fn operation(verb: Verb) -> Operation {
    match verb {
        Verb::Read => Operation::Read,
        Verb::List => Operation::List,
        Verb::Scan => Operation::Scan,
        Verb::Write => Operation::Update,
        Verb::Patch => Operation::Patch,
        Verb::Delete => Operation::Delete,
        Verb::Head => Operation::Header,
        Verb::Help => Operation::Help,
    }
}

/// The plugin had nothing to say: for a question that is "not there", for an order "done".
fn nothing(operation: Operation) -> Result<Reply, ApiError> {
    match operation {
        Operation::Read
        | Operation::List
        | Operation::Scan
        | Operation::Header
        | Operation::Help => Err(ApiError::not_found()),
        _ => Ok(Reply::Empty),
    }
}

fn shape_answer(
    call: &Call,
    mount: &Route,
    operation: Operation,
    response: &Response,
) -> Result<Reply, ApiError> {
    let shape = match response.data.is_null() {
        true => Shape::default(),
        false => Shape::of(response.data.as_str())
            .map_err(|_| protocol("its data is not a JSON object"))?,
    };
    if shape.maybe_error
        && let Some(text) = response.error_text()
    {
        return Err(ApiError::of_plugin(text));
    }
    if shape.raw {
        return raw(&response.data);
    }
    if operation == Operation::Help {
        return Ok(Reply::Json(
            StatusCode::OK,
            response.data.as_str().to_owned(),
        ));
    }
    let status = match found(operation, &shape, response) {
        Found::Yes => StatusCode::OK,
        Found::No if response.warnings.is_empty() => return Err(ApiError::not_found()),
        Found::No => return Ok(warned_not_found(&response.warnings)),
    };
    let reply = Reply::Json(status, envelope(call, response)?);
    match passed_back(mount, &response.headers) {
        headers if headers.is_empty() => Ok(reply),
        headers => Ok(Reply::WithHeaders(Box::new(reply), headers)),
    }
}

enum Found {
    Yes,
    No,
}

/// A listing without names is not found, unless it has something else to tell.
fn found(operation: Operation, shape: &Shape, response: &Response) -> Found {
    match (operation, &shape.keys) {
        (Operation::List | Operation::Scan, Keys::Empty) => Found::No,
        (Operation::List | Operation::Scan, Keys::Absent)
            if shape.fields == 0 && response.warnings.is_empty() =>
        {
            Found::No
        }
        _ => Found::Yes,
    }
}

fn warned_not_found(warnings: &[String]) -> Reply {
    let body = json!({ "errors": [], "warnings": warnings });
    Reply::Json(StatusCode::NOT_FOUND, body.to_string())
}

fn envelope(call: &Call, response: &Response) -> Result<String, ApiError> {
    let data: Option<&RawValue> = match response.data.is_null() {
        true => None,
        false => Some(
            serde_json::from_str(response.data.as_str())
                .map_err(|_| protocol("its data is not a JSON object"))?,
        ),
    };
    let mut warnings = response.warnings.clone();
    let mut duration = 0;
    if let Some(secret) = &response.secret {
        duration = secret.lease.ttl.as_secs();
        // OpenBao would revoke it in the end; a client must not believe that this server does.
        warnings.push(
            "this server keeps no leases yet: the secret is neither renewed nor revoked by it"
                .to_owned(),
        );
    }
    let envelope = Envelope {
        request_id: &call.id,
        lease_id: "",
        renewable: false,
        lease_duration: duration,
        data,
        wrap_info: None,
        warnings: (!warnings.is_empty()).then_some(warnings.as_slice()),
        auth: None,
    };
    serde_json::to_string(&envelope).map_err(|_| protocol("its answer cannot be written as JSON"))
}

/// The plugin answers with a status and a body of its own, by OpenBao's special keys.
fn raw(data: &Json) -> Result<Reply, ApiError> {
    #[derive(Deserialize)]
    struct Raw {
        http_status_code: Value,
        http_content_type: Option<String>,
        http_raw_body: Option<String>,
    }
    let raw: Raw = data
        .parse()
        .map_err(|_| protocol("its raw answer has fields of wrong types"))?;
    let status = status_of(&raw.http_status_code)
        .ok_or_else(|| protocol("the status of its raw answer is not between 200 and 599"))?;
    if status == StatusCode::NO_CONTENT {
        return Ok(Reply::Empty);
    }
    let content_type = raw
        .http_content_type
        .and_then(|text| HeaderValue::try_from(text).ok())
        .ok_or_else(|| protocol("its raw answer has no usable content type"))?;
    Ok(Reply::Raw {
        status,
        content_type: Some(content_type),
        body: raw_body(raw.http_raw_body.unwrap_or_default()),
    })
}

fn status_of(value: &Value) -> Option<StatusCode> {
    let number = value.as_u64().or_else(|| value.as_str()?.parse().ok())?;
    let code = u16::try_from(number)
        .ok()
        .filter(|code| (200..600).contains(code))?;
    StatusCode::from_u16(code).ok()
}

/// Bytes cross the plugin's boundary as base64 and text as itself; OpenBao tells them apart by trying.
fn raw_body(text: String) -> Bytes {
    match base64::engine::general_purpose::STANDARD.decode(&text) {
        Ok(bytes) => bytes.into(),
        Err(_) => text.into(),
    }
}

/// The client's headers that the mount's settings let through, in Go's canonical case.
fn passed_headers(mount: &Route, headers: &HeaderMap) -> Headers {
    let mut passed = Headers::new();
    for name in names(mount, "passthrough_request_headers") {
        if NEVER_PASSED.contains(&name.as_str()) {
            continue;
        }
        let values = headers
            .get_all(&name)
            .iter()
            .filter_map(|value| value.to_str().ok());
        let values: Vec<String> = values.map(str::to_owned).collect();
        if !values.is_empty() {
            passed.insert(canonical(name.as_str()), values);
        }
    }
    passed
}

/// The plugin's headers that the mount's settings let through.
fn passed_back(mount: &Route, headers: &Headers) -> Vec<(HeaderName, HeaderValue)> {
    let allowed = names(mount, "allowed_response_headers");
    headers
        .iter()
        .filter_map(|(name, values)| Some((HeaderName::try_from(name.as_str()).ok()?, values)))
        .filter(|(name, _)| allowed.contains(name))
        .flat_map(|(name, values)| values.iter().map(move |value| (name.clone(), value)))
        .filter_map(|(name, value)| Some((name, HeaderValue::try_from(value.as_str()).ok()?)))
        .collect()
}

fn names(mount: &Route, setting: &str) -> Vec<HeaderName> {
    let listed = mount.config().get(setting).and_then(Value::as_array);
    let listed = listed.into_iter().flatten().filter_map(Value::as_str);
    listed
        .filter_map(|name| HeaderName::try_from(name).ok())
        .collect()
}

/// `X-Request-Id` rather than `x-request-id`.
fn canonical(name: &str) -> String {
    let words = name.split('-').map(|word| match word.split_at_checked(1) {
        Some((first, rest)) => format!("{}{rest}", first.to_ascii_uppercase()),
        None => word.to_owned(),
    });
    words.collect::<Vec<_>>().join("-")
}

fn protocol(fault: &str) -> ApiError {
    ApiError::new(
        ErrorKind::Protocol,
        format!("the plugin broke the protocol: {fault}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(data: &str) -> Result<Reply, ApiError> {
        raw(&Json::from_text(data))
    }

    #[test]
    fn a_plugin_may_answer_with_a_status_and_a_body_of_its_own() {
        let data = r#"{"http_status_code":404,"http_content_type":"application/json","http_raw_body":"{\"a\":1}"}"#;
        let Ok(Reply::Raw { status, body, .. }) = reply(data) else {
            panic!("not raw")
        };
        assert_eq!(
            (status, body.as_ref()),
            (StatusCode::NOT_FOUND, br#"{"a":1}"#.as_slice())
        );
    }

    #[test]
    fn a_body_of_bytes_comes_as_base64() {
        assert_eq!(raw_body("AAEC".to_owned()).as_ref(), [0, 1, 2]);
    }

    #[test]
    fn a_raw_answer_that_makes_no_sense_is_the_plugins_fault() {
        for data in [
            r#"{"http_status_code":99,"http_content_type":"a/b"}"#,
            r#"{"http_status_code":700,"http_content_type":"a/b"}"#,
            r#"{"http_status_code":200}"#,
            r#"{"http_status_code":200,"http_content_type":"a\nb"}"#,
            r#"{"http_status_code":200,"http_content_type":7}"#,
        ] {
            assert_eq!(
                reply(data).unwrap_err().status(),
                StatusCode::INTERNAL_SERVER_ERROR,
                "{data}"
            );
        }
        assert!(matches!(
            reply(r#"{"http_status_code":204}"#),
            Ok(Reply::Empty)
        ));
    }

    #[test]
    fn a_question_without_answer_is_not_found_and_an_order_is_done() {
        assert_eq!(
            nothing(Operation::Read).unwrap_err().status(),
            StatusCode::NOT_FOUND
        );
        assert!(matches!(nothing(Operation::Delete), Ok(Reply::Empty)));
    }

    #[test]
    fn header_names_have_gos_canonical_case() {
        assert_eq!(canonical("x-request-id"), "X-Request-Id");
    }
}
