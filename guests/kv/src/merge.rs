//! JSON merge patch (RFC 7396), with the digits of numbers kept.

use palisade_plugin::{Failure, Json};
use serde_json::{Map, Value};

/// The old object with the change made to it.
pub(crate) fn patched(old: &Json, change: &Json) -> Result<Json, Failure> {
    let mut members: Map<String, Value> = old.parse()?;
    merge(&mut members, change.parse()?);
    Ok(Json::of(&members)?)
}

/// `null` removes, objects are merged into each other, and everything else replaces.
fn merge(members: &mut Map<String, Value>, change: Map<String, Value>) {
    for (name, new) in change {
        match new {
            Value::Null => {
                members.remove(&name);
            }
            Value::Object(new) => merge(object_at(members, name), new),
            new => {
                members.insert(name, new);
            }
        }
    }
}

/// The object of that name; whatever else was there gives way to an empty one.
fn object_at(members: &mut Map<String, Value>, name: String) -> &mut Map<String, Value> {
    let place = members.entry(name).or_insert(Value::Null);
    if !place.is_object() {
        *place = Value::Object(Map::new());
    }
    place.as_object_mut().expect("it was just made an object")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(old: &str, change: &str) -> String {
        let (old, change) = (Json::from_text(old), Json::from_text(change));
        patched(&old, &change).unwrap().into_string()
    }

    #[test]
    fn the_examples_of_the_rfc_that_are_objects_hold() {
        for (old, change, expected) in [
            (r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"a":null}"#, r"{}"),
            (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#),
            (r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"c"}"#, r#"{"a":["b"]}"#, r#"{"a":["b"]}"#),
            (
                r#"{"a":{"b":"c"}}"#,
                r#"{"a":{"b":"d","c":null}}"#,
                r#"{"a":{"b":"d"}}"#,
            ),
            (r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, r#"{"a":[1]}"#),
            (r#"{"e":null}"#, r#"{"a":1}"#, r#"{"a":1,"e":null}"#),
            (r"{}", r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#),
        ] {
            assert_eq!(after(old, change), expected);
        }
    }

    #[test]
    fn numbers_keep_their_digits() {
        let old = r#"{"a":123456789012345678901234567890.10}"#;
        let merged = after(old, r#"{"b":0.000000000000000000000000000001}"#);
        assert!(merged.contains("123456789012345678901234567890.10"));
        assert!(merged.contains("0.000000000000000000000000000001"));
    }
}
