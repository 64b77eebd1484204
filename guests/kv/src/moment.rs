//! A point in time as the store keeps it and as clients see it.

use palisade_plugin::{Timestamp, rfc3339};
use serde::{Deserialize, Serialize};

/// Seconds and nanoseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Moment(i64, u32);

impl From<Timestamp> for Moment {
    fn from(time: Timestamp) -> Self {
        Self(time.seconds, time.nanos)
    }
}

impl From<Moment> for Timestamp {
    fn from(moment: Moment) -> Self {
        Self {
            seconds: moment.0,
            nanos: moment.1,
        }
    }
}

/// The text that clients see: RFC 3339 in UTC, and the empty text for "never".
pub(crate) fn shown(moment: Option<Moment>) -> String {
    moment.map_or_else(String::new, |moment| rfc3339(moment.into()))
}
