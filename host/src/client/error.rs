//! Why a request has no answer, in `bao`'s words.

use std::fmt;

use http::{HeaderMap, Method, StatusCode};
use serde::Deserialize;

use crate::api::ERROR_CODE_HEADER;

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum ClientError {
    /// A flag or variable is not what it should be.
    Setting(String),
    /// The server was not reached, or said nothing that makes sense.
    Unreachable {
        method: Method,
        url: String,
        cause: String,
    },
    /// The server refused.
    Refused(Box<Refusal>),
}

/// What a server said instead of an answer.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(super) method: Method,
    pub(super) url: String,
    pub(super) namespace: Option<String>,
    pub(super) status: StatusCode,
    /// The server's stable code, if it gave one.
    pub(super) code: Option<String>,
    pub(super) body: Vec<u8>,
}

/// The stable code of a reply.
pub(super) fn stable_code(headers: &HeaderMap) -> Option<String> {
    let code = headers.get(ERROR_CODE_HEADER)?.to_str().ok()?;
    Some(code.to_owned())
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Setting(fault) => f.write_str(fault),
            Self::Unreachable { method, url, cause } => {
                write!(f, "{} {url:?}: {cause}", capitalized(method))
            }
            Self::Refused(refusal) => refusal.fmt(f),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Error making API request.\n")?;
        if let Some(namespace) = &self.namespace {
            writeln!(f, "Namespace: {namespace}")?;
        }
        writeln!(f, "URL: {} {}", self.method, self.url)?;
        write!(f, "Code: {}. ", self.status.as_u16())?;
        match self.errors() {
            Some(errors) => {
                write!(f, "Errors:\n\n")?;
                errors
                    .iter()
                    .try_for_each(|error| writeln!(f, "* {error}"))?;
            }
            None => write!(
                f,
                "Raw Message:\n\n{}\n",
                String::from_utf8_lossy(&self.body)
            )?,
        }
        match &self.code {
            Some(code) => write!(f, "\nError code: {code}"),
            None => Ok(()),
        }
    }
}

impl Refusal {
    /// What it said; `None` when that was not in the usual shape.
    fn errors(&self) -> Option<Vec<String>> {
        #[derive(Deserialize)]
        struct Body {
            errors: Vec<String>,
        }
        serde_json::from_slice(&self.body)
            .ok()
            .map(|body: Body| body.errors)
    }
}

impl std::error::Error for ClientError {}

/// Go's client writes `Get "http://…"`.
fn capitalized(method: &Method) -> String {
    let (first, rest) = method.as_str().split_at(1);
    format!("{first}{}", rest.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: Option<&str>, body: &str) -> String {
        let refusal = Refusal {
            method: Method::PUT,
            url: "http://h/v1/x".to_owned(),
            namespace: None,
            status: StatusCode::BAD_REQUEST,
            code: code.map(str::to_owned),
            body: body.as_bytes().to_vec(),
        };
        ClientError::Refused(Box::new(refusal)).to_string()
    }

    #[test]
    fn a_refusal_reads_as_with_bao_and_ends_with_the_stable_code() {
        assert_eq!(
            refused(Some("digest-mismatch"), r#"{"errors":["one","two"]}"#),
            "Error making API request.\n\nURL: PUT http://h/v1/x\nCode: 400. Errors:\n\n* one\n* two\n\nError code: digest-mismatch"
        );
    }

    #[test]
    fn a_refusal_in_another_shape_is_shown_as_it_is() {
        let text = refused(None, "<html>");
        assert!(
            text.ends_with("Code: 400. Raw Message:\n\n<html>\n"),
            "{text}"
        );
    }
}
