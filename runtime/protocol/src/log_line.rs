//! One line of a plugin's standard error: hclog's JSON, a line with a level in brackets, or anything else.
//!
//! The bytes are untrusted. A line is clipped, its control characters are escaped, and none is lost in silence or makes
//! anybody panic.

use palisade_contract::{LogLevel, LogRecord};
use serde_json::{Map, Value};

/// The longest line that is parsed; what is longer is kept as text, clipped.
pub const LINE_BYTES_MAX: usize = 64 * 1024;
/// The longest message or value that is kept, in bytes.
pub const TEXT_BYTES_MAX: usize = 16 * 1024;
/// The longest name of a field that is kept, in bytes.
const NAME_BYTES_MAX: usize = 256;
/// The most fields that are kept.
pub const FIELDS_MAX: usize = 64;

const MESSAGE: &str = "@message";
const LEVEL: &str = "@level";
const TIMESTAMP: &str = "@timestamp";

/// A line, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// How much it matters.
    pub level: LogLevel,
    /// The text.
    pub message: String,
    /// Named details, in the order of their names. A value that is no string is JSON text.
    pub fields: Vec<(String, String)>,
}

/// Reads the lines of one process in their order.
///
/// The order matters: after the first line of a Go panic every line without a level is part of it, and an error.
#[derive(Debug, Default)]
pub struct LogReader {
    panicking: bool,
}

impl LogReader {
    /// Reads one line, with or without its line break.
    pub fn read(&mut self, line: &[u8]) -> LogLine {
        let line = line.trim_ascii_end();
        if line.len() <= LINE_BYTES_MAX
            && let Some(parsed) = structured(line)
        {
            return parsed;
        }
        self.plain(&clipped(line))
    }

    fn plain(&mut self, text: &str) -> LogLine {
        if let Some((level, rest)) = tagged(text) {
            return LogLine::of(level, rest);
        }
        if starts_panic(text) {
            self.panicking = true;
        }
        let level = if self.panicking {
            LogLevel::Error
        } else {
            LogLevel::Debug
        };
        LogLine::of(level, text)
    }
}

impl LogLine {
    fn of(level: LogLevel, message: &str) -> Self {
        Self {
            level,
            message: escape(message, TEXT_BYTES_MAX),
            fields: Vec::new(),
        }
    }
}

/// Where Go's runtime begins to say why a process dies, and where Rust's does.
fn starts_panic(text: &str) -> bool {
    text.starts_with("panic: ")
        || text.starts_with("fatal error: ")
        || (text.starts_with("thread '") && text.contains("' panicked at "))
        || (text.starts_with("thread '") && text.contains(") panicked at "))
}

fn tagged(text: &str) -> Option<(LogLevel, &str)> {
    let (word, rest) = text.strip_prefix('[')?.split_once(']')?;
    let level = match word {
        "TRACE" => LogLevel::Trace,
        "DEBUG" => LogLevel::Debug,
        "INFO" => LogLevel::Info,
        "WARN" => LogLevel::Warn,
        "ERROR" => LogLevel::Error,
        _ => return None,
    };
    Some((level, rest.trim_start()))
}

/// `None` for whatever is not an object with a known level.
fn structured(line: &[u8]) -> Option<LogLine> {
    if line.first() != Some(&b'{') {
        return None;
    }
    let mut object: Map<String, Value> = serde_json::from_slice(line).ok()?;
    let level = level_of(object.remove(LEVEL)?.as_str()?)?;
    let message = match object.remove(MESSAGE) {
        Some(Value::String(text)) => text,
        Some(other) => other.to_string(),
        None => String::new(),
    };
    // The host's own log has the time; one that a plugin states is not believed.
    object.remove(TIMESTAMP);
    Some(LogLine {
        level,
        message: escape(&message, TEXT_BYTES_MAX),
        fields: object.into_iter().take(FIELDS_MAX).map(field).collect(),
    })
}

fn level_of(word: &str) -> Option<LogLevel> {
    match word.trim().to_ascii_lowercase().as_str() {
        "trace" => Some(LogLevel::Trace),
        "debug" => Some(LogLevel::Debug),
        "info" => Some(LogLevel::Info),
        "warn" => Some(LogLevel::Warn),
        "error" => Some(LogLevel::Error),
        _ => None,
    }
}

