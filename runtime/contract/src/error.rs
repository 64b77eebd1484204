//! What a plugin says went wrong, what the host says went wrong, and the table between the two.
//!
//! The third family, what the runtime says, lives in `palisade-runtime`: a plugin never makes one of those.

use std::fmt;

/// An error that a plugin returns (`pb.ProtoError`). The text crosses every boundary unchanged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginError {
    /// Which of the wire's kinds.
    pub kind: PluginErrorKind,
    /// The text, for people and for hosts that match on it.
    pub message: String,
}

impl PluginError {
    /// An error of that kind.
    pub fn new(kind: PluginErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }

    /// An error of no special kind; HTTP 500 unless the host knows the text.
    pub fn unknown(message: impl Into<String>) -> Self {
        Self::new(PluginErrorKind::Unknown, message)
    }

    /// The client's fault, HTTP 400.
    pub fn invalid_request(message: impl Into<String>) -> Self {
        Self::new(PluginErrorKind::InvalidRequest, message)
    }

    /// The path exists and does not do this, HTTP 405.
    pub fn unsupported_operation() -> Self {
        Self::new(
            PluginErrorKind::UnsupportedOperation,
            "unsupported operation",
        )
    }

    /// There is no such path, HTTP 404.
    pub fn unsupported_path() -> Self {
        Self::new(PluginErrorKind::UnsupportedPath, "unsupported path")
    }
}

impl fmt::Display for PluginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for PluginError {}

impl From<HostError> for PluginError {
    /// A host's error that a plugin passes on crosses as "unknown" with its text, from which hosts know it again.
    fn from(error: HostError) -> Self {
        Self::unknown(error.message)
    }
}

impl From<serde_json::Error> for PluginError {
    /// Only the place of the fault is told: the text of a JSON error may quote secret data.
    fn from(error: serde_json::Error) -> Self {
        let place = (error.line(), error.column());
        Self::invalid_request(format!(
            "malformed JSON at line {}, column {}",
            place.0, place.1
        ))
    }
}

/// The kinds of `pb.ProtoError`, in the order of the wire's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PluginErrorKind {
    /// 0: no special kind.
    Unknown,
    /// 1: the user's fault.
    User,
    /// 2: the plugin's fault.
    Internal,
    /// 3: answered with this HTTP status code.
    Coded(u16),
    /// 4: HTTP 400.
    BadRequest,
    /// 5: the path does not do this, HTTP 405.
    UnsupportedOperation,
    /// 6: there is no such path, HTTP 404.
    UnsupportedPath,
    /// 7: the request makes no sense, HTTP 400.
    InvalidRequest,
    /// 8: not allowed, HTTP 403.
    PermissionDenied,
    /// 9: more people have to agree.
    MultiAuthorizationPending,
    /// 10: trying again will not help.
    Unrecoverable,
}

impl PluginErrorKind {
    /// The wire's number and code.
    pub fn to_wire(self) -> (u32, i64) {
        match self {
            Self::Unknown => (0, 0),
            Self::User => (1, 0),
            Self::Internal => (2, 0),
            Self::Coded(code) => (3, i64::from(code)),
            Self::BadRequest => (4, 0),
            Self::UnsupportedOperation => (5, 0),
            Self::UnsupportedPath => (6, 0),
            Self::InvalidRequest => (7, 0),
            Self::PermissionDenied => (8, 0),
            Self::MultiAuthorizationPending => (9, 0),
            Self::Unrecoverable => (10, 0),
        }
    }

    /// The kind with that number. Numbers this version does not know, and codes that are no HTTP status, are "unknown".
    pub fn from_wire(number: u32, code: i64) -> Self {
        match number {
            1 => Self::User,
            2 => Self::Internal,
            3 => match u16::try_from(code) {
                Ok(code @ 400..=599) => Self::Coded(code),
                _ => Self::Unknown,
            },
            4 => Self::BadRequest,
            5 => Self::UnsupportedOperation,
            6 => Self::UnsupportedPath,
            7 => Self::InvalidRequest,
            8 => Self::PermissionDenied,
            9 => Self::MultiAuthorizationPending,
            10 => Self::Unrecoverable,
            _ => Self::Unknown,
        }
    }
}

