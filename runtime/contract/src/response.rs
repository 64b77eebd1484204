//! A plugin's answer.

use std::time::Duration;

use crate::{Auth, Headers, Json, Secret, Timestamp};

/// What a plugin answers (`pb.Response`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// A secret under a lease that the host registers.
    pub secret: Option<Box<Secret>>,
    /// A proven login; honoured from auth mounts only.
    pub auth: Option<Box<Auth>>,
    /// The body as a JSON object; `null` when there is none.
    pub data: Json,
    /// A place to go to instead; legacy.
    pub redirect: String,
    /// Remarks for people.
    pub warnings: Vec<String>,
    /// Set by the host once it has wrapped the answer.
    pub wrap_info: Option<Box<ResponseWrapInfo>>,
    /// Headers for the client, filtered by the mount's settings.
    pub headers: Headers,
}

impl Response {
    /// An answer with this body.
    pub fn with_data(data: Json) -> Self {
        Self {
            data,
            ..Self::default()
        }
    }

    /// The error response of OpenBao's logical backends: HTTP 400 with this text.
    pub fn error(text: &str) -> Self {
        let data = serde_json::json!({ "error": text }).to_string();
        Self::with_data(Json::from_text(data))
    }

    /// The text of an error response: an object whose only key, besides an optional `data`, is the string `error`.
    pub fn error_text(&self) -> Option<String> {
        let object: serde_json::Map<String, serde_json::Value> = self.data.parse().ok()?;
        let known = match object.len() {
            1 => true,
            2 => object.contains_key("data"),
            _ => false,
        };
        match object.get("error") {
            Some(serde_json::Value::String(text)) if known => Some(text.clone()),
            _ => None,
        }
    }
}

/// Where a wrapped answer can be picked up (`pb.ResponseWrapInfo`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResponseWrapInfo {
    /// How long it can.
    pub ttl: Duration,
    /// The single-use token to do it with.
    pub token: String,
    /// That token's accessor.
    pub accessor: String,
    /// When it was made.
    pub creation_time: Option<Timestamp>,
    /// The accessor of a token inside.
    pub wrapped_accessor: String,
    /// The entity of a token inside.
    pub wrapped_entity_id: String,
    /// The token's form.
    pub format: String,
    /// The path whose answer is inside.
    pub creation_path: String,
    /// Whether the content is sealed a second time.
    pub seal_wrap: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_response_gives_its_text_back() {
        assert_eq!(
            Response::error("no \"key\"").error_text().as_deref(),
            Some("no \"key\"")
        );
    }

    #[test]
    fn data_that_merely_has_a_field_named_error_is_no_error() {
        let data = Json::from_text(r#"{"error":"x","value":1}"#);
        assert_eq!(Response::with_data(data).error_text(), None);
    }
}
