//! What a plugin logs or prints: escaped, clipped and bounded before it reaches the server's log.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use palisade_contract::{LogLevel, LogRecord};

/// A line's longest form in the log, in bytes before escaping.
const LINE_BYTES_MAX: usize = 8 << 10;

/// What a line counts for besides its bytes: about what the server's log adds to it. Without it, empty lines were free.
pub(super) const LINE_COST: u64 = 128;

/// Writes one line. Every part of it that the plugin said is escaped; the label and accessor are the host's.
pub(super) fn emit(label: &str, accessor: &str, record: LogRecord<'_>) {
    // The level of an event is part of its place in the code, so each has its own.
    macro_rules! event {
        ($level:ident) => {
            tracing::event!(target: "palisade::plugin", tracing::Level::$level, plugin = label, accessor, "{}", line(record))
        };
    }
    match record.level {
        LogLevel::Trace => event!(TRACE),
        LogLevel::Debug => event!(DEBUG),
        LogLevel::Info => event!(INFO),
        LogLevel::Warn => event!(WARN),
        LogLevel::Error => event!(ERROR),
    }
}

/// Says once that lines were dropped.
pub(super) fn emit_dropped(label: &str, accessor: &str, lines: u64) {
    if lines > 0 {
        tracing::warn!(
            target: "palisade::plugin",
            plugin = label,
            accessor,
            "dropped {lines} lines over the plugin's limit `log_bytes`"
        );
    }
}

/// How many bytes a record counts for: its own, as far as they are written, and a fixed cost.
pub(super) fn size(record: LogRecord<'_>) -> u64 {
    let fields = record
        .fields
        .iter()
        .map(|(name, value)| name.len() + value.len() + 2);
    let bytes = record.message.len() + fields.sum::<usize>();
    bytes.min(LINE_BYTES_MAX) as u64 + LINE_COST
}

fn line(record: LogRecord<'_>) -> String {
    let mut line = Line::default();
    line.add(record.message);
    for (name, value) in record.fields {
        line.add(" ");
        line.add(name);
        line.add("=");
        line.add(value);
    }
    line.finish()
}

/// A line as it grows: what does not fit is left away, once with a mark.
#[derive(Default)]
struct Line {
    text: String,
    bytes: usize,
    clipped: bool,
}

impl Line {
    fn add(&mut self, part: &str) {
        for character in part.chars() {
            if self.bytes + character.len_utf8() > LINE_BYTES_MAX {
                self.clipped = true;
                return;
            }
            self.bytes += character.len_utf8();
            if is_hidden(character) {
                // Writing to a string cannot fail.
                let _ = write!(self.text, "{}", character.escape_default());
            } else {
                self.text.push(character);
            }
        }
    }

    fn finish(mut self) -> String {
        if self.clipped {
            self.text.push('…');
        }
        self.text
    }
}

/// Whether a character could forge a line, colour a terminal or turn the direction of the text.
fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// What one request may still log.
pub(super) struct RequestBudget {
    left: AtomicU64,
    dropped: AtomicU64,
}

impl RequestBudget {
    pub(super) fn new(bytes: u64) -> Self {
        Self {
            left: AtomicU64::new(bytes),
            dropped: AtomicU64::new(0),
        }
    }

    /// Whether there is room for `bytes`, which are then used up.
    pub(super) fn take(&self, bytes: u64) -> bool {
        let taken = self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(bytes)
            });
        if taken.is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        taken.is_ok()
    }

    /// How many lines found no room.
    pub(super) fn take_dropped(&self) -> u64 {
        self.dropped.swap(0, Ordering::Relaxed)
    }
}

/// What a process may log per second.
pub(super) struct RateBudget {
    bytes_per_second: AtomicU64,
    window: Mutex<Window>,
}

struct Window {
    since: Instant,
    left: u64,
    dropped: u64,
}

/// What became of a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// It may be written. `dropped` lines before it were not, which nobody has said yet.
    Yes {
        /// How many.
        dropped: u64,
    },
    /// There is no room this second.
    No,
}

