//! Says what went otherwise than expected, with both sides.

use palisade_contract::{PluginError, Response};
use palisade_runtime::{CallError, ErrorKind};

/// What a request came to.
pub type Outcome = Result<Option<Response>, CallError>;

/// Takes the error of an outcome that must have this kind.
///
/// # Panics
///
/// With the whole outcome, when it is another.
#[track_caller]
pub fn expect_kind<T: std::fmt::Debug>(
    outcome: Result<T, CallError>,
    kind: ErrorKind,
) -> CallError {
    match outcome {
        Err(error) if error.kind() == kind => error,
        other => panic!("expected {}, found {other:?}", kind.code()),
    }
}

/// Takes the plugin's own error out of an outcome.
///
/// # Panics
///
/// With the whole outcome, when it is another.
#[track_caller]
pub fn expect_plugin_error<T: std::fmt::Debug>(outcome: Result<T, CallError>) -> PluginError {
    match outcome {
        Err(CallError::Plugin(error)) => error,
        other => panic!("expected an error of the plugin's own, found {other:?}"),
    }
}
