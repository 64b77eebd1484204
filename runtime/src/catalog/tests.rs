//! The catalog as a whole, over a store and a folder.

use std::fs;
use std::sync::Arc;

use async_trait::async_trait;
use palisade_contract::{
    Backend, Description, Host, Plugin, PluginError, PluginType, SectionFacts, SetupConfig,
};
use sha2::{Digest as _, Sha256};

use super::testing::{COMPONENT, Says, manifest};
use super::{
    BUILTIN_VERSION, Catalog, Choice, ComponentInspector, Entry, EntryKey, Manifest, PREFIX,
    PluginDirectory, Survey, Verified, Wanted,
};
use crate::store::{Commit, MemoryStore, Store, Write};
use crate::{ErrorKind, PluginName, Profile, RegisterError, RuntimeKind};

struct Fixture {
    folder: tempfile::TempDir,
    store: Arc<MemoryStore>,
    catalog: Catalog,
}

struct Linked;

#[async_trait]
impl Plugin for Linked {
    fn describe(&self) -> Description {
        Description::new(PluginType::Secret, "")
    }

    async fn setup(
        &self,
        _config: SetupConfig,
        _host: &dyn Host,
    ) -> Result<Box<dyn Backend>, PluginError> {
        Err(PluginError::unknown("the catalog runs nothing"))
    }
}

fn name(text: &str) -> PluginName {
    text.parse().expect("the name is well-formed")
}

/// Finds its facts only when two components are looked at at once: both registrations are then under way.
struct BothAtOnce(tokio::sync::Barrier, Says);

#[async_trait]
impl ComponentInspector for BothAtOnce {
    async fn inspect(
        &self,
        artifact: &Verified,
        profile: Profile,
    ) -> Result<Survey, RegisterError> {
        self.0.wait().await;
        self.1.inspect(artifact, profile).await
    }
}

fn fixture(says: impl ComponentInspector + 'static) -> Fixture {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let directory = PluginDirectory::open(folder.path()).expect("it is a directory");
    fs::write(folder.path().join("kv"), COMPONENT).expect("the folder is ours");
    let store = Arc::new(MemoryStore::new());
    let builtin: (PluginName, Arc<dyn Plugin>) = (name("kv"), Arc::new(Linked));
    let catalog = Catalog::new(store.clone(), Some(directory), Arc::new(says), [builtin]);
    Fixture {
        folder,
        store,
        catalog,
    }
}

fn versioned(version: &str) -> Manifest {
    Manifest {
        version: version.to_owned(),
        ..manifest("kv")
    }
}

/// A registration of other bytes under the same name.
fn other_bytes(fixture: &Fixture) -> Manifest {
    let bytes = [COMPONENT, &[0]].concat();
    fs::write(fixture.folder.path().join("other"), &bytes).expect("the folder is ours");
    Manifest {
        command: "other".to_owned(),
        sha256: hex::encode(Sha256::digest(&bytes)),
        ..manifest("kv")
    }
}

async fn stored(fixture: &Fixture) -> Vec<String> {
    let snapshot = fixture.store.snapshot().await.expect("memory is there");
    let path = format!("{PREFIX}secret/");
    let page = snapshot.list_page(&path, "", 100).await;
    page.expect("memory is there")
}

async fn resolved(fixture: &Fixture, version: &str, choice: Choice) -> Result<String, ErrorKind> {
    let wanted = Wanted {
        plugin_type: PluginType::Secret,
        name: name("kv"),
        version: version.parse().ok(),
    };
    match fixture.catalog.resolve(&wanted, choice, |_| ()).await {
        Ok(found) => Ok(format!("{} {}", found.runtime, found.running_version)),
        Err(error) => Err(error.kind()),
    }
}

#[tokio::test]
async fn a_registered_entry_can_be_read_and_taken_away() {
    let fixture = fixture(Says::secret(""));
    let entry = fixture.catalog.register(manifest("kv")).await.unwrap();
    assert_eq!(entry.runtime, RuntimeKind::Wasm);
    let read = fixture.catalog.entry(&entry.key).await.unwrap();
    assert_eq!(read, Some(entry.clone()));
    for _ in 0..2 {
        fixture.catalog.deregister(&entry.key).await.unwrap();
    }
    assert_eq!(fixture.catalog.entry(&entry.key).await.unwrap(), None);
}

