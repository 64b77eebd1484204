//! What a registration would come to: everything but the storing of it.

use palisade_contract::PluginType;

use super::{Catalog, Choice, Entry, EntryKey, Manifest, Survey, Verified, Wanted};
use crate::{PluginName, RegisterError, RuntimeKind};

/// What would be registered, and what there is.
#[derive(Clone, Debug)]
pub struct DryRun {
    /// What would be registered.
    pub candidate: Candidate,
    /// What a mount of that name would run now; nothing when there is no entry of it.
    pub current: Option<Candidate>,
}

/// An entry, and what is known of its artifact.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The entry.
    pub entry: Entry,
    /// The artifact's size; unknown when its file is no longer what was registered.
    pub size_bytes: Option<u64>,
    /// What is known of a component.
    pub survey: Option<Survey>,
}

impl Catalog {
    /// Checks all that a registration checks, and changes nothing.
    pub(crate) async fn dry_run(&self, manifest: Manifest) -> Result<DryRun, RegisterError> {
        let candidate = self.consider(manifest.check()?).await?;
        let current = match self.current(&candidate.entry.key).await? {
            Some(entry) => Some(self.known_of(entry).await),
            None => None,
        };
        Ok(DryRun { candidate, current })
    }

    /// The entry of that key, else the one that a new mount of that name runs.
    async fn current(&self, key: &EntryKey) -> Result<Option<Entry>, RegisterError> {
        if let Some(entry) = self.entry(key).await? {
            return Ok(Some(entry));
        }
        self.entry_for_new(key.plugin_type, &key.name).await
    }

    async fn entry_for_new(
        &self,
        plugin_type: PluginType,
        name: &PluginName,
    ) -> Result<Option<Entry>, RegisterError> {
        let wanted = Wanted {
            plugin_type,
            name: name.clone(),
            version: None,
        };
        self.chosen_entry(&wanted, Choice::New).await
    }

    async fn known_of(&self, entry: Entry) -> Candidate {
        let artifact = self.artifact_of(&entry).await;
        let survey = match (&artifact, entry.runtime) {
            (Some(artifact), RuntimeKind::Wasm) => {
                let profile = entry.limits.profile;
                let survey = self.inspector.inspect(artifact, profile).await.ok();
                survey.map(|it| it.given(&entry.grants, &entry.process.env))
            }
            _ => None,
        };
        Candidate {
            entry,
            size_bytes: artifact.map(|artifact| artifact.size()),
            survey,
        }
    }

    /// The bytes that run, if they do; else those of the file, if they are still the entry's.
    async fn artifact_of(&self, entry: &Entry) -> Option<Verified> {
        let directory = self.directory().ok()?;
        if let Some(held) = directory.held(entry.sha256) {
            return Some(held);
        }
        let verified = directory.verify(&entry.command, entry.sha256).await;
        verified.ok()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Arc;

    use palisade_contract::PluginType;
    use sha2::{Digest as _, Sha256};

    use super::super::testing::{COMPONENT, Says, manifest};
    use super::super::{Manifest, PluginDirectory};
    use super::*;
    use crate::GrantCeiling;
    use crate::store::{MemoryStore, Store};

    struct Place {
        folder: tempfile::TempDir,
        store: Arc<MemoryStore>,
        catalog: Catalog,
    }

    fn place(ceiling: GrantCeiling) -> Place {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("kv"), COMPONENT).unwrap();
        fs::copy("/proc/self/exe", folder.path().join("process")).unwrap();
        let store = Arc::new(MemoryStore::new());
        let directory = PluginDirectory::open(folder.path()).unwrap();
        let says = Arc::new(Says::secret(""));
        let catalog = Catalog::new(store.clone(), Some(directory), says, []).beneath(ceiling);
        Place {
            folder,
            store,
            catalog,
        }
    }

    fn process(place: &Place) -> Manifest {
        let bytes = fs::read(place.folder.path().join("process")).unwrap();
        Manifest {
            command: "process".to_owned(),
            grants: vec!["network".to_owned()],
            ..Manifest::new(
                PluginType::Secret,
                "process",
                &hex::encode(Sha256::digest(bytes)),
            )
        }
    }

    async fn is_empty(place: &Place) -> bool {
        let snapshot = place.store.snapshot().await.unwrap();
        snapshot.list_page("", "", 1).await.unwrap().is_empty()
    }

    #[tokio::test]
    async fn a_dry_run_stores_nothing_and_tells_what_there_is() {
        let place = place(GrantCeiling::default());
        let first = place.catalog.dry_run(manifest("kv")).await.unwrap();
        assert!(first.current.is_none() && is_empty(&place).await);
        assert_eq!(first.candidate.size_bytes, Some(COMPONENT.len() as u64));
        place.catalog.register(manifest("kv")).await.unwrap();
        // Another version is compared with what a new mount would run.
        let next = Manifest {
            version: "v2.0.0".to_owned(),
            ..manifest("kv")
        };
        let second = place.catalog.dry_run(next).await.unwrap();
        let current = second.current.unwrap();
        assert_eq!(current.entry.key.version, None);
        assert!(current.survey.is_some());
        assert!(second.candidate.entry.key.version.is_some());
    }

    #[tokio::test]
    async fn of_an_artifact_that_is_no_longer_there_only_the_entry_is_known() {
        let place = place(GrantCeiling::default());
        place.catalog.register(manifest("kv")).await.unwrap();
        let replaced = [COMPONENT, b"\0\x01\0"].concat();
        fs::write(place.folder.path().join("kv"), &replaced).unwrap();
        let new = Manifest {
            sha256: hex::encode(Sha256::digest(&replaced)),
            ..manifest("kv")
        };
        let current = place.catalog.dry_run(new).await.unwrap().current.unwrap();
        assert_eq!((current.size_bytes, current.survey), (None, None));
    }

    #[tokio::test]
    async fn what_would_be_refused_is_refused_dry_too() {
        let place = place(GrantCeiling::default());
        let wrong = Manifest {
            sha256: "0".repeat(64),
            ..manifest("kv")
        };
        assert!(place.catalog.dry_run(wrong).await.is_err());
    }

    #[tokio::test]
    async fn a_ceiling_bounds_what_is_registered_and_what_was() {
        let lowered = GrantCeiling::stated(&[]).unwrap();
        let before = place(GrantCeiling::default());
        before.catalog.register(process(&before)).await.unwrap();
        let wanted = Wanted {
            plugin_type: PluginType::Secret,
            name: "process".parse().unwrap(),
            version: None,
        };
        before
            .catalog
            .resolve(&wanted, Choice::New, |_| ())
            .await
            .unwrap();

        let after = Place {
            catalog: before.catalog.beneath(lowered),
            ..before
        };
        let refused = after.catalog.resolve(&wanted, Choice::New, |_| ()).await;
        let refused = refused.map(drop).unwrap_err();
        assert_eq!(refused.kind(), crate::ErrorKind::GrantRefused, "{refused}");
        let refused = after.catalog.register(process(&after)).await.unwrap_err();
        assert_eq!(refused.kind(), crate::ErrorKind::GrantRefused, "{refused}");
        // Without the grant it is registered.
        let modest = Manifest {
            grants: Vec::new(),
            ..process(&after)
        };
        after.catalog.register(modest).await.unwrap();
        after
            .catalog
            .resolve(&wanted, Choice::New, |_| ())
            .await
            .unwrap();
    }
}
