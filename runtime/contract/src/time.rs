//! A point in time, as the wire carries it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Seconds and nanoseconds since the Unix epoch; the same shape as `google.protobuf.Timestamp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    /// Whole seconds, negative before 1970.
    pub seconds: i64,
    /// Nanoseconds on top, always below 1,000,000,000.
    pub nanos: u32,
}

impl Timestamp {
    /// Go's zero time, `0001-01-01T00:00:00Z`, with which OpenBao's SDK says "not set".
    pub const GO_ZERO: Self = Self {
        seconds: -62_135_596_800,
        nanos: 0,
    };

    /// The moment that lies `duration` later; the last representable one where that overflows.
    pub fn saturating_add(self, duration: Duration) -> Self {
        let nanos = self.nanos + duration.subsec_nanos();
        let (carry, nanos) = (i64::from(nanos / 1_000_000_000), nanos % 1_000_000_000);
        let seconds = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
        Self {
            seconds: self.seconds.saturating_add(seconds).saturating_add(carry),
            nanos,
        }
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        match time.duration_since(UNIX_EPOCH) {
            Ok(after) => Self {
                seconds: i64::try_from(after.as_secs()).unwrap_or(i64::MAX),
                nanos: after.subsec_nanos(),
            },
            Err(before) => before_epoch(before.duration()),
        }
    }
}

fn before_epoch(distance: Duration) -> Timestamp {
    let seconds = -i64::try_from(distance.as_secs()).unwrap_or(i64::MAX);
    match distance.subsec_nanos() {
        0 => Timestamp { seconds, nanos: 0 },
        nanos => Timestamp {
            seconds: seconds - 1,
            nanos: 1_000_000_000 - nanos,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_carry_in_nanoseconds_reaches_the_seconds() {
        let late = Timestamp {
            seconds: 1,
            nanos: 999_999_999,
        };
        assert_eq!(
            late.saturating_add(Duration::new(1, 2)),
            Timestamp {
                seconds: 3,
                nanos: 1
            }
        );
    }

    #[test]
    fn a_moment_before_the_epoch_counts_forward_in_nanoseconds() {
        let time = UNIX_EPOCH - Duration::new(1, 250_000_000);
        assert_eq!(
            Timestamp::from(time),
            Timestamp {
                seconds: -2,
                nanos: 750_000_000
            }
        );
    }
}
