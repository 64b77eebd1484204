//! The plugin's own log: hclog's JSON, one line each on standard error, which go-plugin's hosts read.
//!
//! A host that is gone must not make the plugin panic: a failed write is ignored.

use std::fmt::Display;
use std::io::{self, Write as _};
use std::panic::{self, PanicHookInfo};
use std::path::PathBuf;
use std::sync::OnceLock;

use palisade_contract::{LogLevel, LogRecord};
use palisade_protocol::log_line;
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

/// Six digits, or a Go host takes the whole line for plain text.
const TIMESTAMP: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");

/// Writes one record.
pub(crate) fn write(record: LogRecord<'_>) {
    let timestamp = OffsetDateTime::now_utc()
        .format(TIMESTAMP)
        .unwrap_or_default();
    let mut line = log_line::write(record, module(), &timestamp);
    line.push('\n');
    let _ = io::stderr().lock().write_all(line.as_bytes());
}

/// Writes a warning of the shim itself.
pub(crate) fn warn(message: &str) {
    of_the_shim(LogLevel::Warn, message);
}

/// Writes a detail of the shim itself.
pub(crate) fn debug(message: &str) {
    of_the_shim(LogLevel::Debug, message);
}

fn of_the_shim(level: LogLevel, message: &str) {
    write(LogRecord {
        level,
        message,
        fields: &[],
    });
}

/// Says in plain text why the plugin does not serve: there may be no host to read JSON.
pub(crate) fn complain(fault: &dyn Display) {
    let _ = writeln!(io::stderr().lock(), "{fault}");
}

/// The executable's name, as hclog's module.
fn module() -> &'static str {
    static NAME: OnceLock<String> = OnceLock::new();
    NAME.get_or_init(|| {
        let path = std::env::args_os().next().map(PathBuf::from);
        path.as_deref()
            .and_then(|path| path.file_name())
            .map_or_else(
                || "plugin".to_owned(),
                |name| name.to_string_lossy().into_owned(),
            )
    })
}

/// Rust's own text of a panic is several plain lines, which hosts show at debug level. This makes it one error.
pub(crate) fn install_panic_hook() {
    panic::set_hook(Box::new(log_panic));
}

fn log_panic(info: &PanicHookInfo<'_>) {
    let place = info.location().map(ToString::to_string).unwrap_or_default();
    write(LogRecord {
        level: LogLevel::Error,
        message: &format!("panic: {}", payload(info)),
        fields: &[("at", &place)],
    });
}

fn payload<'a>(info: &'a PanicHookInfo<'_>) -> &'a str {
    info.payload_as_str()
        .unwrap_or("with a value that is no text")
}
