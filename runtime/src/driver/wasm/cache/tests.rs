//! The cache as a whole: what is found again, by whom, and what is not.

use std::fs;
use std::sync::Mutex;

use wasmtime::Engine;

use super::*;
use crate::Digest;
use crate::driver::{CodeKey, CodeKeys};

/// A barrier that can be sealed, and unsealed with another key.
struct Barrier(Mutex<Option<u8>>);

impl CodeKeys for Barrier {
    fn key(&self) -> Option<CodeKey> {
        let key = *self.0.lock().unwrap();
        key.map(|byte| CodeKey::new([byte; 32]))
    }
}

struct Place {
    folder: tempfile::TempDir,
    barrier: Arc<Barrier>,
}

impl Place {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            barrier: Arc::new(Barrier(Mutex::new(Some(1)))),
        }
    }

    /// As after a start of the server.
    fn cache(&self) -> DiskCache {
        let config = CodeCache {
            folder: self.folder.path().join("cache"),
            bytes_max: 1 << 20,
            keys: self.barrier.clone(),
        };
        DiskCache::open(config, &Engine::default())
    }

    fn unseal(&self, key: Option<u8>) {
        *self.barrier.0.lock().unwrap() = key;
    }

    fn file(&self, identity: &Identity) -> std::path::PathBuf {
        self.folder.path().join("cache").join(identity.file_name())
    }
}

fn identity(entry: &str) -> Identity {
    Identity {
        entry: entry.to_owned(),
        artifact: Digest::new([1; 32]),
    }
}

async fn found(cache: &DiskCache, entry: &str) -> Option<Vec<u8>> {
    let work = cache.load(&identity(entry)).await;
    work.map(Authentic::into_bytes)
}

fn counts(hits: u64, misses: u64, rejections: u64) -> CacheCounts {
    CacheCounts {
        hits,
        misses,
        rejections,
    }
}

#[tokio::test]
async fn what_is_kept_is_found_after_a_restart() {
    let place = Place::new();
    let cache = place.cache();
    assert_eq!(found(&cache, "a").await, None);
    cache.keep(&identity("a"), b"code".to_vec()).await;
    let restarted = place.cache();
    assert_eq!(found(&restarted, "a").await.unwrap(), b"code");
    assert_eq!(found(&restarted, "b").await, None);
    assert_eq!(
        (cache.counts(), restarted.counts()),
        (counts(0, 1, 0), counts(1, 1, 0))
    );
}

#[tokio::test]
async fn while_sealed_nothing_is_loaded_and_nothing_kept() {
    let place = Place::new();
    let cache = place.cache();
    cache.keep(&identity("a"), b"code".to_vec()).await;
    place.unseal(None);
    assert_eq!(found(&cache, "a").await, None);
    cache.keep(&identity("b"), b"code".to_vec()).await;
    assert!(!place.file(&identity("b")).exists());
    // The control: unsealed, what was kept is there.
    place.unseal(Some(1));
    assert!(found(&cache, "a").await.is_some());
}

#[tokio::test]
async fn under_another_key_it_is_rejected_and_removed() {
    let place = Place::new();
    let cache = place.cache();
    cache.keep(&identity("a"), b"code".to_vec()).await;
    place.unseal(Some(2));
    assert_eq!(found(&cache, "a").await, None);
    assert!(!place.file(&identity("a")).exists());
    assert_eq!(cache.counts(), counts(0, 0, 1));
}

#[tokio::test]
async fn swapped_files_are_rejected() {
    let place = Place::new();
    let cache = place.cache();
    for entry in ["a", "b"] {
        cache
            .keep(&identity(entry), entry.as_bytes().to_vec())
            .await;
    }
    let [a, b] = ["a", "b"].map(|entry| place.file(&identity(entry)));
    let aside = a.with_extension("aside");
    fs::rename(&a, &aside).unwrap();
    fs::rename(&b, &a).unwrap();
    fs::rename(&aside, &b).unwrap();
    assert_eq!(
        (found(&cache, "a").await, found(&cache, "b").await),
        (None, None)
    );
    assert_eq!(cache.counts(), counts(0, 0, 2));
}

#[tokio::test]
async fn a_changed_file_is_rejected_once_and_then_made_anew() {
    let place = Place::new();
    let cache = place.cache();
    let file = place.file(&identity("a"));
    for at in [0, 40, 100] {
        cache.keep(&identity("a"), vec![7; 200]).await;
        let mut content = fs::read(&file).unwrap();
        content[at] ^= 1;
        fs::write(&file, content).unwrap();
        assert_eq!(found(&cache, "a").await, None, "{at}");
        assert!(!file.exists());
    }
    cache.keep(&identity("a"), vec![7; 200]).await;
    assert!(found(&cache, "a").await.is_some());
    assert_eq!(cache.counts(), counts(1, 0, 3));
}

#[tokio::test]
async fn a_folder_that_cannot_be_trusted_is_done_without() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    let folder = place.folder.path().join("cache");
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
    let cache = place.cache();
    cache.keep(&identity("a"), b"code".to_vec()).await;
    assert_eq!(found(&cache, "a").await, None);
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
}
