//! What an operator lets one plugin do beyond answering requests, and how its process is to be started.

mod folder;

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use folder::{FolderAccess, FolderGrant};

use crate::worker::Layer;
use crate::{GrammarError, RuntimeKind};

/// Folders that one entry may be granted.
const FOLDERS_MAX: usize = 16;

/// One thing that a plugin may do only if its entry says so.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Grant {
    /// Reach the network, as the server's machine sees it.
    Network,
    /// Use one of the operator's folders.
    Folder(FolderGrant),
}

impl Grant {
    /// Whether one of these gives as much or more.
    pub(crate) fn is_within(&self, allowed: &BTreeSet<Self>) -> bool {
        let is_wider = |other: &Self| match (self, other) {
            (Self::Folder(this), Self::Folder(other)) => {
                this.name() == other.name() && this.access() <= other.access()
            }
            _ => self == other,
        };
        allowed.iter().any(is_wider)
    }

    /// Whether plugins of that kind can be given it.
    fn is_for(&self, kind: RuntimeKind) -> bool {
        match self {
            Self::Network => kind == RuntimeKind::Native,
            Self::Folder(_) => kind == RuntimeKind::Wasm,
        }
    }
}

impl fmt::Display for Grant {
    /// The words in manifests, listings and errors.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network => f.write_str("network"),
            Self::Folder(folder) => folder.fmt(f),
        }
    }
}

impl FromStr for Grant {
    type Err = GrammarError;

    fn from_str(words: &str) -> Result<Self, Self::Err> {
        let refuse = |fault: &str| Err(GrammarError::new("grant", words, fault));
        match words.split_once(':') {
            None if words == "network" => Ok(Self::Network),
            Some(("folder", folder)) => match FolderGrant::parse(folder) {
                Ok(folder) => Ok(Self::Folder(folder)),
                Err(fault) => refuse(&fault),
            },
            // The place of outbound requests, so that an entry of today means the same then.
            Some(("http", _)) => refuse(
                "requests of a component to other hosts come later; leave it out, or register an executable with the grant network",
            ),
            _ => refuse("there are network, folder:NAME:ro and folder:NAME:rw"),
        }
    }
}

impl TryFrom<String> for Grant {
    type Error = GrammarError;

    fn try_from(words: String) -> Result<Self, Self::Error> {
        words.parse()
    }
}

impl From<Grant> for String {
    fn from(grant: Grant) -> Self {
        grant.to_string()
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
    /// The words that are no grant, or a folder that is granted twice.
    pub fn stated(words: &[String]) -> Result<Self, GrammarError> {
        let grants = words.iter().map(|word| word.parse());
        let grants = Self(grants.collect::<Result<_, _>>()?);
        grants.check_folders()?;
        Ok(grants)
    }

    /// Whether this one was granted.
    pub fn has(&self, grant: &Grant) -> bool {
        self.0.contains(grant)
    }

    /// All of them, in a fixed order.
    pub fn iter(&self) -> impl Iterator<Item = &Grant> {
        self.0.iter()
    }

    /// The folders among them.
    pub fn folders(&self) -> impl Iterator<Item = &FolderGrant> {
        self.iter().filter_map(|grant| match grant {
            Grant::Folder(folder) => Some(folder),
            Grant::Network => None,
        })
    }

    fn check_folders(&self) -> Result<(), GrammarError> {
        let mut names = BTreeSet::new();
        if let Some(twice) = self.folders().find(|folder| !names.insert(folder.name())) {
            let fault = "the folder is granted twice; say either ro or rw";
            return Err(GrammarError::new("grant", &twice.to_string(), fault));
        }
        if names.len() > FOLDERS_MAX {
            let fault = format!("there are {}, {FOLDERS_MAX} are allowed", names.len());
            return Err(GrammarError::new("grant", "folder", &fault));
        }
        Ok(())
    }

    /// # Errors
    ///
    /// The first that plugins of that kind cannot have.
    pub(crate) fn check(&self, kind: RuntimeKind) -> Result<(), GrammarError> {
        match self.iter().find(|grant| !grant.is_for(kind)) {
            None => Ok(()),
            Some(grant) => Err(GrammarError::new(
                "grant",
                &grant.to_string(),
                &format!("a {kind} plugin cannot be given it; leave it out"),
            )),
        }
    }
}

/// How the process of a native plugin is started. A component has only the environment of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProcessOptions {
    /// Its arguments.
    pub args: Vec<String>,
    /// The environment, each `NAME=value`; of a process, besides what the protocol sets.
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
        assert!(!grants(&[]).unwrap().has(&Grant::Network));
        assert!(grants(&["network"]).unwrap().has(&Grant::Network));
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

    #[test]
    fn a_folder_is_granted_with_its_access_and_reads_back() {
        let given = grants(&["folder:certs:ro", "folder:spool:rw"]).unwrap();
        let folders: Vec<_> = given.folders().map(|it| (it.name(), it.access())).collect();
        let expected = [
            ("certs", FolderAccess::ReadOnly),
            ("spool", FolderAccess::ReadWrite),
        ];
        assert_eq!(folders, expected);
        let json = serde_json::to_string(&given).unwrap();
        assert_eq!(json, r#"["folder:certs:ro","folder:spool:rw"]"#);
        assert_eq!(serde_json::from_str::<Grants>(&json).unwrap(), given);
        assert!(given.check(RuntimeKind::Wasm).is_ok());
        let fault = given.check(RuntimeKind::Native).unwrap_err().to_string();
        assert!(
            fault.contains("native") && fault.contains("folder:certs:ro"),
            "{fault}"
        );
    }

    #[test]
    fn a_folder_that_is_none_is_refused_with_what_is_wrong() {
        for (words, fault) in [
            ("folder:certs", ":ro or :rw"),
            ("folder:certs:r", ":ro or :rw"),
            ("folder::ro", "name"),
            ("folder:..:ro", "name"),
            ("folder:a/b:ro", "name"),
            ("folder:.ssh:ro", "name"),
            ("folder", "folder:NAME:ro"),
        ] {
            let told = grants(&[words]).unwrap_err().to_string();
            assert!(told.contains(fault), "{words}: {told}");
        }
        let twice = grants(&["folder:a:ro", "folder:a:rw"]).unwrap_err();
        assert!(twice.to_string().contains("twice"), "{twice}");
    }

    #[test]
    fn outbound_requests_have_their_place_and_are_refused_today() {
        let fault = grants(&["http:example.org"]).unwrap_err().to_string();
        assert!(
            fault.contains("come later") && fault.contains("network"),
            "{fault}"
        );
    }
}
