//! How JSON text from a client becomes a field's value.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use palisade_contract::{Json, Timestamp};
use serde_json::Value;
use serde_json::value::RawValue;

use super::{FieldType, duration, time};

/// A Rust type that a field can have.
pub trait FieldValue: Sized + 'static {
    /// Reads JSON text that a client sent for a field of that kind.
    ///
    /// # Errors
    ///
    /// When the text is of another type.
    fn read(kind: FieldType, json: &str) -> Result<Self, Mismatch>;
}

/// Why a value does not fit its field. It never quotes the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    expected: &'static str,
    found: &'static str,
}

impl Mismatch {
    fn of(expected: &'static str, found: &Value) -> Self {
        let found = match found {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number of another kind",
            Value::String(_) => "text",
            Value::Array(_) => "a list",
            Value::Object(_) => "an object",
        };
        Self { expected, found }
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {}, got {}", self.expected, self.found)
    }
}

impl std::error::Error for Mismatch {}

fn value(json: &str) -> Result<Value, Mismatch> {
    serde_json::from_str(json).map_err(|_| Mismatch {
        expected: "JSON",
        found: "something else",
    })
}

impl FieldValue for String {
    fn read(kind: FieldType, json: &str) -> Result<Self, Mismatch> {
        let text = text(&value(json)?)?;
        Ok(match kind {
            FieldType::LowerCaseString => text.to_lowercase(),
            _ => text,
        })
    }
}

/// Text; a number gives its digits and a boolean `1` or `0`, as in OpenBao.
fn text(value: &Value) -> Result<String, Mismatch> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(flag) => Ok(if *flag { "1" } else { "0" }.to_owned()),
        other => Err(Mismatch::of("text", other)),
    }
}

impl FieldValue for i64 {
    fn read(kind: FieldType, json: &str) -> Result<Self, Mismatch> {
        let value = value(json)?;
        match kind {
            FieldType::SignedDurationSecond => seconds(&value),
            _ => int(&value),
        }
    }
}

fn int(value: &Value) -> Result<i64, Mismatch> {
    let digits = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) if text.trim().is_empty() => return Ok(0),
        Value::String(text) => text.trim().to_owned(),
        Value::Bool(flag) => return Ok(i64::from(*flag)),
        other => return Err(Mismatch::of("a whole number", other)),
    };
    digits
        .parse()
        .map_err(|_| Mismatch::of("a whole number of 64 bits", value))
}

fn seconds(value: &Value) -> Result<i64, Mismatch> {
    match value {
        Value::String(text) => duration::parse_seconds(text)
            .ok_or_else(|| Mismatch::of("a duration such as 90 or 1h30m", value)),
        other => int(other),
    }
}

impl FieldValue for bool {
    fn read(_: FieldType, json: &str) -> Result<Self, Mismatch> {
        let value = value(json)?;
        match &value {
            Value::Bool(flag) => Ok(*flag),
            Value::Number(_) => Ok(int(&value)? != 0),
            Value::String(word) => match word.as_str() {
                "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
                "" | "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
                _ => Err(Mismatch::of("true or false", &value)),
            },
            other => Err(Mismatch::of("true or false", other)),
        }
    }
}

impl FieldValue for Duration {
    fn read(_: FieldType, json: &str) -> Result<Self, Mismatch> {
        let value = value(json)?;
        let seconds = u64::try_from(seconds(&value)?).map_err(|_| Mismatch {
            expected: "a duration of zero or more",
            found: "a negative one",
        })?;
        Ok(Self::from_secs(seconds))
    }
}

impl FieldValue for Timestamp {
    fn read(_: FieldType, json: &str) -> Result<Self, Mismatch> {
        let value = value(json)?;
        let mismatch = || Mismatch::of("a time as RFC 3339 or Unix seconds", &value);
        match &value {
            Value::Number(_) => Ok(Self {
                seconds: int(&value)?,
                nanos: 0,
            }),
            Value::String(text) => time::parse(text).ok_or_else(mismatch),
            _ => Err(mismatch()),
        }
    }
}

impl FieldValue for Json {
    fn read(kind: FieldType, json: &str) -> Result<Self, Mismatch> {
        if kind == FieldType::Map {
            let _: BTreeMap<String, Json> = FieldValue::read(kind, json)?;
        }
        Ok(Self::from_text(json))
    }
}

impl FieldValue for BTreeMap<String, Json> {
    fn read(_: FieldType, json: &str) -> Result<Self, Mismatch> {
        let members: BTreeMap<String, Box<RawValue>> = match serde_json::from_str(json) {
            Ok(members) => members,
            Err(_) => return Err(Mismatch::of("an object", &value(json)?)),
        };
        let parts = members.into_iter();
        Ok(parts
            .map(|(name, raw)| (name, Json::from_text(raw.get())))
            .collect())
    }
}

impl FieldValue for BTreeMap<String, String> {
    fn read(_: FieldType, json: &str) -> Result<Self, Mismatch> {
        let value = value(json)?;
        match &value {
            Value::Object(members) => members
                .iter()
                .map(|(name, member)| Ok((name.clone(), text(member)?)))
                .collect(),
            Value::Array(items) => items.iter().map(pair).collect(),
            Value::String(_) => Ok([pair(&value)?].into()),
            other => Err(Mismatch::of("names and texts", other)),
        }
    }
}

/// One `name=text`.
fn pair(item: &Value) -> Result<(String, String), Mismatch> {
    let pair = item.as_str().and_then(|text| text.split_once('='));
    let (name, text) = pair.ok_or_else(|| Mismatch::of("name=text", item))?;
    Ok((name.trim().to_owned(), text.trim().to_owned()))
}

