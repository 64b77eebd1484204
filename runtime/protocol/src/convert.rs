//! The contract's messages as protobuf, and back.
//!
//! Towards the wire nothing fails: JSON that is absent becomes `null`, because peers parse it unasked, a duration too
//! long for the wire becomes the longest, and a lease without an issue time gets Go's zero time. From the wire, what
//! has no meaning is refused ([`ConvertError`]) and what is merely odd is taken for its harmless neighbour: a negative
//! duration for zero, an invalid time for none.

mod auth;
mod connection;
mod database;
mod error;
mod lease;
mod request;
mod response;
mod special_paths;
mod status;
mod storage;
mod system;

pub use database::{ConfigError, config_from_wire, config_to_wire};
pub use error::plugin_error;
pub use lease::{duration_from_nanos, duration_to_nanos};
pub use request::{existence_from_reply, existence_to_reply};
pub use response::{response_from_reply, response_to_reply};
pub use status::{host_error_from_status, is_unimplemented, text_to_result};

use palisade_contract::{Headers, Json, UnknownOperation};

use crate::pb;

/// Why a message from a peer has no meaning.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConvertError {
    /// A word that names no operation.
    #[error(transparent)]
    Operation(#[from] UnknownOperation),
    /// A message without a part that it cannot do without.
    #[error("the message has no {0}")]
    Missing(&'static str),
    /// JSON text must be there; `null` says that there is no data.
    #[error("{0} is empty, where JSON text or null is expected")]
    EmptyJson(&'static str),
}

/// JSON text for the wire, which must not be empty.
fn json_to_wire(json: Json) -> String {
    let text = json.into_string();
    if text.is_empty() {
        Json::null().into_string()
    } else {
        text
    }
}

fn json_from_wire(text: String, field: &'static str) -> Result<Json, ConvertError> {
    if text.is_empty() {
        return Err(ConvertError::EmptyJson(field));
    }
    Ok(Json::from_text(text))
}

fn headers_to_wire(headers: Headers) -> std::collections::BTreeMap<String, pb::Header> {
    headers
        .into_iter()
        .map(|(name, header)| (name, pb::Header { header }))
        .collect()
}

fn headers_from_wire(headers: std::collections::BTreeMap<String, pb::Header>) -> Headers {
    headers
        .into_iter()
        .map(|(name, values)| (name, values.header))
        .collect()
}

#[cfg(test)]
mod tests;
