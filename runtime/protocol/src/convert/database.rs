//! The configuration of a database, which is JSON here and a `Struct` on the wire: its numbers are doubles there.

use palisade_contract::Json;
use prost_types::value::Kind;
use prost_types::{ListValue, NullValue, Struct, Value};
use serde_json::{Map, Number, Value as JsonValue};

/// The largest whole number up to which a double holds every one.
const EXACT_MAX: u64 = 1 << 53;

/// Why a configuration cannot be told to a plugin. No value of it is shown, as most are secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// It is no JSON.
    #[error("the configuration is malformed JSON at line {line}, column {column}")]
    Malformed {
        /// Where, from 1.
        line: usize,
        /// Where in the line.
        column: usize,
    },
    /// It is JSON of another kind.
    #[error("the configuration has to be a JSON object, with a name for each setting")]
    NoObject,
    /// A whole number that would arrive as another.
    #[error(
        "the configuration's {name:?} has a whole number beyond {EXACT_MAX}, which would arrive as another: the protocol \
         carries numbers as doubles. Give it as text"
    )]
    Inexact {
        /// The setting at the top level.
        name: String,
    },
}

/// A configuration for the wire.
///
/// # Errors
///
/// [`ConfigError`] for what would not arrive as it is.
pub fn config_to_wire(config: &Json) -> Result<Struct, ConfigError> {
    let parsed = config.parse::<JsonValue>();
    let value = parsed.map_err(|fault| ConfigError::Malformed {
        line: fault.line(),
        column: fault.column(),
    })?;
    let JsonValue::Object(settings) = value else {
        return Err(ConfigError::NoObject);
    };
    let fields = settings.into_iter().map(|(name, value)| {
        let value = value_to_wire(value).ok_or_else(|| ConfigError::Inexact { name: name.clone() });
        Ok((name, value?))
    });
    Ok(Struct {
        fields: fields.collect::<Result<_, _>>()?,
    })
}

/// `None` where a number in it would arrive as another.
fn value_to_wire(value: JsonValue) -> Option<Value> {
    let kind = match value {
        JsonValue::Null => Kind::NullValue(NullValue::NullValue.into()),
        JsonValue::Bool(value) => Kind::BoolValue(value),
        JsonValue::Number(number) => Kind::NumberValue(number_to_wire(&number)?),
        JsonValue::String(text) => Kind::StringValue(text),
        JsonValue::Array(values) => Kind::ListValue(ListValue {
            values: values
                .into_iter()
                .map(value_to_wire)
                .collect::<Option<_>>()?,
        }),
        JsonValue::Object(map) => Kind::StructValue(Struct {
            fields: map
                .into_iter()
                .map(|(name, value)| Some((name, value_to_wire(value)?)))
                .collect::<Option<_>>()?,
        }),
    };
    Some(Value { kind: Some(kind) })
}

fn number_to_wire(number: &Number) -> Option<f64> {
    let text = number.to_string();
    let is_whole = !text.contains(['.', 'e', 'E']);
    let is_small = || {
        text.parse::<i64>()
            .is_ok_and(|whole| whole.unsigned_abs() <= EXACT_MAX)
    };
    number.as_f64().filter(|_| !is_whole || is_small())
}

/// A configuration from the wire. What has no JSON form, such as a number that is none, becomes `null`.
pub fn config_from_wire(config: Option<Struct>) -> Json {
    let settings = object_from_wire(config.unwrap_or_default());
    Json::from_text(settings.to_string())
}

fn object_from_wire(config: Struct) -> JsonValue {
    let fields = config
        .fields
        .into_iter()
        .map(|(name, value)| (name, value_from_wire(value)));
    JsonValue::Object(fields.collect::<Map<_, _>>())
}

fn value_from_wire(value: Value) -> JsonValue {
    match value.kind {
        None | Some(Kind::NullValue(_)) => JsonValue::Null,
        Some(Kind::BoolValue(value)) => JsonValue::Bool(value),
        Some(Kind::NumberValue(number)) => number_from_wire(number),
        Some(Kind::StringValue(text)) => JsonValue::String(text),
        Some(Kind::ListValue(list)) => {
            JsonValue::Array(list.values.into_iter().map(value_from_wire).collect())
        }
        Some(Kind::StructValue(map)) => object_from_wire(map),
    }
}

/// A whole number is written as one: it was one before it became a double.
fn number_from_wire(number: f64) -> JsonValue {
    let text = format!("{number:.0}");
    match text.parse::<i64>() {
        Ok(whole) if number.fract() == 0.0 && whole.unsigned_abs() <= EXACT_MAX => whole.into(),
        _ => Number::from_f64(number).map_or(JsonValue::Null, JsonValue::Number),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_configuration_comes_back_as_it_went() {
        let config = json!({
            "connection_url": "postgres://{{username}}",
            "max_open_connections": 4,
            "ratio": 0.25,
            "below": -9_007_199_254_740_992_i64,
            "tls": { "ca": null, "skip": false },
            "hosts": ["a", 1, []],
        });
        let wire = config_to_wire(&Json::from_text(config.to_string())).expect("it has a form");
        let back = config_from_wire(Some(wire));
        assert_eq!(back.parse::<JsonValue>().expect("it is JSON"), config);
        assert_eq!(config_from_wire(None).as_str(), "{}");
    }

    #[test]
    fn a_number_that_would_arrive_as_another_is_refused_by_the_name_of_its_setting() {
        for text in [
            r#"{"a":1,"id":9007199254740993}"#,
            r#"{"id":{"deep":[-9007199254740993]}}"#,
            r#"{"id":99999999999999999999999999}"#,
        ] {
            let refused = config_to_wire(&Json::from_text(text)).expect_err("it is too large");
            let name = "id".to_owned();
            assert_eq!(refused, ConfigError::Inexact { name });
        }
    }

    #[test]
    fn what_is_no_object_is_refused_without_showing_it() {
        for text in [r#""hunter2""#, "[1]", "null"] {
            let refused = config_to_wire(&Json::from_text(text)).expect_err("it is no object");
            assert_eq!(refused, ConfigError::NoObject);
        }
        let refused = config_to_wire(&Json::from_text(r#"{"password":"hunter2"#));
        let text = refused.expect_err("it has no end").to_string();
        assert!(
            text.contains("line 1, column") && !text.contains("hunter2"),
            "{text}"
        );
    }

    #[test]
    fn a_number_without_json_form_becomes_null() {
        for number in [f64::NAN, f64::INFINITY] {
            assert_eq!(number_from_wire(number), JsonValue::Null);
        }
        assert_eq!(number_from_wire(1e300).as_f64(), Some(1e300));
    }
}
