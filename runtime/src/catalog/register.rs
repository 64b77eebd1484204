//! Registering and deregistering. Nothing of the plugin is run, and nothing is stored on failure.

use async_trait::async_trait;
use palisade_contract::SectionFacts;

use super::manifest::Draft;
use super::{
    Candidate, Catalog, Entry, EntryKey, Manifest, PluginDirectory, Survey, Verified, record,
};
use crate::store::{Check, Commit, StoreError, Versioned, Write};
use crate::{Profile, RegisterError, RuntimeKind};

/// Reads what a component says of itself and what it imports, without running it and not in this process.
#[async_trait]
pub trait ComponentInspector: Send + Sync {
    /// What is known of it, if it is no larger than its profile allows.
    ///
    /// # Errors
    ///
    /// [`RegisterError::Import`] for imports that no plugin is given, [`RegisterError::Component`] when it is not
    /// well-formed, [`RegisterError::Worker`] when it could not be looked at.
    async fn inspect(&self, artifact: &Verified, profile: Profile)
    -> Result<Survey, RegisterError>;
}

impl Catalog {
    /// Registers an artifact, or replaces the entry of that name and version.
    pub(crate) async fn register(&self, manifest: Manifest) -> Result<Entry, RegisterError> {
        let draft = manifest.check()?;
        // Read before anything that takes time: whoever commits in between is found out.
        let before = self.stored(&draft.key).await?;
        let entry = self.consider(draft).await?.entry;
        self.keep(&entry, before.map(|found| found.revision))
            .await?;
        tracing::info!(plugin = %entry.key.name, runtime = %entry.runtime, sha256 = %entry.sha256, "registered");
        Ok(entry)
    }

    /// Everything that is checked before an entry is stored.
    pub(super) async fn consider(&self, draft: Draft) -> Result<Candidate, RegisterError> {
        let directory = self.directory()?;
        let artifact = directory.verify(&draft.command, draft.sha256).await?;
        let entry = draft.into_entry(artifact.runtime())?;
        self.ceiling.check(&entry.grants)?;
        let survey = self.inspect(&entry, &artifact).await?;
        Ok(Candidate {
            entry,
            size_bytes: Some(artifact.size()),
            survey,
        })
    }

    /// Removes an entry; removing what is not there is no error.
    pub(crate) async fn deregister(&self, key: &EntryKey) -> Result<(), RegisterError> {
        if key
            .version
            .as_ref()
            .is_some_and(|version| version.is_builtin())
        {
            return Err(RegisterError::Invalid(
                "a builtin cannot be deregistered".to_owned(),
            ));
        }
        let delete = Write::Delete { key: key.path() };
        Ok(self.store.commit(Commit::of(vec![delete])).await?)
    }

    /// One registered entry.
    pub(crate) async fn entry(&self, key: &EntryKey) -> Result<Option<Entry>, RegisterError> {
        match self.stored(key).await? {
            Some(found) => record::decode(&key.path(), &found.value).map(Some),
            None => Ok(None),
        }
    }

    pub(super) fn directory(&self) -> Result<&PluginDirectory, RegisterError> {
        self.directory.as_ref().ok_or(RegisterError::NoDirectory)
    }

    async fn stored(&self, key: &EntryKey) -> Result<Option<Versioned>, RegisterError> {
        Ok(self.store.snapshot().await?.get(&key.path()).await?)
    }

    async fn inspect(
        &self,
        entry: &Entry,
        artifact: &Verified,
    ) -> Result<Option<Survey>, RegisterError> {
        // A process tells what it is only when it runs, and registering runs nothing.
        if entry.runtime != RuntimeKind::Wasm {
            return Ok(None);
        }
        let profile = entry.limits.profile;
        let survey = self.inspector.inspect(artifact, profile).await?;
        agree(entry, &survey.facts)?;
        Ok(Some(survey.given(&entry.grants, &entry.process.env)))
    }

    /// Stores the entry if nobody else stored another one since `revision`.
    async fn keep(&self, entry: &Entry, revision: Option<u64>) -> Result<(), RegisterError> {
        let key = entry.key.path();
        let value = record::encode(entry)?;
        let commit = Commit {
            checks: vec![Check::Key {
                key: key.clone(),
                revision,
            }],
            writes: vec![Write::Put { key, value }],
        };
        match self.store.commit(commit).await {
            Ok(()) => Ok(()),
            Err(StoreError::Conflict(_)) => self.settle(entry).await,
            Err(error) => Err(error.into()),
        }
    }

    /// Somebody else was faster: all is well if they said the same.
    async fn settle(&self, entry: &Entry) -> Result<(), RegisterError> {
        match self.entry(&entry.key).await? {
            Some(winner) if winner == *entry => Ok(()),
            _ => Err(RegisterError::Conflict),
        }
    }
}

fn agree(entry: &Entry, facts: &SectionFacts) -> Result<(), RegisterError> {
    let stated = record::version_text(&entry.key);
    if facts.plugin_type != entry.key.plugin_type {
        return Err(RegisterError::Mismatch(format!(
            "plugin type mismatch: the component is of type {}, the registration says {}",
            facts.plugin_type, entry.key.plugin_type
        )));
    }
    if !stated.is_empty() && !facts.version.is_empty() && facts.version != stated {
        return Err(RegisterError::Mismatch(format!(
            "plugin version mismatch: the component reports {:?}, the registration says {stated:?}",
            facts.version
        )));
    }
    Ok(())
}
