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
    Refused {
        method: Method,
        url: String,
        namespace: Option<String>,
        status: StatusCode,
        /// The server's stable code, if it gave one.
        code: Option<String>,
        /// What it said; `None` when that was not in the usual shape.
        errors: Option<Vec<String>>,
        /// What it said, as it is.
        raw: String,
    },
}

/// The stable code of a reply.
pub(super) fn stable_code(headers: &HeaderMap) -> Option<String> {
    let code = headers.get(ERROR_CODE_HEADER)?.to_str().ok()?;
    Some(code.to_owned())
}

impl ClientError {
    pub(super) fn refused(
        method: Method,
        url: String,
        namespace: Option<String>,
        status: StatusCode,
        code: Option<String>,
        body: &[u8],
    ) -> Self {
        #[derive(Deserialize)]
        struct Body {
            errors: Vec<String>,
        }
        let errors = serde_json::from_slice(body).ok().map(|body: Body| body.errors);
        Self::Refused {
            method,
            url,
            namespace,
            status,
            code,
            errors,
            raw: String::from_utf8_lossy(body).into_owned(),
        }
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Setting(fault) => f.write_str(fault),
            Self::Unreachable { method, url, cause } => {
                write!(f, "{} {url:?}: {cause}", capitalized(method))
            }
            Self::Refused { method, url, namespace, status, code, errors, raw } => {
                writeln!(f, "Error making API request.\n")?;
                if let Some(namespace) = namespace {
                    writeln!(f, "Namespace: {namespace}")?;
                }
                writeln!(f, "URL: {method} {url}")?;
                match errors {
                    Some(errors) => {
                        write!(f, "Code: {}. Errors:\n\n", status.as_u16())?;
                        errors.iter().try_for_each(|error| writeln!(f, "* {error}"))?;
                    }
                    None => write!(f, "Code: {}. Raw Message:\n\n{raw}\n", status.as_u16())?,
                }
                match code {
                    Some(code) => write!(f, "\nError code: {code}"),
                    None => Ok(()),
                }
            }
        }
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
        ClientError::refused(
            Method::PUT,
            "http://h/v1/x".to_owned(),
            None,
            StatusCode::BAD_REQUEST,
            code.map(str::to_owned),
            body.as_bytes(),
        )
        .to_string()
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
        assert!(text.ends_with("Code: 400. Raw Message:\n\n<html>\n"), "{text}");
    }
}
