//! A successful answer: OpenBao's envelope, plain JSON, nothing, or a body that the plugin made itself.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// A successful answer.
#[derive(Debug)]
pub(super) enum Reply {
    /// Done, and nothing to say: 204.
    Empty,
    /// JSON text.
    Json(StatusCode, String),
    /// JSON text with headers that the mount's settings let through.
    WithHeaders(Box<Reply>, Vec<(HeaderName, HeaderValue)>),
    /// What the plugin made itself.
    Raw {
        status: StatusCode,
        content_type: Option<HeaderValue>,
        body: Bytes,
    },
}

impl Reply {
    /// JSON of any shape.
    pub(super) fn plain(value: &Value) -> Self {
        Self::Json(StatusCode::OK, value.to_string())
    }

    /// Data of the server's own in OpenBao's envelope.
    pub(super) fn data(id: &str, data: &Value) -> Self {
        Self::Json(StatusCode::OK, enveloped(id, data).to_string())
    }

    /// Data in the envelope and again at the top level, as old clients of some paths expect.
    pub(super) fn data_twice(id: &str, data: &Value) -> Self {
        let mut whole = enveloped(id, data);
        if let (Value::Object(whole), Value::Object(data)) = (&mut whole, data) {
            data.iter().for_each(|(key, value)| {
                whole.entry(key.clone()).or_insert_with(|| value.clone());
            });
        }
        Self::Json(StatusCode::OK, whole.to_string())
    }
}

fn enveloped(id: &str, data: &Value) -> Value {
    serde_json::json!({
        "request_id": id,
        "lease_id": "",
        "renewable": false,
        "lease_duration": 0,
        "data": data,
        "wrap_info": null,
        "warnings": null,
        "auth": null,
    })
}

/// OpenBao's envelope around data that stays text.
#[derive(Serialize)]
pub(super) struct Envelope<'a> {
    pub(super) request_id: &'a str,
    pub(super) lease_id: &'a str,
    pub(super) renewable: bool,
    pub(super) lease_duration: u64,
    pub(super) data: Option<&'a RawValue>,
    pub(super) wrap_info: Option<()>,
    pub(super) warnings: Option<&'a [String]>,
    pub(super) auth: Option<()>,
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        match self {
            Self::Empty => respond(StatusCode::NO_CONTENT, None, Body::empty()),
            Self::Json(status, text) => json(status, text),
            Self::WithHeaders(reply, headers) => {
                let mut response = reply.into_response();
                headers.into_iter().for_each(|(name, value)| {
                    response.headers_mut().append(name, value);
                });
                response
            }
            Self::Raw {
                status,
                content_type,
                body,
            } => respond(status, content_type, Body::from(body)),
        }
    }
}

/// A response of JSON text.
pub(super) fn json(status: StatusCode, mut text: String) -> Response {
    // OpenBao's encoder ends every body so, and terminals are glad of it.
    text.push('\n');
    let content_type = HeaderValue::from_static("application/json");
    respond(status, Some(content_type), Body::from(text))
}

fn respond(status: StatusCode, content_type: Option<HeaderValue>, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // A plugin may say that its body is HTML; a browser must not guess it from the bytes.
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    if let Some(content_type) = content_type {
        headers.insert(header::CONTENT_TYPE, content_type);
    }
    response
}
