//! How calls to the host fail: a text in the reply, or the call itself.

use palisade_contract::HostError;
use tonic::{Code, Status};

/// The `err` field of a reply as a result; an empty one is none.
///
/// # Errors
///
/// The host's text, with the kind that it is known by.
pub fn text_to_result(err: String) -> Result<(), HostError> {
    if err.is_empty() {
        Ok(())
    } else {
        Err(HostError::from_wire(err))
    }
}

/// A failed call as a host's error. The text stays as it is; where a host gave none, the code says what happened.
pub fn host_error_from_status(status: &Status) -> HostError {
    if status.message().is_empty() {
        return HostError::other(status.code().description());
    }
    HostError::from_wire(status.message())
}

/// Whether the host does not know the call. Vault's storage has no pages and no transactions.
pub fn is_unimplemented(status: &Status) -> bool {
    status.code() == Code::Unimplemented
}
