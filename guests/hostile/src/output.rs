//! Saying too much, or the wrong thing.

use std::io::Write;

use palisade_plugin::{
    Answer, Call, Failure, Field, Json, LogLevel, MakePath, Path, Response, data,
};
use serde_json::json;

use crate::Hostile;

const LINES: Field<i64> = Field::int("lines", "How many lines.").default("1");
const BYTES: Field<i64> = Field::int("bytes", "How many bytes.").default("16");
const LEVEL: Field<String> = Field::lower_case_string("level", "The level.").default("\"info\"");
const TEXT: Field<String> = Field::string("text", "What to print.").default("\"printed\"");

const EACH: &str = "Read it to make it happen.";

pub(crate) const PATHS: [(&str, MakePath<Hostile>); 5] = [
    ("log", || {
        Path::new("log")
            .field(&LINES)
            .field(&BYTES)
            .field(&LEVEL)
            .read(log)
            .write(log)
            .help("Logs lines of that length.", EACH)
    }),
    ("print", || {
        Path::new("print")
            .field(&TEXT)
            .field(&LINES)
            .read(print)
            .write(print)
            .help("Prints to both outputs.", EACH)
    }),
    ("big", || {
        Path::new("big")
            .field(&BYTES)
            .read(big)
            .write(big)
            .help("Answers at length.", EACH)
    }),
    ("bad-json", || {
        Path::new("bad-json")
            .read(bad_json)
            .help("Answers with text that is not JSON.", EACH)
    }),
    ("warn", || {
        Path::new("warn")
            .read(warn)
            .help("Answers with warnings.", EACH)
    }),
];

fn size(call: Call<'_>, field: &Field<i64>) -> Result<usize, Failure> {
    let number = call.value(field)?;
    usize::try_from(number).map_err(|_| Failure::refused(format!("{} is a size", field.name())))
}

async fn log(_: &Hostile, call: Call<'_>) -> Answer {
    let level = match call.value(&LEVEL)?.as_str() {
        "trace" => LogLevel::Trace,
        "debug" => LogLevel::Debug,
        "warn" => LogLevel::Warn,
        "error" => LogLevel::Error,
        _ => LogLevel::Info,
    };
    let line = "x".repeat(size(call, &BYTES)?);
    for number in 0..size(call, &LINES)? {
        call.log(level, &line, &[("line", &number.to_string())]);
    }
    Ok(None)
}

async fn print(_: &Hostile, call: Call<'_>) -> Answer {
    let text = call.value(&TEXT)?;
    let mut failed = false;
    for _ in 0..size(call, &LINES)? {
        failed |= writeln!(std::io::stdout(), "{text}").is_err();
        failed |= writeln!(std::io::stderr(), "{text}").is_err();
    }
    data(&json!({ "failed": failed }))
}

async fn big(_: &Hostile, call: Call<'_>) -> Answer {
    data(&json!({ "big": "x".repeat(size(call, &BYTES)?) }))
}

async fn bad_json(_: &Hostile, _: Call<'_>) -> Answer {
    let text = Json::from_text(r#"{"unfinished":"#);
    Ok(Some(Response::with_data(text)))
}

async fn warn(_: &Hostile, _: Call<'_>) -> Answer {
    Ok(Some(Response {
        data: Json::from_text(r#"{"ok":true}"#),
        warnings: vec!["first warning".to_owned(), "second warning".to_owned()],
        ..Response::default()
    }))
}