impl FieldValue for Vec<String> {
    fn read(kind: FieldType, json: &str) -> Result<Self, Mismatch> {
        let value = value(json)?;
        match &value {
            Value::Array(items) => items.iter().map(text).collect(),
            Value::String(list) if kind == FieldType::CommaStringSlice => Ok(split(list)),
            Value::Object(_) => Err(Mismatch::of("a list of texts", &value)),
            single => Ok(vec![text(single)?]),
        }
    }
}

fn split(list: &str) -> Vec<String> {
    let parts = list.split(',').map(str::trim);
    parts
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect()
}

impl FieldValue for Vec<i64> {
    fn read(_: FieldType, json: &str) -> Result<Self, Mismatch> {
        let value = value(json)?;
        match &value {
            Value::Array(items) => items.iter().map(int).collect(),
            Value::String(list) => split(list)
                .into_iter()
                .map(|part| int(&Value::String(part)))
                .collect(),
            Value::Number(_) => Ok(vec![int(&value)?]),
            other => Err(Mismatch::of("a list of whole numbers", other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T: FieldValue>(kind: FieldType, json: &str) -> Option<T> {
        T::read(kind, json).ok()
    }

    #[test]
    fn text_takes_numbers_with_all_their_digits() {
        let digits = "123456789012345678901234567890";
        assert_eq!(read(FieldType::String, digits), Some(digits.to_owned()));
        assert_eq!(
            read(FieldType::LowerCaseString, "\"ABC\""),
            Some("abc".to_owned())
        );
        assert_eq!(read::<String>(FieldType::String, "[1]"), None);
    }

    #[test]
    fn a_whole_number_may_be_quoted_and_must_fit() {
        assert_eq!(read(FieldType::Int, "7"), Some(7_i64));
        assert_eq!(read(FieldType::Int, "\"-7\""), Some(-7_i64));
        assert_eq!(read::<i64>(FieldType::Int, "7.5"), None);
        assert_eq!(read::<i64>(FieldType::Int, "9223372036854775808"), None);
        assert_eq!(read::<i64>(FieldType::Int, "\"x\""), None);
        assert_eq!(read::<i64>(FieldType::Int, "{}"), None);
    }

    #[test]
    fn a_boolean_takes_the_words_that_go_takes() {
        for (json, expected) in [
            ("true", Some(true)),
            ("\"True\"", Some(true)),
            ("\"0\"", Some(false)),
            ("1", Some(true)),
            ("\"yes\"", None),
            ("[]", None),
        ] {
            assert_eq!(read(FieldType::Bool, json), expected, "{json}");
        }
    }

    #[test]
    fn a_duration_is_seconds_or_text_and_not_negative() {
        let kind = FieldType::DurationSecond;
        assert_eq!(read(kind, "90"), Some(Duration::from_secs(90)));
        assert_eq!(read(kind, "\"1h30m\""), Some(Duration::from_secs(5400)));
        assert_eq!(read::<Duration>(kind, "-1"), None);
        assert_eq!(read::<Duration>(kind, "\"soon\""), None);
        let signed = FieldType::SignedDurationSecond;
        assert_eq!(read(signed, "\"-1h\""), Some(-3600_i64));
    }

    #[test]
    fn an_object_stays_as_it_was_written() {
        let json = r#"{"b": 1.000, "a": 123456789012345678901234567890}"#;
        let kept: Json = read(FieldType::Map, json).unwrap();
        assert_eq!(kept.as_str(), json);
        assert_eq!(read::<Json>(FieldType::Map, "[1]"), None);
        assert!(read::<Json>(FieldType::Any, "[1]").is_some());
    }

    #[test]
    fn pairs_come_as_an_object_or_as_a_list() {
        let expected = BTreeMap::from([("a".to_owned(), "1".to_owned())]);
        for json in [r#"{"a":1}"#, r#"{"a":"1"}"#, r#"["a=1"]"#, r#""a=1""#] {
            assert_eq!(read(FieldType::KvPairs, json), Some(expected.clone()));
        }
        assert_eq!(
            read::<BTreeMap<String, String>>(FieldType::KvPairs, r#"["a"]"#),
            None
        );
    }

    #[test]
    fn only_comma_lists_are_split_at_commas() {
        let two = Some(vec!["a".to_owned(), "b".to_owned()]);
        assert_eq!(read(FieldType::CommaStringSlice, r#""a, b""#), two);
        assert_eq!(read(FieldType::StringSlice, r#"["a","b"]"#), two);
        let one = Some(vec!["a, b".to_owned()]);
        assert_eq!(read(FieldType::StringSlice, r#""a, b""#), one);
        assert_eq!(
            read(FieldType::CommaIntSlice, r#""1,2""#),
            Some(vec![1_i64, 2])
        );
        assert_eq!(read(FieldType::CommaIntSlice, "3"), Some(vec![3_i64]));
        assert_eq!(read::<Vec<i64>>(FieldType::CommaIntSlice, r#"["x"]"#), None);
    }

    #[test]
    fn a_time_is_rfc_3339_or_unix_seconds() {
        let expected = Timestamp {
            seconds: 1_700_000_000,
            nanos: 0,
        };
        for json in ["1700000000", r#""2023-11-14T22:13:20Z""#] {
            assert_eq!(read(FieldType::Time, json), Some(expected), "{json}");
        }
        assert_eq!(read::<Timestamp>(FieldType::Time, r#""noon""#), None);
    }

    #[test]
    fn a_mismatch_names_types_and_never_the_value() {
        let fault = i64::read(FieldType::Int, "\"hunter2\"").unwrap_err();
        assert_eq!(
            fault.to_string(),
            "expected a whole number of 64 bits, got text"
        );
    }
}
