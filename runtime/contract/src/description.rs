//! What a plugin says about itself, without being set up.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The version of the contract that this crate is: of the WIT package and of the custom section.
pub const CONTRACT_VERSION: &str = "0.1.0";

/// The custom section of a component in which type, version and contract version stand, readable without running it.
pub const SECTION_NAME: &str = "palisade:plugin";

/// What a plugin is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// What it is for.
    pub plugin_type: PluginType,
    /// Its own version: empty, or semver with a leading `v`.
    pub version: String,
    /// The contract it was built against.
    pub contract_version: String,
    /// Paths that the host treats specially.
    pub special_paths: SpecialPaths,
}

impl Description {
    /// A description of a plugin built against this contract, without special paths.
    pub fn new(plugin_type: PluginType, version: impl Into<String>) -> Self {
        Self {
            plugin_type,
            version: version.into(),
            contract_version: CONTRACT_VERSION.to_owned(),
            special_paths: SpecialPaths::default(),
        }
    }
}

/// What a plugin is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PluginType {
    /// Logs clients in.
    Auth,
    /// Makes users of a database, for the server's database engine. It has no mount, and runs as a process only.
    Database,
    /// Keeps or makes secrets.
    Secret,
}

impl PluginType {
    /// The word in the catalog's paths.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Database => "database",
            Self::Secret => "secret",
        }
    }

    /// The number in `pb.TypeReply`; "unknown" for what is no backend.
    pub fn backend_number(self) -> u32 {
        match self {
            Self::Database => 0,
            Self::Secret => 1,
            Self::Auth => 2,
        }
    }

    /// The type with that number in `pb.TypeReply`.
    pub fn from_backend_number(number: u32) -> Option<Self> {
        match number {
            1 => Some(Self::Secret),
            2 => Some(Self::Auth),
            _ => None,
        }
    }
}

impl fmt::Display for PluginType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for PluginType {
    type Err = SectionError;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        match word {
            "auth" => Ok(Self::Auth),
            "database" => Ok(Self::Database),
            "secret" => Ok(Self::Secret),
            _ => Err(SectionError::UnknownType(word.to_owned())),
        }
    }
}

/// Paths, relative to the mount, that the host treats specially (`pb.Paths`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpecialPaths {
    /// Need the sudo capability. Exact, or a prefix when it ends in `*`.
    pub root: Vec<String>,
    /// Need no token. Exact, a prefix when it ends in `*`, and `+` for any one segment.
    pub unauthenticated: Vec<String>,
    /// Storage that is kept on this cluster only. Exact, or a prefix when it ends in `/`.
    pub local_storage: Vec<String>,
    /// Storage that is sealed twice. Exact, or a prefix when it ends in `/`.
    pub seal_wrap_storage: Vec<String>,
    /// Storage whose writes go to the active node. Exact, or a prefix when it ends in `/`.
    pub write_forwarded_storage: Vec<String>,
    /// Reading or listing these changes nothing and makes nothing, here or elsewhere: when the process that had such a
    /// request dies, it may be sent again. Exact, a prefix when it ends in `*`, and `+` for any one segment. Palisade's
    /// own: the Go SDKs do not know it.
    pub safe_reads: Vec<String>,
}

/// The content of the custom section: JSON with these three.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SectionFacts {
    /// The contract it was built against, semver.
    pub contract: String,
    /// What it is for.
    #[serde(rename = "type")]
    pub plugin_type: PluginType,
    /// Its own version: empty, or semver with a leading `v`.
    pub version: String,
}

impl SectionFacts {
    /// Reads the section's bytes, which are untrusted.
    ///
    /// # Errors
    ///
    /// [`SectionError::Malformed`] when they are not that JSON.
    pub fn parse(bytes: &[u8]) -> Result<Self, SectionError> {
        serde_json::from_slice(bytes).map_err(|fault| SectionError::Malformed(fault.to_string()))
    }

    /// Whether `describe` told the same.
    pub fn agrees_with(&self, description: &Description) -> bool {
        self.plugin_type == description.plugin_type
            && self.version == description.version
            && self.contract == description.contract_version
    }
}

/// Why a custom section is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SectionError {
    /// Not the JSON it should be.
    #[error("the section {SECTION_NAME} is malformed: {0}")]
    Malformed(String),
    /// A type this version does not know.
    #[error("unknown plugin type {0:?}: it is auth, database or secret")]
    UnknownType(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_reads_back_and_agrees_with_its_description() {
        let section = br#"{"contract":"0.1.0","type":"secret","version":"v1.2.3"}"#;
        let facts = SectionFacts::parse(section).expect("the text is well-formed");
        assert!(facts.agrees_with(&Description::new(PluginType::Secret, "v1.2.3")));
        assert!(!facts.agrees_with(&Description::new(PluginType::Auth, "v1.2.3")));
    }

    #[test]
    fn a_section_with_a_field_too_many_is_refused() {
        let section = br#"{"contract":"0.1.0","type":"secret","version":"","x":1}"#;
        assert!(matches!(
            SectionFacts::parse(section),
            Err(SectionError::Malformed(_))
        ));
    }
}
