//! What the entries of a server may be granted at most, whatever an operator states for one of them.

use std::collections::BTreeSet;

use crate::{GrammarError, Grant, Grants, RegisterError};

/// The grants that a server's configuration allows. By default all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GrantCeiling(Option<BTreeSet<Grant>>);

impl GrantCeiling {
    /// One that allows these, and no others.
    ///
    /// # Errors
    ///
    /// The word that is no grant.
    pub fn stated(words: &[String]) -> Result<Self, GrammarError> {
        let grants = words.iter().map(|word| word.parse());
        Ok(Self(Some(grants.collect::<Result<_, _>>()?)))
    }

    /// # Errors
    ///
    /// [`RegisterError::Ceiling`] with the first grant that is over it.
    pub(crate) fn check(&self, grants: &Grants) -> Result<(), RegisterError> {
        let Some(allowed) = &self.0 else {
            return Ok(());
        };
        match grants.iter().find(|grant| !grant.is_within(allowed)) {
            None => Ok(()),
            Some(grant) => Err(RegisterError::Ceiling {
                grant: grant.to_string(),
                allowed: allowed.iter().map(ToString::to_string).collect(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn without_a_ceiling_everything_is_allowed() {
        let network = Grants::stated(&words(&["network"])).unwrap();
        assert!(GrantCeiling::default().check(&network).is_ok());
        let same = GrantCeiling::stated(&words(&["network"])).unwrap();
        assert!(same.check(&network).is_ok());
    }

    #[test]
    fn what_is_over_the_ceiling_is_refused_by_name() {
        let nothing = GrantCeiling::stated(&[]).unwrap();
        let network = Grants::stated(&words(&["network"])).unwrap();
        let fault = nothing.check(&network).unwrap_err().to_string();
        assert!(
            fault.contains("network") && fault.contains("plugin_grants_ceiling"),
            "{fault}"
        );
        assert!(nothing.check(&Grants::default()).is_ok());
    }

    #[test]
    fn a_folder_that_may_be_written_may_be_read() {
        let ceiling = GrantCeiling::stated(&words(&["folder:certs:rw"])).unwrap();
        let grants = |word: &str| Grants::stated(&words(&[word])).unwrap();
        assert!(ceiling.check(&grants("folder:certs:rw")).is_ok());
        assert!(ceiling.check(&grants("folder:certs:ro")).is_ok());
        assert!(ceiling.check(&grants("folder:others:ro")).is_err());
        let less = GrantCeiling::stated(&words(&["folder:certs:ro"])).unwrap();
        assert!(less.check(&grants("folder:certs:rw")).is_err());
    }

    #[test]
    fn a_word_that_is_no_grant_makes_no_ceiling() {
        assert!(GrantCeiling::stated(&words(&["netwrok"])).is_err());
    }
}