#[tokio::test]
async fn a_refused_registration_stores_nothing() {
    let fixture = fixture(Says::secret("v1.0.0"));
    let place = fixture.folder.path();
    fs::write(place.join("script"), "#!/bin/sh\n").unwrap();
    fs::write(place.join("core"), b"\0asm\x01\0\0\0").unwrap();
    fs::write(place.join("empty"), b"").unwrap();
    let with = |command: &str, sha256: String| Manifest {
        command: command.to_owned(),
        sha256,
        ..manifest("kv")
    };
    let of = |bytes: &[u8]| hex::encode(Sha256::digest(bytes));
    let mut native = manifest("kv");
    native.runtime = Some(RuntimeKind::Native);
    let mut auth = manifest("kv");
    auth.plugin_type = PluginType::Auth;
    let cases = [
        (with("kv", "00".repeat(32)), ErrorKind::DigestMismatch),
        (with("absent", of(b"")), ErrorKind::ArtifactMissing),
        (with("empty", of(b"")), ErrorKind::ArtifactUnusable),
        (with("script", of(b"#!/bin/sh\n")), ErrorKind::ArtifactKind),
        (
            with("core", of(b"\0asm\x01\0\0\0")),
            ErrorKind::ArtifactKind,
        ),
        (native, ErrorKind::RuntimeMismatch),
        (auth, ErrorKind::PluginMismatch),
        (versioned("v2.0.0"), ErrorKind::PluginMismatch),
        (with("../kv", of(COMPONENT)), ErrorKind::InvalidInput),
    ];
    for (bad, kind) in cases {
        let error = fixture.catalog.register(bad).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
    }
    assert!(stored(&fixture).await.is_empty());
}

#[tokio::test]
async fn without_a_plugin_directory_nothing_can_be_registered() {
    let store = Arc::new(MemoryStore::new());
    let catalog = Catalog::new(store, None, Arc::new(Says::secret("")), []);
    let error = catalog.register(manifest("kv")).await.unwrap_err();
    assert!(matches!(error, RegisterError::NoDirectory));
}

#[tokio::test]
async fn of_two_registrations_at_once_with_other_bytes_one_wins_and_the_other_is_told() {
    let fixture = fixture(BothAtOnce(tokio::sync::Barrier::new(2), Says::secret("")));
    let other = other_bytes(&fixture);
    let (one, two) = tokio::join!(
        fixture.catalog.register(manifest("kv")),
        fixture.catalog.register(other)
    );
    let (winner, loser) = match (one, two) {
        (Ok(winner), Err(loser)) | (Err(loser), Ok(winner)) => (winner, loser),
        other => panic!("one wins and one loses: {other:?}"),
    };
    assert_eq!(loser.kind(), ErrorKind::EntryConflict);
    let kept = fixture.catalog.entry(&winner.key).await.unwrap();
    assert_eq!(kept, Some(winner));
}

#[tokio::test]
async fn many_identical_registrations_at_once_all_succeed() {
    let fixture = fixture(Says::secret(""));
    let all = (0..20).map(|_| fixture.catalog.register(manifest("kv")));
    let results = futures_util::future::join_all(all).await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
}

#[tokio::test]
async fn registering_again_with_other_bytes_replaces_the_entry() {
    let fixture = fixture(Says::secret(""));
    let first = fixture.catalog.register(manifest("kv")).await.unwrap();
    let second = fixture
        .catalog
        .register(other_bytes(&fixture))
        .await
        .unwrap();
    assert_ne!(first.sha256, second.sha256);
    let kept = fixture.catalog.entry(&first.key).await.unwrap();
    assert_eq!(kept, Some(second));
}

