//! Points in time as RFC 3339 text.

use palisade_contract::Timestamp;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

const NANOS_PER_SECOND: i128 = 1_000_000_000;

/// Writes a point in time as Go's `time.RFC3339Nano` does in UTC: as many decimals as needed, and a final `Z`.
///
/// A time outside the years 0 to 9999, which the form cannot express, gives the empty text.
pub fn rfc3339(time: Timestamp) -> String {
    let nanos = i128::from(time.seconds) * NANOS_PER_SECOND + i128::from(time.nanos);
    OffsetDateTime::from_unix_timestamp_nanos(nanos)
        .ok()
        .and_then(|moment| moment.format(&Rfc3339).ok())
        .unwrap_or_default()
}

pub(super) fn parse(text: &str) -> Option<Timestamp> {
    let moment = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    Some(Timestamp {
        seconds: moment.unix_timestamp(),
        nanos: moment.nanosecond(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64, nanos: u32) -> Timestamp {
        Timestamp { seconds, nanos }
    }

    #[test]
    fn times_are_written_as_go_writes_them() {
        let second = 1_700_000_000;
        for (time, expected) in [
            (at(second, 0), "2023-11-14T22:13:20Z"),
            (at(second, 120_000_000), "2023-11-14T22:13:20.12Z"),
            (at(second, 1), "2023-11-14T22:13:20.000000001Z"),
            (Timestamp::GO_ZERO, "0001-01-01T00:00:00Z"),
            (at(i64::MAX, 0), ""),
        ] {
            assert_eq!(rfc3339(time), expected);
        }
    }

    #[test]
    fn a_time_reads_back_in_any_offset() {
        assert_eq!(
            parse("2023-11-14T23:13:20.5+01:00"),
            Some(at(1_700_000_000, 500_000_000))
        );
        assert_eq!(parse("2023-11-14"), None);
    }
}
