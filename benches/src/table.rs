//! How figures are shown.

use std::time::Duration;

use comfy_table::{Table, presets};
use palisade_demo::sampler::Samples;

/// An empty table with these heads.
pub fn table<const COLUMNS: usize>(heads: [&str; COLUMNS]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header(heads);
    table
}

/// A row: a label, the middle and the slow end in that unit, and a figure of the table's own.
pub fn row(
    label: &str,
    samples: &Samples,
    unit: fn(Duration) -> String,
    own: String,
) -> [String; 4] {
    [
        label.to_owned(),
        unit(samples.p50()),
        unit(samples.p99()),
        own,
    ]
}

/// Microseconds.
pub fn micros(time: Duration) -> String {
    format!("{:.1} µs", time.as_secs_f64() * 1e6)
}

/// Milliseconds.
pub fn millis(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1e3)
}

/// How many times `floor` it is.
pub fn times(time: Duration, floor: Duration) -> String {
    format!("{:.2}", time.as_secs_f64() / floor.as_secs_f64())
}
