//! Spans of time as Go writes and reads them, because clients of OpenBao do.

use std::time::Duration;

const NANOS_PER_SECOND: i128 = 1_000_000_000;

/// Reads a whole number of seconds from `90`, `-1`, `15m`, `1h30m`, `1.5h` or `2d`. Fractions of a second are cut.
pub(super) fn parse_seconds(text: &str) -> Option<i64> {
    let text = text.trim();
    if text.is_empty() {
        return Some(0);
    }
    if let Ok(seconds) = text.parse() {
        return Some(seconds);
    }
    i64::try_from(parse_nanos(text)? / NANOS_PER_SECOND).ok()
}

/// Reads a span of time that is not negative, as [`Field::duration`](crate::Field::duration) does.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let seconds = parse_seconds(text)?;
    u64::try_from(seconds).ok().map(Duration::from_secs)
}

fn parse_nanos(text: &str) -> Option<i128> {
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let (nanos, after) = parse_part(rest)?;
        total = total.checked_add(nanos)?;
        rest = after;
    }
    Some(sign * total)
}

/// Reads one number and its unit, and gives back what follows.
fn parse_part(text: &str) -> Option<(i128, &str)> {
    let number_ends = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, rest) = text.split_at(number_ends);
    let unit_ends = rest
        .find(|c: char| c.is_ascii_digit() || c == '.')
        .unwrap_or(rest.len());
    let (unit, after) = rest.split_at(unit_ends);
    Some((scale(number, unit_nanos(unit)?)?, after))
}

fn unit_nanos(unit: &str) -> Option<i128> {
    Some(match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => NANOS_PER_SECOND,
        "m" => 60 * NANOS_PER_SECOND,
        "h" => 3_600 * NANOS_PER_SECOND,
        "d" => 86_400 * NANOS_PER_SECOND,
        _ => return None,
    })
}

/// A decimal number times `unit`, without floating point. More than twelve decimals are refused.
fn scale(number: &str, unit: i128) -> Option<i128> {
    let (whole, decimals) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && decimals.is_empty() || decimals.len() > 12 {
        return None;
    }
    let digits = |text: &str| match text {
        "" => Some(0_i128),
        text => text.parse::<i64>().ok().map(i128::from),
    };
    let fraction = digits(decimals)?.checked_mul(unit)? / 10_i128.pow(decimals.len() as u32);
    digits(whole)?.checked_mul(unit)?.checked_add(fraction)
}

/// Writes whole seconds as Go's `Duration.String` does: `0s`, `45s`, `1m30s`, `1h0m0s`, `-1s`.
pub fn go_duration(seconds: i64) -> String {
    let sign = if seconds < 0 { "-" } else { "" };
    let total = seconds.unsigned_abs();
    let (hours, minutes, seconds) = (total / 3600, total / 60 % 60, total % 60);
    match (hours, minutes) {
        (0, 0) => format!("{sign}{seconds}s"),
        (0, _) => format!("{sign}{minutes}m{seconds}s"),
        _ => format!("{sign}{hours}h{minutes}m{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_durations_are_read() {
        for (text, expected) in [
            ("", Some(0)),
            ("90", Some(90)),
            ("-1", Some(-1)),
            ("15m", Some(900)),
            ("1h30m", Some(5400)),
            ("1.5h", Some(5400)),
            ("2d", Some(172_800)),
            ("-2h", Some(-7200)),
            ("1500ms", Some(1)),
            ("h", None),
            ("1x", None),
            ("1h30", None),
            (".h", None),
            ("99999999999999999999h", None),
            ("9223372036854775807d", None),
        ] {
            assert_eq!(parse_seconds(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_negative_span_is_no_duration() {
        assert_eq!(parse_duration("-1s"), None);
        assert_eq!(parse_duration("1m"), Some(Duration::from_secs(60)));
    }

    #[test]
    fn seconds_are_written_as_go_writes_them() {
        for (seconds, expected) in [
            (0, "0s"),
            (45, "45s"),
            (90, "1m30s"),
            (3600, "1h0m0s"),
            (90_061, "25h1m1s"),
            (-1, "-1s"),
        ] {
            assert_eq!(go_duration(seconds), expected);
        }
    }
}
