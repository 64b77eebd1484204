//! JSON text that crosses every boundary unparsed and unchanged.

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// A JSON value as text.
///
/// Numbers keep their digits and objects their order, because nobody between the client and the plugin parses them.
/// The text may be secret: `Debug` shows its length only.
#[derive(Clone, PartialEq, Eq)]
pub struct Json(String);

impl Json {
    /// The text `null`, which stands for "no data" on the wire.
    pub fn null() -> Self {
        Self("null".to_owned())
    }

    /// Takes text that a peer says is JSON. Whoever parses it finds out.
    pub fn from_text(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Writes a value as JSON text.
    ///
    /// # Errors
    ///
    /// When the value has a map whose keys are not strings, or its own `Serialize` fails.
    pub fn of<T: Serialize + ?Sized>(value: &T) -> Result<Self, serde_json::Error> {
        serde_json::to_string(value).map(Self)
    }

    /// Reads the text as a `T`.
    ///
    /// # Errors
    ///
    /// When the text is not JSON or has another shape.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(&self.0)
    }

    /// The text itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text itself, given away.
    pub fn into_string(self) -> String {
        self.0
    }

    /// Whether the text is `null` or empty: no data either way.
    pub fn is_null(&self) -> bool {
        matches!(self.0.trim(), "null" | "")
    }
}

impl Default for Json {
    fn default() -> Self {
        Self::null()
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Json({} bytes)", self.0.len())
    }
}
