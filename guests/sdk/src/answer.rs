//! What a handler gives back: nothing, a response, or a failure; and the short ways to make each.

use std::fmt;

use palisade_contract::{
    HostError, HostErrorKind, Json, PluginError, PluginErrorKind, Request, Response,
};
use serde::Serialize;

/// What a handler returns. `Ok(None)` is "nothing there" to a read, and "done, and nothing to say" to a write.
pub type Answer = Result<Option<Response>, Failure>;

/// Why a handler has no response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The request makes no sense; the client gets HTTP 400 with this text.
    ///
    /// It travels as an error response: hosts replace the text of an `InvalidRequest` error by their own.
    Refused(String),
    /// A call to the host failed.
    Host(HostError),
    /// An error of one of the wire's kinds.
    Error(PluginError),
}

impl Failure {
    /// The request makes no sense, for this reason.
    pub fn refused(text: impl Into<String>) -> Self {
        Self::Refused(text.into())
    }

    /// Something is wrong in the plugin or in what it stored, HTTP 500.
    pub fn internal(text: impl Into<String>) -> Self {
        Self::Error(PluginError::new(PluginErrorKind::Internal, text))
    }

    /// Whether a transaction met a newer write, so that doing everything again may succeed.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Host(error) if error.kind == HostErrorKind::Conflict)
    }

    /// The error to send. A refusal becomes an `InvalidRequest`.
    pub fn into_error(self) -> PluginError {
        match self {
            Self::Refused(text) => PluginError::invalid_request(text),
            Self::Host(error) => error.into(),
            Self::Error(error) => error,
        }
    }

    /// The answer to send: an error response for a refusal, an error for everything else.
    pub(crate) fn into_answer(self) -> Result<Option<Response>, PluginError> {
        match self {
            Self::Refused(text) => Ok(Some(Response::error(&text))),
            other => Err(other.into_error()),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(text) => f.write_str(text),
            Self::Host(error) => error.fmt(f),
            Self::Error(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Failure {}

impl From<HostError> for Failure {
    fn from(error: HostError) -> Self {
        Self::Host(error)
    }
}

impl From<PluginError> for Failure {
    fn from(error: PluginError) -> Self {
        Self::Error(error)
    }
}

impl From<serde_json::Error> for Failure {
    /// Only the place of the fault is told: the text of a JSON error may quote secret data.
    fn from(error: serde_json::Error) -> Self {
        Self::Error(error.into())
    }
}

/// An answer whose body is this value, written as JSON.
///
/// # Errors
///
/// When the value cannot be written as JSON.
pub fn data<T: Serialize + ?Sized>(value: &T) -> Answer {
    Ok(Some(Response::with_data(Json::of(value)?)))
}

/// The answer to a list: `{"keys": […]}`, and an empty object when there are none, which hosts answer with 404.
///
/// # Errors
///
/// None in practice: strings can always be written as JSON.
pub fn keys(keys: &[String]) -> Answer {
    if keys.is_empty() {
        return Ok(Some(Response::with_data(Json::from_text("{}"))));
    }
    data(&serde_json::json!({ "keys": keys }))
}

/// The names in a response's data by which a plugin answers with an HTTP status of its own.
mod raw {
    pub(super) const CONTENT_TYPE: &str = "http_content_type";
    pub(super) const STATUS_CODE: &str = "http_status_code";
    pub(super) const BODY: &str = "http_raw_body";
}

/// An answer with an HTTP status of the plugin's choice, and the usual envelope around `response` as its body.
///
/// This is how OpenBao's backends say 404 and still tell something. Without a response the body is empty.
///
/// # Errors
///
/// When the response's data is not JSON.
pub fn with_status(status: u16, response: Option<Response>, request: &Request) -> Answer {
    let mut fields = serde_json::Map::new();
    fields.insert(raw::CONTENT_TYPE.to_owned(), "application/json".into());
    fields.insert(raw::STATUS_CODE.to_owned(), status.into());
    if let Some(response) = response {
        let body = envelope(&response, request)?;
        fields.insert(raw::BODY.to_owned(), body.into());
    }
    data(&fields)
}

/// The body that a host would send for this response, as text.
fn envelope(response: &Response, request: &Request) -> Result<String, serde_json::Error> {
    let data: Box<serde_json::value::RawValue> = response.data.parse()?;
    let warnings = Some(&response.warnings).filter(|warnings| !warnings.is_empty());
    serde_json::to_string(&Envelope {
        request_id: &request.id,
        lease_id: "",
        renewable: false,
        lease_duration: 0,
        data: &data,
        wrap_info: None,
        warnings,
        auth: None,
    })
}

/// OpenBao's envelope around an answer, in its order.
#[derive(Serialize)]
struct Envelope<'a> {
    request_id: &'a str,
    lease_id: &'a str,
    renewable: bool,
    lease_duration: u64,
    data: &'a serde_json::value::RawValue,
    wrap_info: Option<()>,
    warnings: Option<&'a Vec<String>>,
    auth: Option<()>,
}

#[cfg(test)]
mod tests {
    use palisade_contract::Operation;

    use super::*;

    #[test]
    fn a_refusal_travels_as_an_error_response() {
        let answer = Failure::refused("no data provided").into_answer();
        let response = answer.unwrap().unwrap();
        assert_eq!(response.error_text().as_deref(), Some("no data provided"));
    }

    #[test]
    fn a_host_error_keeps_its_text() {
        let error = HostError::of(HostErrorKind::ReadOnly);
        let failure = Failure::from(error.clone());
        assert_eq!(failure.into_answer().unwrap_err().message, error.message);
    }

    #[test]
    fn an_empty_list_has_no_keys() {
        let response = keys(&[]).unwrap().unwrap();
        assert_eq!(response.data.as_str(), "{}");
    }

    #[test]
    fn a_status_of_its_own_carries_the_envelope_and_keeps_digits() {
        let mut request = Request::new(Operation::Read, "a", Json::null());
        request.id = "42".to_owned();
        let inner = Response::with_data(Json::from_text(
            r#"{"n":123456789012345678901234567890.00}"#,
        ));
        let response = with_status(404, Some(inner), &request).unwrap().unwrap();
        let fields: serde_json::Value = response.data.parse().unwrap();
        assert_eq!(fields["http_status_code"], 404);
        let body = fields["http_raw_body"].as_str().unwrap();
        assert!(body.starts_with(r#"{"request_id":"42","lease_id":"","#));
        assert!(body.contains("123456789012345678901234567890.00"));
        assert!(body.ends_with(r#""wrap_info":null,"warnings":null,"auth":null}"#));
    }
}
