//! What is known of a component before anything of it runs: what it says of itself, what it wants, and how large it is.

use std::fmt;

use palisade_contract::{PluginType, SectionFacts};
use serde::{Deserialize, Serialize};

use crate::Grants;

/// A component, as far as it can be known without running it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Survey {
    /// What its custom section says.
    pub facts: SectionFacts,
    /// What it imports, and what becomes of that.
    pub imports: Vec<Import>,
    /// The interfaces that it exports.
    pub exports: Vec<String>,
    /// How much there is of it.
    pub structure: Structure,
    /// What made it, as it says itself.
    pub producers: Vec<Producer>,
}

impl Survey {
    /// One of which nothing is known but what it says of itself.
    pub fn of(facts: SectionFacts) -> Self {
        Self {
            facts,
            imports: Vec::new(),
            exports: Vec::new(),
            structure: Structure::default(),
            producers: Vec::new(),
        }
    }

    /// The same for an entry with these grants and this environment: with a folder to use, the file system has something
    /// behind it, and with a variable to read, the environment has.
    pub(crate) fn given(mut self, grants: &Grants, environment: &[String]) -> Self {
        if grants.folders().next().is_some() {
            self.grant("wasi:filesystem/");
        }
        if !environment.is_empty() {
            self.grant("wasi:cli/environment@");
        }
        self
    }

    fn grant(&mut self, prefix: &str) {
        let named = |import: &&mut Import| import.name.starts_with(prefix);
        for import in self.imports.iter_mut().filter(named) {
            import.verdict = Verdict::Granted;
        }
    }

    /// The world of the contract that it is built for.
    pub fn world(&self) -> String {
        let world = match self.facts.plugin_type {
            PluginType::Secret => "secrets",
            PluginType::Auth => "auth",
            PluginType::Database => "database",
        };
        format!("palisade:plugin/{world}@{}", self.facts.contract)
    }

    /// The languages that it was written in, as it says itself.
    pub fn languages(&self) -> Vec<&str> {
        let stated = self.producers.iter().filter(|it| it.field == "language");
        stated.map(|it| it.name.as_str()).collect()
    }
}

/// An import by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Import {
    /// Its name, such as `wasi:io/poll@0.2.6`.
    pub name: String,
    /// What becomes of it.
    pub verdict: Verdict,
}

/// What becomes of an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It is given.
    Granted,
    /// It is there with nothing behind it: its lists are empty, its doors closed. Toolchains import it whether or not the
    /// plugin has a use for it.
    Stubbed,
    /// No plugin is given it, and a component that imports it is not registered.
    Refused,
}

impl Verdict {
    /// The word in listings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Granted => "granted",
            Self::Stubbed => "stubbed",
            Self::Refused => "refused",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Sums over all modules of a component.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Structure {
    /// Modules, and components inside it.
    pub parts: u64,
    /// Functions with code.
    pub functions: u64,
    /// Globals.
    pub globals: u64,
    /// Segments of data and of table elements.
    pub segments: u64,
    /// Linear memories, in pages of 64 KiB.
    pub memories: Vec<Extent>,
    /// Tables, in elements.
    pub tables: Vec<Extent>,
}

/// How large something is, and may become.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extent {
    /// At the beginning.
    pub minimum: u64,
    /// At most, if that is stated. What the entry's limits allow holds in any case.
    pub maximum: Option<u64>,
}

impl fmt::Display for Extent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.maximum {
            Some(maximum) => write!(f, "{}..{maximum}", self.minimum),
            None => write!(f, "{}..", self.minimum),
        }
    }
}

/// A word of its `producers` sections, which nobody checks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Producer {
    /// `language`, `processed-by` or `sdk`.
    pub field: String,
    /// Such as `Rust`.
    pub name: String,
    /// Its version, if stated.
    pub version: String,
}

impl fmt::Display for Producer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, version, .. } = self;
        match version.as_str() {
            "" => f.write_str(name),
            version => write!(f, "{name} {version}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdicts(grants: &[&str], environment: &[&str]) -> Vec<&'static str> {
        let texts = |words: &[&str]| words.iter().map(|&it| it.to_owned()).collect::<Vec<_>>();
        let imports = [
            "wasi:cli/environment@0.2.6",
            "wasi:cli/stdin@0.2.6",
            "wasi:filesystem/types@0.2.6",
        ];
        let mut survey = Survey::of(SectionFacts {
            plugin_type: PluginType::Secret,
            version: "v1.0.0".to_owned(),
            contract: "0.1.0".to_owned(),
        });
        survey.imports.extend(imports.map(|name| Import {
            name: name.to_owned(),
            verdict: Verdict::Stubbed,
        }));
        let survey = survey.given(
            &Grants::stated(&texts(grants)).unwrap(),
            &texts(environment),
        );
        survey
            .imports
            .iter()
            .map(|it| it.verdict.as_str())
            .collect()
    }

    #[test]
    fn what_an_entry_gives_is_granted_and_the_rest_is_stubbed() {
        for (grants, environment, expected) in [
            (&[][..], &[][..], ["stubbed", "stubbed", "stubbed"]),
            (&[], &["REGION=north"], ["granted", "stubbed", "stubbed"]),
            (&["folder:certs:ro"], &[], ["stubbed", "stubbed", "granted"]),
        ] {
            assert_eq!(verdicts(grants, environment), expected);
        }
    }
}