/// An error that a call to the host returns to a plugin.
///
/// Over gRPC only the text crosses; [`HostError::from_wire`] finds the kind again, as OpenBao's SDK does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostError {
    /// Which of the closed list.
    pub kind: HostErrorKind,
    /// The text, exactly as the gRPC side carries it.
    pub message: String,
}

impl HostError {
    /// An error with the kind's own text.
    pub fn of(kind: HostErrorKind) -> Self {
        Self {
            kind,
            message: kind.text().to_owned(),
        }
    }

    /// An error with the kind's own text and what it is about. Hosts find the kind by the text, so it stays in front.
    pub fn about(kind: HostErrorKind, detail: impl fmt::Display) -> Self {
        Self {
            kind,
            message: format!("{}: {detail}", kind.text()),
        }
    }

    /// An error with a text of its own.
    pub fn other(message: impl Into<String>) -> Self {
        Self {
            kind: HostErrorKind::Other,
            message: message.into(),
        }
    }

    /// Finds the kind of an error of which only the text crossed.
    pub fn from_wire(text: impl Into<String>) -> Self {
        let message = text.into();
        let kind = HostErrorKind::TEXTS
            .iter()
            .find(|(_, known)| message.contains(known))
            .map_or(HostErrorKind::Other, |(kind, _)| *kind);
        Self { kind, message }
    }
}

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for HostError {}

/// Why a host call failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HostErrorKind {
    /// This node or view does not write; the active node would.
    ReadOnly,
    /// The plugin may not do this, or not now.
    Denied,
    /// An explicit transaction met a newer write.
    Conflict,
    /// A key or value over its limit.
    TooLarge,
    /// The mount has used up what it may store or hold open.
    Quota,
    /// The barrier is sealed.
    Sealed,
    /// Anything else.
    Other,
}

impl HostErrorKind {
    /// What each kind says. OpenBao and its plugins match on these as substrings.
    const TEXTS: &[(Self, &'static str)] = &[
        (Self::ReadOnly, "cannot write to readonly storage"),
        (Self::Denied, "cannot write to storage during setup"),
        (Self::Denied, "permission denied"),
        (Self::Conflict, "transaction commit failed"),
        (Self::TooLarge, "put failed due to value being too large"),
        (Self::TooLarge, "put failed due to key being too large"),
        (Self::Quota, "storage quota exceeded"),
        (Self::Sealed, "Vault is sealed"),
    ];

    /// The kind's own text; for `Other` a text that says nothing more.
    pub fn text(self) -> &'static str {
        match self {
            Self::ReadOnly => "cannot write to readonly storage",
            Self::Denied => "permission denied",
            Self::Conflict => "transaction commit failed",
            Self::TooLarge => "put failed due to value being too large",
            Self::Quota => "storage quota exceeded",
            Self::Sealed => "Vault is sealed",
            Self::Other => "the host failed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_plugin_error_kind_survives_the_wire() {
        for number in 0..=10 {
            let (back, _) = PluginErrorKind::from_wire(number, 418).to_wire();
            assert_eq!(back, number);
        }
    }

    #[test]
    fn a_code_that_is_no_http_status_is_not_believed() {
        assert_eq!(PluginErrorKind::from_wire(3, 200), PluginErrorKind::Unknown);
        assert_eq!(PluginErrorKind::from_wire(3, -1), PluginErrorKind::Unknown);
    }

    #[test]
    fn every_host_error_kind_is_found_again_by_its_text() {
        for (kind, _) in HostErrorKind::TEXTS {
            let error = HostError::about(*kind, "somewhere");
            assert_eq!(HostError::from_wire(error.message).kind, *kind);
        }
    }

    #[test]
    fn a_host_error_that_a_plugin_passes_on_keeps_its_text() {
        let error = PluginError::from(HostError::of(HostErrorKind::ReadOnly));
        assert_eq!(error.message, "cannot write to readonly storage");
    }
}
