//! A field that a path takes: its name, its type, and how it is read from what a client sent.
//!
//! A field is a constant. Its Rust type is part of it, so reading it cannot ask for the wrong one:
//!
//! ```
//! use palisade_plugin::Field;
//!
//! const MAX_VERSIONS: Field<i64> =
//!     Field::int("max_versions", "The number of versions to keep.").default("10");
//! ```
//!
//! Clients are loose about types: a query has only text, a shell quotes numbers. So what is unambiguous is accepted as
//! OpenBao's framework accepts it (`"10"` for 10, `"true"` for true), and the rest is refused with the field's name.

mod duration;
mod read;
mod time;

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::time::Duration;

use palisade_contract::{Json, Timestamp};

pub use duration::{go_duration, parse_duration};
pub use read::{FieldValue, Mismatch};
pub use time::rfc3339;

use crate::Failure;

/// A field of this type. Two fields of the same name on one path are a mistake: the later one is what help shows.
pub struct Field<T> {
    pub(crate) schema: FieldSchema,
    value: PhantomData<fn() -> T>,
}

impl<T: FieldValue> Field<T> {
    const fn new(name: &'static str, kind: FieldType, description: &'static str) -> Self {
        Self {
            schema: FieldSchema {
                name,
                kind,
                description,
                default_json: None,
                required: false,
                check: check::<T>,
            },
            value: PhantomData,
        }
    }

    /// What the field is when the client does not give it, as JSON text such as `10` or `"info"`.
    #[must_use]
    pub const fn default(mut self, json: &'static str) -> Self {
        self.schema.default_json = Some(json);
        self
    }

    /// Refuses writes (create and update) that do not give the field.
    #[must_use]
    pub const fn required(mut self) -> Self {
        self.schema.required = true;
        self
    }

    /// The name clients use.
    pub const fn name(&self) -> &'static str {
        self.schema.name
    }
}

impl Field<String> {
    /// Text. Numbers are taken as their digits.
    pub const fn string(name: &'static str, description: &'static str) -> Self {
        Self::new(name, FieldType::String, description)
    }

    /// Text, in lower case whatever the client sent.
    pub const fn lower_case_string(name: &'static str, description: &'static str) -> Self {
        Self::new(name, FieldType::LowerCaseString, description)
    }
}

impl Field<i64> {
    /// A whole number.
    pub const fn int(name: &'static str, description: &'static str) -> Self {
        Self::new(name, FieldType::Int, description)
    }

    /// A whole number that may need 64 bits; the difference shows in help and in the OpenAPI document.
    pub const fn int64(name: &'static str, description: &'static str) -> Self {
        Self::new(name, FieldType::Int64, description)
    }

    /// A span of time in whole seconds that may be negative.
    pub const fn signed_seconds(name: &'static str, description: &'static str) -> Self {
        Self::new(name, FieldType::SignedDurationSecond, description)
    }
}

impl Field<bool> {
    /// True or false.
    pub const fn bool(name: &'static str, description: &'static str) -> Self {
        Self::new(name, FieldType::Bool, description)
    }
}

impl Field<Duration> {
    /// A span of time: a number of seconds, or text such as `90`, `15m`, `1h30m` or `2d`; whole seconds.
    pub const fn duration(name: &'static str, description: &'static str) -> Self {
        Self::new(name, FieldType::DurationSecond, description)
    }
}

impl Field<Timestamp> {
    /// A point in time: RFC 3339 text, or seconds since the Unix epoch.
    pub const fn time(name: &'static str, description: &'static str) -> Self {
        Self::new(name, FieldType::Time, description)
    }
}

impl Field<Json> {
    /// Any JSON at all, as the client wrote it.
    pub const fn any(name: &'static str, description: &'static str) -> Self {
        Self::new(name, FieldType::Any, description)
    }

    /// A JSON object, as the client wrote it: the numbers keep their digits and the names their order.
    pub const fn object(name: &'static str, description: &'static str) -> Self {
        Self::new(name, FieldType::Map, description)
    }
}

impl Field<BTreeMap<String, Json>> {
    /// A JSON object, taken apart one level deep.
    pub const fn map(name: &'static str, description: &'static str) -> Self {
        Self::new(name, FieldType::Map, description)
    }
}

