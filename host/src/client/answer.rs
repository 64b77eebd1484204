//! An answer in OpenBao's envelope.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What a server said; the order of the fields is that of `bao`'s JSON output.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Answer {
    pub(crate) request_id: String,
    pub(crate) lease_id: String,
    pub(crate) lease_duration: u64,
    pub(crate) renewable: bool,
    pub(crate) data: Option<Map<String, Value>>,
    pub(crate) warnings: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) auth: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) wrap_info: Option<Value>,
}

impl Answer {
    /// Whether there is data or a warning.
    pub(crate) fn says_something(&self) -> bool {
        self.data.as_ref().is_some_and(|data| !data.is_empty())
            || self
                .warnings
                .as_ref()
                .is_some_and(|warnings| !warnings.is_empty())
    }

    /// The data; empty when there is none.
    pub(crate) fn data(&self) -> Map<String, Value> {
        self.data.clone().unwrap_or_default()
    }

    /// The names of a listing.
    pub(crate) fn keys(&self) -> Vec<String> {
        let keys = self.data.as_ref().and_then(|data| data.get("keys"));
        let keys = keys.and_then(Value::as_array).cloned().unwrap_or_default();
        keys.iter()
            .filter_map(|key| key.as_str().map(str::to_owned))
            .collect()
    }
}
