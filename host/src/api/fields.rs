//! Takes fields out of a body, in the shapes that OpenBao's clients send them.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value};

use super::error::ApiError;
use crate::boolean;
use crate::config::duration;

/// The fields of one body. A field that is `null` counts as absent.
pub(super) struct Fields(Map<String, Value>);

impl Fields {
    pub(super) fn new(fields: Map<String, Value>) -> Self {
        Self(fields)
    }

    fn value(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<String>, ApiError> {
        self.value(name)
            .map(|value| scalar(name, value))
            .transpose()
    }

    /// A list, or text with commas.
    pub(super) fn list(&self, name: &str) -> Result<Vec<String>, ApiError> {
        match self.value(name) {
            None => Ok(Vec::new()),
            Some(Value::Array(items)) => items.iter().map(|item| scalar(name, item)).collect(),
            Some(Value::String(text)) => {
                let items = text
                    .split(',')
                    .map(str::trim)
                    .filter(|item| !item.is_empty());
                Ok(items.map(str::to_owned).collect())
            }
            Some(_) => Err(wrong(name, "a list")),
        }
    }

    pub(super) fn flag(&self, name: &str) -> Result<bool, ApiError> {
        match self.value(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(Value::String(word)) if word.is_empty() => Ok(false),
            Some(Value::String(word)) => {
                boolean::parse(word).ok_or_else(|| wrong(name, "a boolean"))
            }
            Some(_) => Err(wrong(name, "a boolean")),
        }
    }

    /// Names and texts.
    pub(super) fn texts(&self, name: &str) -> Result<BTreeMap<String, String>, ApiError> {
        let all = self.object(name)?.0;
        all.iter()
            .map(|(key, value)| Ok((key.clone(), scalar(name, value)?)))
            .collect()
    }

    /// Fields of their own.
    pub(super) fn object(&self, name: &str) -> Result<Self, ApiError> {
        match self.value(name) {
            None => Ok(Self(Map::new())),
            Some(Value::Object(map)) => Ok(Self(map.clone())),
            Some(_) => Err(wrong(name, "an object")),
        }
    }

    /// A duration as text or seconds; `system` means the server's own.
    pub(super) fn duration(&self, name: &str) -> Result<Option<Duration>, ApiError> {
        match self.text(name)?.as_deref() {
            None | Some("" | "system") => Ok(None),
            Some(text) => duration::parse(text)
                .map(Some)
                .map_err(|fault| ApiError::invalid(format!("field {name:?}: {fault}"))),
        }
    }
}

fn scalar(name: &str, value: &Value) -> Result<String, ApiError> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(flag) => Ok(flag.to_string()),
        Value::Null => Ok(String::new()),
        Value::Array(_) | Value::Object(_) => Err(wrong(name, "text")),
    }
}

/// The value is not shown: it may be secret.
fn wrong(name: &str, wanted: &str) -> ApiError {
    ApiError::invalid(format!("field {name:?} is not {wanted}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fields(value: Value) -> Fields {
        let Value::Object(map) = value else {
            panic!("not an object")
        };
        Fields::new(map)
    }

    #[test]
    fn a_list_may_be_text_with_commas() {
        let fields = fields(json!({"a": ["x", "y,z"], "b": "x, y", "c": null}));
        assert_eq!(fields.list("a").unwrap(), ["x", "y,z"]);
        assert_eq!(fields.list("b").unwrap(), ["x", "y"]);
        assert!(fields.list("c").unwrap().is_empty());
    }

    #[test]
    fn a_field_of_another_type_is_named_and_not_echoed() {
        let fields = fields(json!({"sha256": ["hunter2"], "local": "maybe", "ttl": "soon"}));
        let error = fields.text("sha256").unwrap_err();
        assert!(error.text().contains("sha256") && !error.text().contains("hunter2"));
        assert!(fields.flag("local").is_err());
        assert!(fields.duration("ttl").is_err());
    }

    #[test]
    fn a_duration_may_be_a_number_of_seconds_or_the_systems() {
        let fields = fields(json!({"a": 60, "b": "1h", "c": "system"}));
        assert_eq!(fields.duration("a").unwrap(), Some(Duration::from_secs(60)));
        assert_eq!(
            fields.duration("b").unwrap(),
            Some(Duration::from_secs(3600))
        );
        assert_eq!(fields.duration("c").unwrap(), None);
    }
}
