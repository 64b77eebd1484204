//! Looks at the top level of a JSON object without keeping the rest: is it one, and has it the fields that matter here?
//!
//! Data crosses this server as text. One pass over it is the price of never embedding something that is not JSON.

use std::borrow::Cow;
use std::fmt;

use serde::Deserializer;
use serde::de::{self, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// What the top level of a response's data shows.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Shape {
    /// How many fields.
    pub(super) fields: usize,
    /// `http_status_code` is among them: the plugin answers with a body of its own.
    pub(super) raw: bool,
    /// What `keys` is.
    pub(super) keys: Keys,
    /// `error` or `data` is among them, in which case it may be an error response.
    pub(super) maybe_error: bool,
}

/// What a listing's `keys` is.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Keys {
    /// Absent, or `null`.
    #[default]
    Absent,
    /// A list without a name.
    Empty,
    /// Anything else.
    Some,
}

impl Shape {
    /// Reads `text`, which must be one JSON object.
    pub(super) fn of(text: &str) -> Result<Self, serde_json::Error> {
        let mut reader = serde_json::Deserializer::from_str(text);
        let shape = reader.deserialize_map(ShapeVisitor)?;
        reader.end()?;
        Ok(shape)
    }
}

/// Whether `text` is one JSON object.
pub(super) fn check_object(text: &str) -> Result<(), serde_json::Error> {
    Shape::of(text).map(drop)
}

/// Whether arrays and objects lie in each other in more than `levels` levels. Costs no stack; `text` may be no JSON at all.
pub(super) fn is_deeper_than(text: &str, levels: usize) -> bool {
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            _ if in_text => {}
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > levels {
            return true;
        }
    }
    false
}

struct ShapeVisitor;

impl<'de> Visitor<'de> for ShapeVisitor {
    type Value = Shape;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Shape, M::Error> {
        let mut shape = Shape::default();
        while let Some(key) = map.next_key::<Name<'de>>()? {
            shape.fields += 1;
            match key.0.as_ref() {
                "keys" => shape.keys = map.next_value()?,
                name => {
                    shape.raw |= name == "http_status_code";
                    shape.maybe_error |= name == "error";
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(shape)
    }
}

/// A field's name, borrowed where it has no escapes.
struct Name<'de>(Cow<'de, str>);

impl<'de> de::Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        struct NameVisitor;
        impl<'de> Visitor<'de> for NameVisitor {
            type Value = Name<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }
            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Borrowed(text)))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Owned(text.to_owned())))
            }
        }
        reader.deserialize_str(NameVisitor)
    }
}

impl<'de> de::Deserialize<'de> for Keys {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        reader.deserialize_any(KeysVisitor)
    }
}

struct KeysVisitor;

impl<'de> Visitor<'de> for KeysVisitor {
    type Value = Keys;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut items: S) -> Result<Keys, S::Error> {
        let mut keys = Keys::Empty;
        while items.next_element::<IgnoredAny>()?.is_some() {
            keys = Keys::Some;
        }
        Ok(keys)
    }

    fn visit_unit<E>(self) -> Result<Keys, E> {
        Ok(Keys::Absent)
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Keys, M::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Keys::Some)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Keys, E> {
        Ok(Keys::Some)
    }

    fn visit_str<E>(self, _: &str) -> Result<Keys, E> {
        Ok(Keys::Some)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Keys, E> {
        Ok(Keys::Some)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Keys, E> {
        Ok(Keys::Some)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Keys, E> {
        Ok(Keys::Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(text: &str) -> Keys {
        Shape::of(text).unwrap().keys
    }

    #[test]
    fn a_listing_without_names_is_told_from_one_with() {
        assert_eq!(keys("{}"), Keys::Absent);
        assert_eq!(keys(r#"{"keys":null}"#), Keys::Absent);
        assert_eq!(keys(r#"{"keys":[]}"#), Keys::Empty);
        assert_eq!(keys(r#"{"keys":["a"]}"#), Keys::Some);
        for odd in ["7", "1e400", "true", "\"x\"", "{\"a\":1}"] {
            assert_eq!(keys(&format!("{{\"keys\":{odd}}}")), Keys::Some, "{odd}");
        }
    }

    #[test]
    fn fields_are_counted_and_escaped_names_are_understood() {
        let shape = Shape::of(r#"{"http_status\u005fcode":404,"error":"x"}"#).unwrap();
        assert_eq!(shape.fields, 2);
        assert!(shape.raw && shape.maybe_error);
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for text in ["", "[]", "null", "{", "{}x", r#"{"a":}"#, r#"{1:2}"#] {
            assert!(Shape::of(text).is_err(), "{text}");
        }
    }

    #[test]
    fn depth_is_counted_outside_of_text_only() {
        assert!(!is_deeper_than(r#"{"a":[[]],"b":[]}"#, 3));
        assert!(is_deeper_than(r#"{"a":[[]],"b":[]}"#, 2));
        assert!(!is_deeper_than(r#"{"a":"[[\"[[\\","b":1}"#, 1));
        assert!(is_deeper_than(r#"{"a":"\\","b":[]}"#, 1));
    }

    #[test]
    fn deep_nesting_costs_no_stack() {
        let deep = format!(
            "{{\"a\":{}{}}}",
            "[".repeat(1_000_000),
            "]".repeat(1_000_000)
        );
        assert_eq!(Shape::of(&deep).unwrap().fields, 1);
    }
}
