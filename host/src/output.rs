//! Prints answers as `bao` does: tables for people, JSON for programs, one field for scripts.

mod table;
mod value;

pub(crate) use table::table;
pub(crate) use value::go_text;

use std::io::{self, Write};

use serde::Serialize;
use serde_json::{Map, Value};

use crate::args::{Format, Output};
use crate::client::Answer;
use crate::config::duration;
use crate::env;

/// Where and how to print.
pub(crate) struct Printer {
    format: Format,
    field: Option<String>,
}

/// Why nothing was printed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PrintError {
    /// Standard output is closed or full.
    #[error("standard output cannot be written: {0}")]
    Io(#[from] io::Error),
    /// The answer has no such field.
    #[error("Field {0:?} not present in secret")]
    NoField(String),
    /// A variable has a value that it cannot have.
    #[error("{0}")]
    Setting(String),
}

impl Printer {
    /// Takes the flags first, then the environment.
    pub(crate) fn new(output: &Output) -> Result<Self, PrintError> {
        Ok(Self {
            format: output.format.map_or_else(format_of_environment, Ok)?,
            field: output.field.clone(),
        })
    }

    /// Whether output is for programs.
    pub(crate) fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Whether just one field is wanted.
    pub(crate) fn field(&self) -> Option<&str> {
        self.field.as_deref()
    }

    /// An answer: its one field, or all of it.
    pub(crate) fn answer(&self, answer: &Answer) -> Result<(), PrintError> {
        if self.field.is_some() {
            return self.one_field(&answer.data());
        }
        if self.is_json() {
            return self.json(answer);
        }
        warn(answer)?;
        match rows(answer) {
            rows if rows.is_empty() => Ok(()),
            rows => self.text(&key_value(rows)),
        }
    }

    /// The one field that is wanted.
    pub(crate) fn one_field(&self, data: &Map<String, Value>) -> Result<(), PrintError> {
        let name = self.field.as_deref().unwrap_or_default();
        let value = data
            .get(name)
            .ok_or_else(|| PrintError::NoField(name.to_owned()))?;
        match value {
            _ if self.is_json() => self.json(value),
            Value::String(text) => self.raw(text),
            Value::Object(_) | Value::Array(_) => self.raw(&value.to_string()),
            _ => self.raw(&go_text(value)),
        }
    }

    /// Names and values as a table, or as JSON.
    pub(crate) fn map(&self, data: &Map<String, Value>) -> Result<(), PrintError> {
        match self.is_json() {
            true => self.json(data),
            false => self.text(&key_value(data_rows(data))),
        }
    }

    /// Any value as JSON.
    pub(crate) fn json(&self, value: &impl Serialize) -> Result<(), PrintError> {
        let text = serde_json::to_string_pretty(value).map_err(io::Error::from)?;
        self.text(&text)
    }

    /// A line or more for people.
    pub(crate) fn text(&self, text: &str) -> Result<(), PrintError> {
        writeln!(io::stdout().lock(), "{text}").map_err(PrintError::from)
    }

    /// A field. A terminal gets an end of line, a pipe gets the bytes alone, as with `bao`.
    fn raw(&self, text: &str) -> Result<(), PrintError> {
        use std::io::IsTerminal;
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        if out.is_terminal() {
            out.write_all(b"\n")?;
        }
        out.flush().map_err(PrintError::from)
    }
}

fn format_of_environment() -> Result<Format, PrintError> {
    match env::either("FORMAT").as_deref() {
        None | Some("table") => Ok(Format::Table),
        Some("json") => Ok(Format::Json),
        Some(other) => Err(PrintError::Setting(format!(
            "Invalid output format: {other}; it is table or json"
        ))),
    }
}

/// Remarks go where they do not disturb a script.
pub(crate) fn warn(answer: &Answer) -> io::Result<()> {
    let warnings = answer.warnings.as_deref().unwrap_or_default();
    if warnings.is_empty() {
        return Ok(());
    }
    let mut err = io::stderr().lock();
    writeln!(
        err,
        "WARNING! The following warnings were returned from the server:\n"
    )?;
    warnings
        .iter()
        .try_for_each(|warning| writeln!(err, "  * {warning}\n"))
}

fn key_value(mut rows: Vec<[String; 2]>) -> String {
    rows.insert(0, ["Key".to_owned(), "Value".to_owned()]);
    table(&rows)
}

fn rows(answer: &Answer) -> Vec<[String; 2]> {
    let mut rows = lease_rows(answer);
    rows.extend(data_rows(&answer.data()));
    rows
}

fn lease_rows(answer: &Answer) -> Vec<[String; 2]> {
    let time = duration::show(answer.lease_duration);
    let row = |key: &str, value: String| [key.to_owned(), value];
    match (answer.lease_duration, answer.lease_id.as_str()) {
        (0, _) => Vec::new(),
        (_, "") => vec![row("refresh_interval", time)],
        (_, id) => vec![
            row("lease_id", id.to_owned()),
            row("lease_duration", time),
            row("lease_renewable", answer.renewable.to_string()),
        ],
    }
}

/// What is named like a time is shown as one.
fn data_rows(data: &Map<String, Value>) -> Vec<[String; 2]> {
    let shown = |key: &String, value: &Value| match value.as_u64() {
        Some(seconds) if looks_like_duration(key) => duration::show(seconds),
        _ => go_text(value),
    };
    data.iter()
        .map(|(key, value)| [key.clone(), shown(key, value)])
        .collect()
}

fn looks_like_duration(key: &str) -> bool {
    let whole = ["period", "ttl", "duration", "lease_max"];
    whole.contains(&key)
        || ["_period", "_ttl", "_duration"]
            .iter()
            .any(|end| key.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn answer(value: Value) -> Answer {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_lease_comes_before_the_data_and_times_are_readable() {
        let rows = rows(&answer(json!({
            "lease_id": "a/b", "lease_duration": 3600, "renewable": true,
            "data": {"value": "x", "max_ttl": 60}
        })));
        let text = key_value(rows);
        assert_eq!(
            text,
            "Key                Value\n---                -----\nlease_id           a/b\n\
             lease_duration     1h\nlease_renewable    true\nmax_ttl            1m\nvalue              x"
        );
    }

    #[test]
    fn a_duration_without_a_lease_is_a_refresh_interval() {
        let rows = rows(&answer(json!({"lease_duration": 2_764_800, "data": {}})));
        assert_eq!(rows, [["refresh_interval".to_owned(), "768h".to_owned()]]);
    }

    #[test]
    fn json_keeps_the_order_of_bao_and_every_digit() {
        let text = r#"{"request_id":"1","lease_id":"","renewable":false,"lease_duration":0,"data":{"n":123456789012345678901234567890},"warnings":null}"#;
        let answer: Answer = serde_json::from_str(text).unwrap();
        let shown = serde_json::to_string(&answer).unwrap();
        assert_eq!(
            shown,
            r#"{"request_id":"1","lease_id":"","lease_duration":0,"renewable":false,"data":{"n":123456789012345678901234567890},"warnings":null}"#
        );
    }
}
