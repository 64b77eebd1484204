//! Durations as Go and OpenBao write them: `768h`, `1h30m`, `1.5s`, `250ms`, or plain seconds.

use std::time::Duration;

const UNITS: [(&str, f64); 7] = [
    ("ns", 1e-9),
    ("us", 1e-6),
    ("µs", 1e-6),
    ("ms", 1e-3),
    ("h", 3600.0),
    ("m", 60.0),
    ("s", 1.0),
];

/// A day, which Go does not know and OpenBao does.
const DAY: (&str, f64) = ("d", 86_400.0);

/// Reads a duration.
///
/// # Errors
///
/// What is not understood, and an example.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let trimmed = text.trim();
    let seconds = match trimmed.parse::<u64>() {
        Ok(seconds) => return Ok(Duration::from_secs(seconds)),
        Err(_) => sum(trimmed),
    };
    seconds
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| format!("{text:?} is not a duration, such as 30s, 1h30m or 3600"))
}

fn sum(mut rest: &str) -> Option<f64> {
    if rest.is_empty() {
        return None;
    }
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest.get(..digits)?.parse().ok()?;
        rest = rest.get(digits..)?;
        let (unit, factor) = UNITS
            .iter()
            .chain([&DAY])
            .find(|(unit, _)| rest.starts_with(unit))?;
        total += number * factor;
        rest = rest.get(unit.len()..)?;
    }
    Some(total)
}

/// Writes whole seconds as `bao` prints lease times: `768h`, `1h30m`, `45s`.
pub(crate) fn show(seconds: u64) -> String {
    let parts = [
        (seconds / 3600, "h"),
        (seconds / 60 % 60, "m"),
        (seconds % 60, "s"),
    ];
    let shown: String = parts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, unit)| format!("{count}{unit}"))
        .collect();
    if shown.is_empty() {
        "0s".to_owned()
    } else {
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_reads_them() {
        let cases = [
            ("768h", 768.0 * 3600.0),
            ("1h30m", 5400.0),
            ("1.5s", 1.5),
            ("250ms", 0.25),
            ("1d", 86_400.0),
            ("3600", 3600.0),
            ("0s", 0.0),
        ];
        for (text, seconds) in cases {
            assert_eq!(parse(text), Ok(Duration::from_secs_f64(seconds)), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused_with_an_example() {
        for text in ["", "h", "1x", "-1s", "1h 30m", "1e999h", "."] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse("soon").unwrap_err().contains("30s"));
    }

    #[test]
    fn whole_hours_are_shown_without_minutes() {
        assert_eq!(show(2_764_800), "768h");
        assert_eq!(show(5445), "1h30m45s");
        assert_eq!(show(0), "0s");
    }
}
