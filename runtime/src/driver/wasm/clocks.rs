//! What a guest is told of the time: true, and too coarse to measure its neighbours by.

use std::time::{Duration, Instant, SystemTime};

use wasmtime_wasi::clocks::{HostMonotonicClock, HostWallClock};

use super::bindings::palisade::plugin::types as wit;

/// The finest that a guest sees.
const RESOLUTION: Duration = Duration::from_millis(1);

/// A time of the contract, as a guest may know it.
pub(super) fn rounded(mut at: wit::Timestamp) -> wit::Timestamp {
    at.nanos -= at.nanos % RESOLUTION.subsec_nanos();
    at
}

/// A duration, as a guest may know it: never longer than it is.
pub(super) fn rounded_duration(duration: Duration) -> Duration {
    let nanos = duration.subsec_nanos();
    Duration::new(
        duration.as_secs(),
        nanos - nanos % RESOLUTION.subsec_nanos(),
    )
}

/// The time of day for `wasi:clocks`.
pub(super) struct WallClock;

impl HostWallClock for WallClock {
    fn resolution(&self) -> Duration {
        RESOLUTION
    }

    fn now(&self) -> Duration {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        rounded_duration(since.unwrap_or_default())
    }
}

/// The time since a store began, for `wasi:clocks`.
pub(super) struct MonotonicClock {
    begun: Instant,
}

impl MonotonicClock {
    /// A clock that begins now.
    pub(super) fn new() -> Self {
        Self {
            begun: Instant::now(),
        }
    }
}

impl HostMonotonicClock for MonotonicClock {
    fn resolution(&self) -> u64 {
        nanos(RESOLUTION)
    }

    fn now(&self) -> u64 {
        nanos(rounded_duration(self.begun.elapsed()))
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_sees_whole_milliseconds() {
        let long = Duration::new(7, 1_999_999);
        assert_eq!(rounded_duration(long), Duration::new(7, 1_000_000));
        assert_eq!(WallClock.now().subsec_nanos() % 1_000_000, 0);
        assert_eq!(MonotonicClock::new().now() % 1_000_000, 0);
        let at = wit::Timestamp {
            seconds: -7,
            nanos: 1_999_999,
        };
        assert_eq!(rounded(at).nanos, 1_000_000);
    }
}
