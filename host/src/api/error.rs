//! An error as the API says it: OpenBao's body, and the stable code in a header.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode};
use palisade_runtime::{
    CallError, ErrorKind, GrammarError, LaunchError, MountError, RegisterError,
};
use serde_json::json;

use super::{ERROR_CODE_HEADER, reply, status};

/// Why a request was not answered as asked.
#[derive(Debug)]
pub(super) struct ApiError {
    status: StatusCode,
    code: Option<&'static str>,
    /// `None` for the 404 that says nothing.
    text: Option<String>,
    /// After how many seconds trying again makes sense, where that is known.
    retry_after: Option<u64>,
}

impl ApiError {
    pub(super) fn new(kind: ErrorKind, text: impl Into<String>) -> Self {
        Self::said(status::of(kind), kind.code(), text)
    }

    fn said(status: StatusCode, code: &'static str, text: impl Into<String>) -> Self {
        Self {
            status,
            code: Some(code),
            text: Some(text.into()),
            retry_after: None,
        }
    }

    /// The request makes no sense.
    pub(super) fn invalid(text: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidInput, text)
    }

    /// Nothing is there, and nothing more to say.
    pub(super) fn not_found() -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            code: None,
            text: None,
            retry_after: None,
        }
    }

    /// No mount serves the path; OpenBao's text.
    pub(super) fn no_handler(path: &str) -> Self {
        let path: String = path.chars().take(256).collect();
        Self::from(CallError::NoMount { path })
    }

    pub(super) fn permission_denied() -> Self {
        Self::said(
            StatusCode::FORBIDDEN,
            "permission-denied",
            "permission denied",
        )
    }

    pub(super) fn unsupported_operation() -> Self {
        Self::said(
            StatusCode::METHOD_NOT_ALLOWED,
            "unsupported-operation",
            "unsupported operation",
        )
    }

    /// What a plugin answered with an error response: HTTP 400 with its text.
    pub(super) fn of_plugin(text: String) -> Self {
        Self::said(StatusCode::BAD_REQUEST, ErrorKind::Plugin.code(), text)
    }

    pub(super) fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    #[cfg(test)]
    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    #[cfg(test)]
    pub(super) fn text(&self) -> &str {
        self.text.as_deref().unwrap_or_default()
    }
}

impl From<CallError> for ApiError {
    fn from(error: CallError) -> Self {
        let retry_after = match &error {
            CallError::Overloaded { .. } | CallError::Launch(LaunchError::OnTrial { .. }) => {
                Some(1)
            }
            CallError::Overspent { wait, .. }
            | CallError::Launch(LaunchError::Backoff { wait, .. }) => {
                Some(wait.as_secs().saturating_add(1))
            }
            _ => None,
        };
        Self {
            retry_after,
            ..Self::new(error.kind(), error.to_string()).with_status(status::of_call(&error))
        }
    }
}

impl From<RegisterError> for ApiError {
    fn from(error: RegisterError) -> Self {
        Self::new(error.kind(), error.to_string())
    }
}

impl From<MountError> for ApiError {
    /// OpenBao answers 400 when a backend cannot be made, whatever the reason.
    fn from(error: MountError) -> Self {
        let made = Self::new(error.kind(), error.to_string());
        match &error {
            MountError::Launch(_) => made.with_status(StatusCode::BAD_REQUEST),
            MountError::Call(error) => made.with_status(status::of_call(error)),
            _ => made,
        }
    }
}

impl From<GrammarError> for ApiError {
    fn from(error: GrammarError) -> Self {
        Self::invalid(error.to_string())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let errors: Vec<&String> = self.text.iter().collect();
        let mut response = reply::json(self.status, json!({ "errors": errors }).to_string());
        let headers = response.headers_mut();
        if let Some(code) = self.code {
            headers.insert(ERROR_CODE_HEADER, HeaderValue::from_static(code));
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(http::header::RETRY_AFTER, seconds.into());
        }
        response
    }
}
