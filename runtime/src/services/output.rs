//! What a plugin prints, or logs outside of any request: into the bounded log, whoever it is and whatever bytes it has.

use std::sync::Arc;
use std::time::Instant;

use palisade_contract::{LogLevel, LogRecord};

use super::log::{self, RateBudget, RequestBudget, Taken};
use crate::Limits;

/// The server's log as one plugin reaches it, under its name and within its limit.
pub struct PluginLog {
    label: String,
    accessor: String,
    budget: RateBudget,
}

impl PluginLog {
    /// A log for the entry and the mount of these names; a plugin without a mount has no accessor.
    pub fn new(label: &str, accessor: &str, bytes_per_second: u64) -> Arc<Self> {
        Arc::new(Self {
            label: label.to_owned(),
            accessor: accessor.to_owned(),
            budget: RateBudget::new(bytes_per_second),
        })
    }

    /// Takes over what the limits of the mount's entry say of the log. Another registration, or a reload into another
    /// version, may have other ones; requests that have begun keep what they began with.
    pub fn apply(&self, limits: &Limits) {
        self.budget.set(limits.log_bytes);
    }

    /// Takes a line of the plugin's own output (stdout or stderr), whatever bytes it has.
    pub fn output(&self, stream: &'static str, line: &[u8]) {
        self.try_output(stream, line);
    }

    /// The same, which says whether there was room for the line.
    pub(crate) fn try_output(&self, stream: &'static str, line: &[u8]) -> bool {
        self.try_log(LogRecord {
            level: LogLevel::Info,
            message: &String::from_utf8_lossy(line),
            fields: &[("stream", stream)],
        })
    }

    /// Takes a line that a process logs, outside of any request.
    pub fn log(&self, record: LogRecord<'_>) {
        self.try_log(record);
    }

    fn try_log(&self, record: LogRecord<'_>) -> bool {
        let taken = self.budget.take(log::size(record), Instant::now());
        let Taken::Yes { dropped } = taken else {
            return false;
        };
        self.note_dropped(dropped);
        log::emit(&self.label, &self.accessor, record);
        true
    }

    /// The entry's name and version.
    pub(super) fn label(&self) -> &str {
        &self.label
    }

    /// What a request, or a second, may log.
    pub(crate) fn bytes_max(&self) -> u64 {
        self.budget.bytes_per_second()
    }

    pub(super) fn log_within(&self, budget: &RequestBudget, record: LogRecord<'_>) {
        if budget.take(log::size(record)) {
            log::emit(&self.label, &self.accessor, record);
        }
    }

    /// How many lines found no room since this was last asked.
    #[cfg(test)]
    pub(crate) fn take_dropped(&self) -> u64 {
        self.budget.take_dropped()
    }

    pub(super) fn note_dropped(&self, lines: u64) {
        log::emit_dropped(&self.label, &self.accessor, lines);
    }
}

impl Drop for PluginLog {
    fn drop(&mut self) {
        self.note_dropped(self.budget.take_dropped());
    }
}
