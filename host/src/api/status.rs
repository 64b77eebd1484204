//! The one table from what went wrong to an HTTP status.

use http::StatusCode;
use palisade_contract::{HostError, HostErrorKind, PluginError, PluginErrorKind};
use palisade_runtime::{CallError, ErrorKind};

/// The status of a kind of error.
///
/// OpenBao answers 500 where the operator's registration is at fault (a missing file, a wrong permission); here it is
/// 400, because trying again does not help.
pub(super) fn of(kind: ErrorKind) -> StatusCode {
    use ErrorKind as K;
    match kind {
        K::InvalidInput
        | K::PluginDirectory
        | K::ArtifactMissing
        | K::ArtifactUnusable
        | K::ArtifactKind
        | K::RuntimeMismatch
        | K::DigestMismatch
        | K::GrantRefused
        | K::ImportRefused
        | K::ComponentInvalid
        | K::EntryNotFound
        | K::MountExists
        | K::PluginMismatch
        | K::Unprotected
        | K::SetupFailed => StatusCode::BAD_REQUEST,
        K::MountNotFound => StatusCode::NOT_FOUND,
        K::EntryConflict | K::Conflict => StatusCode::CONFLICT,
        K::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        K::Overloaded => StatusCode::TOO_MANY_REQUESTS,
        K::CompileFailed
        | K::LaunchFailed
        | K::Plugin
        | K::Trap
        | K::OutOfFuel
        | K::OutOfMemory
        | K::Cancelled
        | K::Crashed
        | K::Protocol
        | K::Storage
        | K::Worker => StatusCode::INTERNAL_SERVER_ERROR,
        K::Unavailable | K::Sealed | K::Stopping => StatusCode::SERVICE_UNAVAILABLE,
        K::LaunchTimeout | K::Timeout => StatusCode::GATEWAY_TIMEOUT,
    }
}

/// The status of a failed call.
pub(super) fn of_call(error: &CallError) -> StatusCode {
    match error {
        CallError::Plugin(error) => of_plugin(error),
        // A response that is too large is not the client's fault.
        CallError::TooLarge { what, .. } if *what != "request body" => {
            StatusCode::INTERNAL_SERVER_ERROR
        }
        // The client asked an enabled mount: that its plugin cannot be started is none of its doing.
        CallError::Launch(error) => match of(error.kind()) {
            status if status.is_client_error() => StatusCode::INTERNAL_SERVER_ERROR,
            status => status,
        },
        other => of(other.kind()),
    }
}

/// The status of what a plugin returned.
fn of_plugin(error: &PluginError) -> StatusCode {
    use PluginErrorKind as K;
    match error.kind {
        K::Coded(code) => StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
        K::BadRequest | K::InvalidRequest | K::User => StatusCode::BAD_REQUEST,
        K::UnsupportedOperation => StatusCode::METHOD_NOT_ALLOWED,
        K::UnsupportedPath => StatusCode::NOT_FOUND,
        K::PermissionDenied | K::MultiAuthorizationPending => StatusCode::FORBIDDEN,
        K::Internal | K::Unrecoverable => StatusCode::INTERNAL_SERVER_ERROR,
        K::Unknown => of_host_text(&error.message),
    }
}

/// A host's error that a plugin passed on lost its kind on the way and is known by its text, as in OpenBao.
fn of_host_text(text: &str) -> StatusCode {
    match HostError::from_wire(text).kind {
        HostErrorKind::Denied if text.contains("permission denied") => StatusCode::FORBIDDEN,
        HostErrorKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        HostErrorKind::Sealed => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plugin(kind: PluginErrorKind, text: &str) -> u16 {
        of_call(&CallError::Plugin(PluginError::new(kind, text))).as_u16()
    }

    #[test]
    fn no_kind_of_error_is_a_success() {
        for kind in ErrorKind::ALL {
            let status = of(kind);
            assert!(
                status.is_client_error() || status.is_server_error(),
                "{kind:?}"
            );
        }
    }

    #[test]
    fn the_document_lists_every_code_with_its_status() {
        let document = include_str!("../../../docs/errors.md");
        for kind in ErrorKind::ALL {
            let code = kind.code();
            let row = document
                .lines()
                .find(|line| line.starts_with(&format!("| `{code}` |")))
                .unwrap_or_else(|| panic!("docs/errors.md lacks {code}"));
            let status = of(kind).as_u16().to_string();
            let listed = row
                .split('|')
                .nth(2)
                .is_some_and(|text| text.contains(&status));
            assert!(listed, "{code} has {status}: {row}");
        }
    }

    #[test]
    fn what_a_plugin_returns_has_the_status_of_openbao() {
        assert_eq!(plugin(PluginErrorKind::InvalidRequest, "x"), 400);
        assert_eq!(plugin(PluginErrorKind::UnsupportedOperation, "x"), 405);
        assert_eq!(plugin(PluginErrorKind::UnsupportedPath, "x"), 404);
        assert_eq!(plugin(PluginErrorKind::PermissionDenied, "x"), 403);
        assert_eq!(plugin(PluginErrorKind::Coded(418), "x"), 418);
        assert_eq!(plugin(PluginErrorKind::Unknown, "boom"), 500);
        assert_eq!(
            plugin(PluginErrorKind::Unknown, "x: permission denied"),
            403
        );
        assert_eq!(plugin(PluginErrorKind::Unknown, "Vault is sealed"), 503);
    }

    #[test]
    fn a_response_that_is_too_large_is_not_the_clients_fault() {
        let error = |what| CallError::TooLarge {
            what,
            bytes: 2,
            limit: 1,
        };
        assert_eq!(of_call(&error("request body")).as_u16(), 413);
        assert_eq!(of_call(&error("response")).as_u16(), 500);
    }
}