impl Field<BTreeMap<String, String>> {
    /// Names and texts: an object, a list of `name=text`, or one of those.
    pub const fn pairs(name: &'static str, description: &'static str) -> Self {
        Self::new(name, FieldType::KvPairs, description)
    }
}

impl Field<Vec<String>> {
    /// A list of texts; one text alone is a list of one.
    pub const fn strings(name: &'static str, description: &'static str) -> Self {
        Self::new(name, FieldType::StringSlice, description)
    }

    /// A list of texts, or one text with commas in between.
    pub const fn comma_strings(name: &'static str, description: &'static str) -> Self {
        Self::new(name, FieldType::CommaStringSlice, description)
    }
}

impl Field<Vec<i64>> {
    /// A list of whole numbers, or one text with commas in between.
    pub const fn comma_ints(name: &'static str, description: &'static str) -> Self {
        Self::new(name, FieldType::CommaIntSlice, description)
    }
}

/// A field without its Rust type, as a path keeps it.
#[derive(Clone, Copy)]
pub(crate) struct FieldSchema {
    name: &'static str,
    kind: FieldType,
    description: &'static str,
    default_json: Option<&'static str>,
    required: bool,
    check: fn(FieldType, &str) -> Result<(), Mismatch>,
}

impl FieldSchema {
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) fn kind(&self) -> FieldType {
        self.kind
    }

    pub(crate) fn description(&self) -> &'static str {
        self.description.trim_ascii()
    }

    pub(crate) fn default_json(&self) -> Option<&'static str> {
        self.default_json
    }

    pub(crate) fn is_required(&self) -> bool {
        self.required
    }

    pub(crate) fn check(&self, json: &str) -> Result<(), Failure> {
        (self.check)(self.kind, json).map_err(|fault| self.refusal(&fault))
    }

    pub(crate) fn read<T: FieldValue>(&self, json: &str) -> Result<T, Failure> {
        T::read(self.kind, json).map_err(|fault| self.refusal(&fault))
    }

    /// Names the field and both types, and not the value: it may be secret.
    fn refusal(&self, fault: &Mismatch) -> Failure {
        Failure::refused(format!(
            "Field validation failed: error converting input for field {:?}: {fault}",
            self.name
        ))
    }
}

fn check<T: FieldValue>(kind: FieldType, json: &str) -> Result<(), Mismatch> {
    T::read(kind, json).map(drop)
}

/// What a client may send for a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldType {
    /// Text.
    String,
    /// Text in lower case.
    LowerCaseString,
    /// A whole number.
    Int,
    /// A whole number of 64 bits.
    Int64,
    /// True or false.
    Bool,
    /// A span of time in whole seconds.
    DurationSecond,
    /// A span of time in whole seconds that may be negative.
    SignedDurationSecond,
    /// A JSON object.
    Map,
    /// Names and texts.
    KvPairs,
    /// A list of texts.
    StringSlice,
    /// A list of texts, or text with commas.
    CommaStringSlice,
    /// A list of whole numbers, or text with commas.
    CommaIntSlice,
    /// Any JSON.
    Any,
    /// A point in time.
    Time,
}

impl FieldType {
    /// The word that help shows.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::LowerCaseString => "lowercase string",
            Self::Int => "int",
            Self::Int64 => "int64",
            Self::Bool => "bool",
            Self::DurationSecond => "duration (sec)",
            Self::SignedDurationSecond => "signed duration (sec)",
            Self::Map => "map",
            Self::KvPairs => "keypair",
            Self::StringSlice | Self::CommaStringSlice | Self::CommaIntSlice => "slice",
            Self::Any => "any",
            Self::Time => "time",
        }
    }

    /// The type in an OpenAPI document.
    pub(crate) fn openapi(self) -> &'static str {
        match self {
            Self::String | Self::LowerCaseString | Self::Time => "string",
            Self::Int | Self::Int64 | Self::DurationSecond | Self::SignedDurationSecond => {
                "integer"
            }
            Self::Bool => "boolean",
            Self::Map | Self::KvPairs | Self::Any => "object",
            Self::StringSlice | Self::CommaStringSlice | Self::CommaIntSlice => "array",
        }
    }
}