impl RateBudget {
    pub(super) fn new(bytes_per_second: u64) -> Self {
        Self {
            bytes_per_second: AtomicU64::new(bytes_per_second),
            window: Mutex::new(Window {
                since: Instant::now(),
                left: bytes_per_second,
                dropped: 0,
            }),
        }
    }

    /// How many bytes a second has.
    pub(super) fn bytes_per_second(&self) -> u64 {
        self.bytes_per_second.load(Ordering::Relaxed)
    }

    /// Changes what a second has. The one that has begun ends no richer than the new limit.
    pub(super) fn set(&self, bytes_per_second: u64) {
        self.bytes_per_second
            .store(bytes_per_second, Ordering::Relaxed);
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        window.left = window.left.min(bytes_per_second);
    }

    pub(super) fn take(&self, bytes: u64, now: Instant) -> Taken {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        if now.saturating_duration_since(window.since) >= Duration::from_secs(1) {
            window.since = now;
            window.left = self.bytes_per_second();
        }
        match window.left.checked_sub(bytes) {
            Some(left) => {
                window.left = left;
                let dropped = std::mem::take(&mut window.dropped);
                Taken::Yes { dropped }
            }
            None => {
                window.dropped += 1;
                Taken::No
            }
        }
    }

    pub(super) fn take_dropped(&self) -> u64 {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut window.dropped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record<'a>(message: &'a str, fields: &'a [(&'a str, &'a str)]) -> LogRecord<'a> {
        LogRecord {
            level: LogLevel::Info,
            message,
            fields,
        }
    }

    #[test]
    fn a_line_cannot_forge_another_or_colour_a_terminal() {
        let text = line(record("a\nERROR b\u{1b}[31m\u{202e}", &[("k\r", "v")]));
        assert_eq!(text, r"a\nERROR b\u{1b}[31m\u{202e} k\r=v");
    }

    #[test]
    fn a_long_line_is_clipped_with_a_mark() {
        let text = line(record(&"é".repeat(LINE_BYTES_MAX), &[("k", "v")]));
        assert_eq!(text.len(), LINE_BYTES_MAX + '…'.len_utf8());
        assert!(text.ends_with('…'));
    }

    #[test]
    fn empty_lines_use_up_the_budget_too() {
        const LINES: u64 = 10;
        let cost = size(record("", &[]));
        let request = RequestBudget::new(LINES * LINE_COST);
        let written = (0..1000).filter(|_| request.take(cost)).count();
        assert_eq!(written as u64, LINES);
        let (rate, now) = (RateBudget::new(LINES * LINE_COST), Instant::now());
        let written = (0..1000).filter(|_| rate.take(cost, now) != Taken::No);
        assert_eq!(written.count() as u64, LINES);
    }

    #[test]
    fn a_smaller_limit_holds_at_once() {
        let (budget, now) = (RateBudget::new(1000), Instant::now());
        budget.set(0);
        assert_eq!(budget.take(LINE_COST, now), Taken::No);
        budget.set(1000);
        let later = now + Duration::from_secs(2);
        assert_eq!(budget.take(LINE_COST, later), Taken::Yes { dropped: 1 });
    }

    #[test]
    fn a_request_logs_no_more_than_its_budget() {
        let budget = RequestBudget::new(10);
        assert!(budget.take(6));
        assert!(!budget.take(6));
        assert!(budget.take(4));
        assert_eq!(budget.take_dropped(), 1);
    }

    #[test]
    fn a_process_gets_a_new_budget_each_second_and_a_note_of_what_was_dropped() {
        let budget = RateBudget::new(10);
        let start = Instant::now();
        assert_eq!(budget.take(8, start), Taken::Yes { dropped: 0 });
        assert_eq!(budget.take(8, start), Taken::No);
        assert_eq!(budget.take(8, start), Taken::No);
        let later = start + Duration::from_millis(1100);
        assert_eq!(budget.take(8, later), Taken::Yes { dropped: 2 });
        assert_eq!(budget.take_dropped(), 0);
    }
}
