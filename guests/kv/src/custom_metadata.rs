//! The texts that people attach to a key: what is allowed, and how they are changed.

use std::collections::BTreeMap;

use palisade_plugin::{Failure, FieldType, FieldValue, Json};

/// How many texts a key has at most.
const KEYS_MAX: usize = 64;
/// How long a name is at most, in bytes.
const KEY_BYTES_MAX: usize = 128;
/// How long a text is at most, in bytes.
const VALUE_BYTES_MAX: usize = 512;

const FAILED: &str = "custom_metadata validation failed";

/// The texts that replace all that were there.
pub(crate) fn replaced(
    given: &BTreeMap<String, Json>,
) -> Result<BTreeMap<String, String>, Failure> {
    let texts = given
        .iter()
        .map(|(name, value)| Ok((name.clone(), text(value)?)))
        .collect::<Result<_, Failure>>()?;
    check(&texts)?;
    Ok(texts)
}

/// The texts that were there, with the given ones over them; `null` removes one.
pub(crate) fn patched(
    mut texts: BTreeMap<String, String>,
    given: &BTreeMap<String, Json>,
) -> Result<BTreeMap<String, String>, Failure> {
    for (name, value) in given {
        match value.is_null() {
            true => texts.remove(name),
            false => texts.insert(name.clone(), text(value)?),
        };
    }
    check(&texts)?;
    Ok(texts)
}

fn text(value: &Json) -> Result<String, Failure> {
    if value.is_null() {
        return Ok(String::new());
    }
    String::read(FieldType::String, value.as_str())
        .map_err(|fault| Failure::refused(format!("{FAILED}: {fault}")))
}

/// Tells everything that is wrong at once. With too many texts, nothing else is looked at.
fn check(texts: &BTreeMap<String, String>) -> Result<(), Failure> {
    if texts.len() > KEYS_MAX {
        return refuse(&[format!(
            "{FAILED}: payload must contain at most {KEYS_MAX} keys, provided {}",
            texts.len()
        )]);
    }
    let faults: Vec<String> = texts
        .iter()
        .flat_map(|(name, value)| faults(name, value))
        .collect();
    match faults.is_empty() {
        true => Ok(()),
        false => refuse(&faults),
    }
}

fn faults(name: &str, value: &str) -> Vec<String> {
    let mut faults = Vec::new();
    if !(1..=KEY_BYTES_MAX).contains(&name.len()) {
        faults.push(format!(
            "{FAILED}: length of key {name:?} is {} but must be 0 < len(key) <= {KEY_BYTES_MAX}",
            name.len()
        ));
    }
    if !(1..=VALUE_BYTES_MAX).contains(&value.len()) {
        faults.push(format!(
            "{FAILED}: length of value for key {name:?} is {} but must be 0 < len(value) <= {VALUE_BYTES_MAX}",
            value.len()
        ));
    }
    if !is_printable(name) {
        faults.push(format!(
            "{FAILED}: key {name:?} ({name}) contains unprintable characters"
        ));
    }
    if !is_printable(value) {
        faults.push(format!(
            "{FAILED}: value for key {name:?} contains unprintable characters"
        ));
    }
    faults
}

/// Whether all characters can be printed; of the blanks only the space can.
fn is_printable(text: &str) -> bool {
    text.chars()
        .all(|c| c == ' ' || !(c.is_control() || c.is_whitespace()))
}

/// Lists the faults in the form in which OpenBao's clients know them.
fn refuse(faults: &[String]) -> Result<(), Failure> {
    let count = match faults.len() {
        1 => "1 error".to_owned(),
        many => format!("{many} errors"),
    };
    let list: Vec<String> = faults.iter().map(|fault| format!("* {fault}")).collect();
    Err(Failure::refused(format!(
        "{count} occurred:\n\t{}\n\n",
        list.join("\n\t")
    )))
}