fn field((name, value): (String, Value)) -> (String, String) {
    let value = match value {
        Value::String(text) => text,
        other => other.to_string(),
    };
    let name = name.strip_prefix('@').unwrap_or(&name);
    (escape(name, NAME_BYTES_MAX), escape(&value, TEXT_BYTES_MAX))
}

/// The start of a line as text.
fn clipped(line: &[u8]) -> String {
    let kept = &line[..line.len().min(LINE_BYTES_MAX)];
    String::from_utf8_lossy(kept).into_owned()
}

/// Control characters written out, except the tab, so that a line stays a line and a terminal stays as it is; at most
/// `limit` bytes and a mark where it was cut.
fn escape(text: &str, limit: usize) -> String {
    let mut out = String::with_capacity(text.len().min(limit));
    for character in text.chars() {
        if out.len() >= limit {
            out.push('…');
            break;
        }
        match character {
            '\t' => out.push('\t'),
            control if control.is_control() || is_bidirectional(control) => {
                out.extend(control.escape_default());
            }
            other => out.push(other),
        }
    }
    out
}

/// Marks that make text read in another order than it is written.
fn is_bidirectional(character: char) -> bool {
    matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Writes a record as the JSON line that go-plugin's hosts read, without its line break.
///
/// `timestamp` has exactly six digits after the second: with any other number a Go host takes the line for plain text.
/// The line stays under [`LINE_BYTES_MAX`]; a record too long for it loses fields, then the end of its message.
pub fn write(record: LogRecord<'_>, module: &str, timestamp: &str) -> String {
    let mut object = Map::new();
    object.insert(LEVEL.to_owned(), record.level.as_str().into());
    object.insert("@module".to_owned(), module.into());
    object.insert(TIMESTAMP.to_owned(), timestamp.into());
    for (name, value) in record.fields.iter().take(FIELDS_MAX) {
        object.insert(unreserved(name), cut(value, TEXT_BYTES_MAX).into());
    }
    object.insert(
        MESSAGE.to_owned(),
        cut(record.message, TEXT_BYTES_MAX).into(),
    );
    let line = Value::Object(object).to_string();
    if line.len() < LINE_BYTES_MAX {
        return line;
    }
    let shorter = LogRecord {
        message: cut(record.message, LINE_BYTES_MAX / 16),
        fields: &[],
        ..record
    };
    write(shorter, cut(module, NAME_BYTES_MAX), timestamp)
}

/// A name that cannot be taken for one of hclog's own.
fn unreserved(name: &str) -> String {
    cut(name.trim_start_matches('@'), NAME_BYTES_MAX).to_owned()
}

fn cut(text: &str, limit: usize) -> &str {
    &text[..text.floor_char_boundary(limit)]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(line: &[u8]) -> LogLine {
        LogReader::default().read(line)
    }

    #[test]
    fn an_hclog_line_gives_level_message_and_fields() {
        let line = br#"{"@level":"WARN ","@message":"slow","@module":"kv","@timestamp":"2026-01-01T00:00:00.000000Z","ms":12.50,"who":"a"}"#;
        assert_eq!(
            read(line),
            LogLine {
                level: LogLevel::Warn,
                message: "slow".to_owned(),
                fields: vec![
                    ("module".to_owned(), "kv".to_owned()),
                    ("ms".to_owned(), "12.50".to_owned()),
                    ("who".to_owned(), "a".to_owned()),
                ],
            }
        );
    }

    #[test]
    fn a_level_in_brackets_counts_at_the_start_only() {
        assert_eq!(read(b"[WARN] slow"), LogLine::of(LogLevel::Warn, "slow"));
        assert_eq!(read(b"so [WARN] slow").level, LogLevel::Debug);
        assert_eq!(read(b"[warn] slow").level, LogLevel::Debug);
    }

    #[test]
    fn after_the_first_line_of_a_panic_untagged_lines_are_errors() {
        for first in [
            "panic: oh",
            "fatal error: oh",
            "thread 'main' panicked at src/main.rs:1:2:",
            "thread 'main' (123) panicked at src/main.rs:1:2:",
        ] {
            let mut reader = LogReader::default();
            assert_eq!(reader.read(b"before").level, LogLevel::Debug);
            assert_eq!(reader.read(first.as_bytes()).level, LogLevel::Error);
            assert_eq!(reader.read(b"goroutine 1").level, LogLevel::Error);
            assert_eq!(reader.read(b"[INFO] still here").level, LogLevel::Info);
        }
    }

    #[test]
    fn what_is_not_an_object_with_a_level_is_plain_text() {
        for line in [
            "[1,2]",
            "12",
            "{}",
            r#"{"@level":7,"@message":"a"}"#,
            r#"{"@level":"fatal","@message":"a"}"#,
            r#"{"@level":"info""#,
        ] {
            let parsed = read(line.as_bytes());
            assert_eq!(
                (parsed.level, parsed.message.as_str()),
                (LogLevel::Debug, line)
            );
        }
    }

    #[test]
    fn a_message_that_is_no_string_is_kept_as_json() {
        let parsed = read(br#"{"@level":"info","@message":{"a":1}}"#);
        assert_eq!(parsed.message, r#"{"a":1}"#);
    }

    #[test]
    fn control_characters_are_written_out() {
        let parsed = read(br#"{"@level":"info","@message":"a\nb\u001b[2J","k\u0000":"\u202e"}"#);
        assert_eq!(parsed.message, r"a\nb\u{1b}[2J");
        assert_eq!(
            parsed.fields,
            [(r"k\u{0}".to_owned(), r"\u{202e}".to_owned())]
        );
    }

    #[test]
    fn a_line_of_a_mebibyte_is_clipped_and_not_lost() {
        let parsed = read(&vec![b'x'; 1 << 20]);
        assert!(parsed.message.len() <= TEXT_BYTES_MAX + '…'.len_utf8());
        assert!(parsed.message.starts_with("xxx"));
        let json = format!(
            r#"{{"@level":"error","@message":"{}"}}"#,
            "x".repeat(1 << 20)
        );
        assert_eq!(read(json.as_bytes()).level, LogLevel::Debug);
    }

    #[test]
    fn deep_nesting_is_plain_text() {
        let line = r#"{"@level":"info","a":"#.to_owned() + &"[".repeat(50_000);
        assert_eq!(read(line.as_bytes()).level, LogLevel::Debug);
    }

    #[test]
    fn what_a_plugin_writes_its_host_reads() {
        let record = LogRecord {
            level: LogLevel::Info,
            message: "two\nlines",
            fields: &[("@level", "x"), ("key", "va\"lue")],
        };
        let line = write(record, "kv", "2026-01-01T00:00:00.000000Z");
        assert!(!line.contains('\n'));
        let parsed = read(line.as_bytes());
        assert_eq!(
            (parsed.level, parsed.message.as_str()),
            (LogLevel::Info, r"two\nlines")
        );
        assert!(
            parsed
                .fields
                .contains(&("key".to_owned(), "va\"lue".to_owned()))
        );
        assert!(
            parsed
                .fields
                .contains(&("level".to_owned(), "x".to_owned()))
        );
    }

    #[test]
    fn a_written_line_stays_under_the_limit() {
        let long = "\u{1}".repeat(TEXT_BYTES_MAX * 2);
        let fields = [("a", long.as_str()), ("b", &long), ("c", &long)];
        let record = LogRecord {
            level: LogLevel::Info,
            message: &long,
            fields: &fields,
        };
        let line = write(record, "kv", "2026-01-01T00:00:00.000000Z");
        assert!(line.len() < LINE_BYTES_MAX);
        assert_eq!(read(line.as_bytes()).level, LogLevel::Info);
    }

    proptest! {
        #[test]
        fn any_bytes_become_one_bounded_line(line in prop::collection::vec(any::<u8>(), 0..400)) {
            let parsed = read(&line);
            prop_assert!(!parsed.message.contains('\n'));
            prop_assert!(parsed.message.len() <= 12 * 400);
        }

        #[test]
        fn any_record_reads_back_at_its_level(message: String, name: String, value: String) {
            let record = LogRecord { level: LogLevel::Error, message: &message, fields: &[(&name, &value)] };
            let line = write(record, "m", "2026-01-01T00:00:00.000000Z");
            prop_assert_eq!(read(line.as_bytes()).level, LogLevel::Error);
        }
    }
}
