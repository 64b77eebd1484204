//! What an operator lets one plugin do beyond answering requests, and how its process is to be started.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::worker::Layer;
use crate::{GrammarError, RuntimeKind};

/// One thing that a plugin may do only if its entry says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Grant {
    /// Reach the network, as the server's machine sees it.
    Network,
}

impl Grant {
    /// The word in manifests, listings and errors.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Network => "network",
        }
    }

    /// Whether plugins of that kind can be given it.
    fn is_for(self, kind: RuntimeKind) -> bool {
        match self {
            Self::Network => kind == RuntimeKind::Native,
        }
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Grant {
    type Err = GrammarError;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        match word {
            "network" => Ok(Self::Network),
            _ => Err(GrammarError::new("grant", word, "there is network")),
        }
    }
}

/// Everything that one entry is granted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Grants(BTreeSet<Grant>);

impl Grants {
    /// Reads what an operator states.
    ///
    /// # Errors
    ///
    /// The word that is no grant.
    pub fn stated(words: &[String]) -> Result<Self, GrammarError> {
        let grants = words.iter().map(|word| word.parse());
        Ok(Self(grants.collect::<Result<_, _>>()?))
    }

    /// Whether this one was granted.
    pub fn has(&self, grant: Grant) -> bool {
        self.0.contains(&grant)
    }

    /// All of them, in a fixed order.
    pub fn iter(&self) -> impl Iterator<Item = Grant> {
        self.0.iter().copied()
    }

    /// # Errors
    ///
    /// The first that plugins of that kind cannot have.
    pub(crate) fn check(&self, kind: RuntimeKind) -> Result<(), GrammarError> {
        match self.iter().find(|grant| !grant.is_for(kind)) {
            None => Ok(()),
            Some(grant) => Err(GrammarError::new(
                "grant",
                grant.as_str(),
                &format!("a {kind} plugin cannot be given it; leave it out"),
            )),
        }
    }
}

/// How the process of a native plugin is started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProcessOptions {
    /// Its arguments.
    pub args: Vec<String>,
    /// Its environment besides what the protocol sets, each `NAME=value`.
    pub env: Vec<String>,
    /// Whether it executes itself again, for which it has to find itself as a file. It then runs from a copy of the
    /// verified bytes that it cannot change.
    pub re_executes: bool,
    /// Whether each mount has a process of its own, even where the plugin could serve many in one.
    pub dedicated: bool,
    /// Walls without which it is not started.
    pub required_layers: BTreeSet<Layer>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grants(words: &[&str]) -> Result<Grants, GrammarError> {
        let words: Vec<_> = words.iter().map(|word| (*word).to_owned()).collect();
        Grants::stated(&words)
    }

    #[test]
    fn what_is_not_stated_is_not_granted() {
        assert!(!grants(&[]).unwrap().has(Grant::Network));
        assert!(grants(&["network"]).unwrap().has(Grant::Network));
    }

    #[test]
    fn a_word_that_is_no_grant_is_refused_with_those_that_are() {
        let fault = grants(&["internet"]).unwrap_err().to_string();
        assert!(fault.contains("internet") && fault.contains("network"));
    }

    #[test]
    fn a_component_cannot_be_given_the_network() {
        let given = grants(&["network"]).unwrap();
        assert!(given.check(RuntimeKind::Native).is_ok());
        let fault = given.check(RuntimeKind::Wasm).unwrap_err().to_string();
        assert!(fault.contains("wasm"), "{fault}");
    }
}
