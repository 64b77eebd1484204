//! `read`, `write`, `list` and `delete`: any path.

use serde_json::Value;

use super::{Failure, clean, exactly, say, wrong_count};
use crate::args::{Input, Path, pairs};
use crate::client::Client;
use crate::output::{Printer, table, warn};

pub(super) async fn read(args: &Input) -> Result<(), Failure> {
    let (path, query) = path_and_pairs(args)?;
    let printer = Printer::new(&args.output)?;
    let answer = Client::new(&args.connection)?
        .read(&path, &borrow(&query))
        .await
        .map_err(Failure::during(format_args!("Error reading {path}")))?
        .ok_or_else(|| Failure::server(format!("No value found at {path}")))?;
    Ok(printer.answer(&answer)?)
}

pub(super) async fn write(args: &Input) -> Result<(), Failure> {
    let Some((path, words)) = args.words.split_first() else {
        return Err(wrong_count(0, 1));
    };
    if words.is_empty() && !args.force {
        return Err(Failure::local(
            "Must supply data or use -force; to write an empty body, use -force",
        ));
    }
    let path = clean(path);
    let printer = Printer::new(&args.output)?;
    let data = pairs::object(words, std::io::stdin())
        .map_err(|fault| Failure::local(format!("Failed to parse K=V data: {fault}")))?;
    let answer = Client::new(&args.connection)?
        .put(&path, &Value::Object(data))
        .await
        .map_err(Failure::during(format_args!(
            "Error writing data to {path}"
        )))?;
    match answer {
        Some(answer) => Ok(printer.answer(&answer)?),
        None if printer.is_json() => Ok(()),
        None => say(&format!("Success! Data written to: {path}")),
    }
}

pub(super) async fn list(args: &Path) -> Result<(), Failure> {
    let [path] = exactly(&args.words)?;
    let path = clean(path);
    let printer = Printer::new(&args.output)?;
    let answer = Client::new(&args.connection)?
        .list(&path)
        .await
        .map_err(Failure::during(format_args!("Error listing {path}")))?;
    print_keys(&printer, &path, answer)
}

pub(super) async fn delete(args: &Input) -> Result<(), Failure> {
    let (path, query) = path_and_pairs(args)?;
    let printer = Printer::new(&args.output)?;
    let answer = Client::new(&args.connection)?
        .delete(&path, &borrow(&query))
        .await
        .map_err(Failure::during(format_args!("Error deleting {path}")))?;
    match answer {
        Some(answer) => Ok(printer.answer(&answer)?),
        None if printer.is_json() => Ok(()),
        None => say(&format!("Success! Data deleted (if it existed) at: {path}")),
    }
}

/// A listing as a column, or as JSON.
pub(super) fn print_keys(
    printer: &Printer,
    path: &str,
    answer: Option<crate::client::Answer>,
) -> Result<(), Failure> {
    let Some(answer) = answer else {
        if printer.is_json() {
            say("{}")?;
        }
        return Err(Failure::server(format!("No value found at {path}")));
    };
    let mut keys = answer.keys();
    if printer.is_json() {
        return Ok(printer.json(&keys)?);
    }
    warn(&answer)?;
    if keys.is_empty() {
        return Err(Failure::server(format!("No entries found at {path}")));
    }
    keys.sort();
    let header = std::iter::once("Keys".to_owned());
    let rows: Vec<[String; 1]> = header.chain(keys).map(|key| [key]).collect();
    Ok(printer.text(&table(&rows))?)
}

fn path_and_pairs(args: &Input) -> Result<(String, Vec<(String, String)>), Failure> {
    let Some((path, words)) = args.words.split_first() else {
        return Err(wrong_count(0, 1));
    };
    let query = pairs::strings(words, std::io::stdin())
        .map_err(|fault| Failure::local(format!("Failed to parse K=V data: {fault}")))?;
    Ok((clean(path), query))
}

fn borrow(query: &[(String, String)]) -> Vec<(&str, &str)> {
    query
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .collect()
}