#[tokio::test]
async fn an_entry_wins_over_a_builtin_and_the_listing_says_so() {
    let fixture = fixture(Says::secret(""));
    let shadowed = |all: &[super::EntrySummary]| {
        all.iter()
            .find(|one| one.runtime == RuntimeKind::Builtin)
            .map(|one| one.shadowed)
    };
    let before = fixture.catalog.entries().await.unwrap();
    assert_eq!(shadowed(&before), Some(false));
    fixture.catalog.register(manifest("kv")).await.unwrap();
    let after = fixture.catalog.entries().await.unwrap();
    assert_eq!((after.len(), shadowed(&after)), (2, Some(true)));
    assert_eq!(resolved(&fixture, "", Choice::New).await.unwrap(), "wasm ");
    let builtin = resolved(&fixture, BUILTIN_VERSION, Choice::New).await;
    assert_eq!(builtin, Err(ErrorKind::EntryNotFound));
}

#[tokio::test]
async fn without_a_stated_version_the_highest_is_chosen_for_new_mounts_only() {
    let fixture = fixture(Says::secret(""));
    for version in ["v1.9.0", "v1.10.0", "v1.10.0-beta"] {
        fixture.catalog.register(versioned(version)).await.unwrap();
    }
    let new = resolved(&fixture, "", Choice::New).await;
    assert_eq!(new.unwrap(), "wasm v1.10.0");
    let builtin = format!("builtin {BUILTIN_VERSION}");
    assert_eq!(
        resolved(&fixture, "", Choice::Existing).await.unwrap(),
        builtin
    );
    let explicit = resolved(&fixture, BUILTIN_VERSION, Choice::New).await;
    assert_eq!(explicit.unwrap(), builtin);
    assert_eq!(
        resolved(&fixture, "v1.9.0", Choice::New).await.unwrap(),
        "wasm v1.9.0"
    );
    let unknown = resolved(&fixture, "v3.0.0", Choice::New).await;
    assert_eq!(unknown, Err(ErrorKind::EntryNotFound));
}

#[tokio::test]
async fn listings_are_sorted_by_version_and_not_by_text() {
    let fixture = fixture(Says::secret(""));
    for version in ["v1.9.0", "v1.10.0"] {
        fixture.catalog.register(versioned(version)).await.unwrap();
    }
    let all = fixture.catalog.entries().await.unwrap();
    let versions: Vec<_> = all.iter().map(|one| one.version.as_str()).collect();
    assert_eq!(versions, [BUILTIN_VERSION, "v1.9.0", "v1.10.0"]);
}

#[tokio::test]
async fn an_artifact_that_changed_since_its_registration_is_not_run() {
    let fixture = fixture(Says::secret(""));
    fixture.catalog.register(manifest("kv")).await.unwrap();
    fs::write(fixture.folder.path().join("kv"), [COMPONENT, &[0]].concat()).unwrap();
    let refused = resolved(&fixture, "", Choice::New).await;
    assert_eq!(refused, Err(ErrorKind::DigestMismatch));
}

#[tokio::test]
async fn an_entry_that_cannot_be_read_is_left_out_and_harms_no_other() {
    let fixture = fixture(Says::secret(""));
    fixture.catalog.register(manifest("kv")).await.unwrap();
    let key = EntryKey {
        plugin_type: PluginType::Secret,
        name: name("odd"),
        version: None,
    };
    let put = Write::Put {
        key: key.path(),
        value: b"{}".to_vec(),
    };
    fixture.store.commit(Commit::of(vec![put])).await.unwrap();
    assert_eq!(fixture.catalog.entries().await.unwrap().len(), 2);
    assert!(fixture.catalog.entry(&key).await.is_err());
}

#[tokio::test]
async fn a_component_of_another_type_or_version_is_refused() {
    let says = Says(SectionFacts {
        plugin_type: PluginType::Auth,
        ..Says::secret("v1.0.0").0
    });
    let fixture = fixture(says);
    let error = fixture.catalog.register(manifest("kv")).await.unwrap_err();
    assert!(error.to_string().contains("plugin type mismatch"));
    let auth = Manifest {
        plugin_type: PluginType::Auth,
        ..versioned("v1.0.0")
    };
    let entry: Entry = fixture.catalog.register(auth).await.unwrap();
    assert_eq!(entry.key.plugin_type, PluginType::Auth);
}
