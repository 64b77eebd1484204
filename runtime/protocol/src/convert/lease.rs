//! Durations, times, leases and secrets.

use std::time::Duration;

use palisade_contract::{LeaseOptions, Secret, Timestamp};

use super::{ConvertError, json_from_wire, json_to_wire};
use crate::pb;

/// A duration as the wire's signed nanoseconds; what is too long becomes the longest.
pub fn duration_to_nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

/// A duration from the wire; a negative one is zero.
pub fn duration_from_nanos(nanos: i64) -> Duration {
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))
}

pub(super) fn timestamp_to_wire(timestamp: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: timestamp.seconds,
        nanos: i32::try_from(timestamp.nanos).unwrap_or(0),
    }
}

/// `None` for Go's zero time, which means "not set", and for nanoseconds outside a second.
pub(super) fn timestamp_from_wire(timestamp: Option<prost_types::Timestamp>) -> Option<Timestamp> {
    let wire = timestamp?;
    let nanos = u32::try_from(wire.nanos)
        .ok()
        .filter(|nanos| *nanos < 1_000_000_000)?;
    let timestamp = Timestamp {
        seconds: wire.seconds,
        nanos,
    };
    (timestamp != Timestamp::GO_ZERO).then_some(timestamp)
}

impl From<LeaseOptions> for pb::LeaseOptions {
    fn from(lease: LeaseOptions) -> Self {
        Self {
            ttl: duration_to_nanos(lease.ttl),
            renewable: lease.renewable,
            increment: duration_to_nanos(lease.increment),
            issue_time: Some(timestamp_to_wire(
                lease.issue_time.unwrap_or(Timestamp::GO_ZERO),
            )),
            max_ttl: duration_to_nanos(lease.max_ttl),
        }
    }
}

impl From<pb::LeaseOptions> for LeaseOptions {
    fn from(lease: pb::LeaseOptions) -> Self {
        Self {
            ttl: duration_from_nanos(lease.ttl),
            renewable: lease.renewable,
            increment: duration_from_nanos(lease.increment),
            issue_time: timestamp_from_wire(lease.issue_time),
            max_ttl: duration_from_nanos(lease.max_ttl),
        }
    }
}

impl From<Secret> for pb::Secret {
    fn from(secret: Secret) -> Self {
        Self {
            lease_options: Some(secret.lease.into()),
            internal_data: json_to_wire(secret.internal_data),
            lease_id: secret.lease_id,
        }
    }
}

impl TryFrom<pb::Secret> for Secret {
    type Error = ConvertError;

    fn try_from(secret: pb::Secret) -> Result<Self, ConvertError> {
        Ok(Self {
            lease: secret.lease_options.map(Into::into).unwrap_or_default(),
            internal_data: json_from_wire(secret.internal_data, "secret.internal_data")?,
            lease_id: secret.lease_id,
        })
    }
}
