//! How large a component may be: most are small, and one that carries an interpreter is not.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::GrammarError;

/// Which limits of structure, budget of compiling and engine a component has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Hash)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// What compilers make of a plugin: files of a few MiB at the most, compiled within seconds.
    #[default]
    Ordinary,
    /// A component that carries an interpreter, such as Python's: tens of MiB, compiled in the better part of a minute.
    Large,
}

impl Profile {
    /// The word in manifests, listings and errors.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ordinary => "ordinary",
            Self::Large => "large",
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Profile {
    type Err = GrammarError;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        match word {
            "ordinary" => Ok(Self::Ordinary),
            "large" => Ok(Self::Large),
            _ => Err(GrammarError::new(
                "profile",
                word,
                "it is ordinary or large",
            )),
        }
    }
}
