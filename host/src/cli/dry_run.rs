//! Shows what a registration would come to.

use serde_json::{Map, Value};

use super::Failure;
use crate::output::{Printer, go_text, table};

pub(super) fn show(printer: &Printer, found: &Map<String, Value>) -> Result<(), Failure> {
    if printer.field().is_some() {
        return Ok(printer.one_field(found)?);
    }
    if printer.is_json() {
        return Ok(printer.json(found)?);
    }
    printer.text("Dry run: nothing was registered.\n")?;
    if let Some(Value::Object(candidate)) = found.get("candidate") {
        printer.map(candidate)?;
    }
    Ok(printer.text(&format!("\n{}{}", difference(found), mounts(found)))?)
}

fn difference(found: &Map<String, Value>) -> String {
    match found.get("difference") {
        Some(Value::Object(changes)) if changes.is_empty() => {
            "It is the same as the current entry.".to_owned()
        }
        Some(Value::Object(changes)) => table(&changed(changes)),
        _ => "There is no entry of that name.".to_owned(),
    }
}

fn changed(changes: &Map<String, Value>) -> Vec<[String; 3]> {
    let header = ["Difference", "Current", "New"].map(str::to_owned);
    let side = |change: &Value, key: &str| match change.get(key) {
        None | Some(Value::Null) => String::new(),
        Some(value) => go_text(value),
    };
    let rows = changes
        .iter()
        .map(|(name, change)| [name.clone(), side(change, "from"), side(change, "to")]);
    std::iter::once(header).chain(rows).collect()
}

/// The mounts of that plugin, and what they run now.
fn mounts(found: &Map<String, Value>) -> String {
    let Some(mounts) = found.get("mounts").and_then(Value::as_array) else {
        return String::new();
    };
    if mounts.is_empty() {
        return String::new();
    }
    let header = ["Mount", "Running Version", "Running SHA-256"].map(str::to_owned);
    let keys = ["path", "running_version", "running_sha256"];
    let cell = |mount: &Value, key: &str| mount.get(key).map(go_text).unwrap_or_default();
    let rows = mounts.iter().map(|mount| keys.map(|key| cell(mount, key)));
    let rows: Vec<_> = std::iter::once(header).chain(rows).collect();
    format!("\n\n{}", table(&rows))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(found) => found,
            _ => panic!("not an object"),
        }
    }

    #[test]
    fn a_difference_has_a_line_for_each_change() {
        let found = found(json!({"difference": {"version": {"from": null, "to": "v2"}}}));
        assert_eq!(
            difference(&found),
            "Difference    Current    New\n----------    -------    ---\nversion       n/a        v2"
        );
    }

    #[test]
    fn a_new_name_and_the_same_entry_are_told_apart() {
        let new = difference(&found(json!({"difference": null})));
        let same = difference(&found(json!({"difference": {}})));
        assert!(new.contains("no entry") && same.contains("the same"));
    }
}
