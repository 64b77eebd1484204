//! Errors of plugins. Their text crosses unchanged, because hosts match on it.

use palisade_contract::{PluginError, PluginErrorKind};

use super::ConvertError;
use crate::pb;

impl From<PluginError> for pb::ProtoError {
    fn from(error: PluginError) -> Self {
        let (err_type, err_code) = error.kind.to_wire();
        Self {
            err_type,
            err_msg: error.message,
            err_code,
        }
    }
}

impl From<pb::ProtoError> for PluginError {
    fn from(error: pb::ProtoError) -> Self {
        Self {
            kind: PluginErrorKind::from_wire(error.err_type, error.err_code),
            message: error.err_msg,
        }
    }
}

impl From<ConvertError> for PluginError {
    /// A request without a meaning is its sender's fault. An operation of a newer host is one that nobody here does.
    fn from(error: ConvertError) -> Self {
        match error {
            ConvertError::Operation(_) => Self::unsupported_operation(),
            other => Self::invalid_request(other.to_string()),
        }
    }
}

/// The error field of a reply as a result.
///
/// # Errors
///
/// What the plugin returned.
pub fn plugin_error(error: Option<pb::ProtoError>) -> Result<(), PluginError> {
    match error {
        Some(error) => Err(error.into()),
        None => Ok(()),
    }
}
