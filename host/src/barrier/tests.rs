//! Proof that the medium learns nothing and can change nothing unnoticed.

use std::path::Path;

use palisade_runtime::store::{Check, MemoryStore, RedbStore};

use super::*;

const SEAL_KEY: [u8; KEY_BYTES] = [7; KEY_BYTES];

async fn open(medium: &MemoryStore) -> Barrier {
    let medium = Arc::new(medium.clone());
    Barrier::open(medium, &SEAL_KEY).await.unwrap()
}

async fn put(store: &dyn Store, key: &str, value: &[u8]) {
    try_put(store, key, value).await.unwrap();
}

async fn try_put(store: &dyn Store, key: &str, value: &[u8]) -> Result<(), StoreError> {
    let write = Write::Put {
        key: key.to_owned(),
        value: value.to_vec(),
    };
    store.commit(Commit::of(vec![write])).await
}

async fn get(store: &dyn Store, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
    let found = store.snapshot().await?.get(key).await?;
    Ok(found.map(|found| found.value))
}

async fn raw(medium: &MemoryStore, key: &str) -> Vec<u8> {
    get(medium, key).await.unwrap().unwrap()
}

/// Why it stays closed.
async fn refusal(medium: &MemoryStore, seal_key: &[u8; KEY_BYTES]) -> BarrierError {
    let opened = Barrier::open(Arc::new(medium.clone()), seal_key).await;
    opened.err().expect("it stays closed")
}

/// Everything that the medium has.
async fn content(medium: &MemoryStore) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for key in [ROOT_KEY_PATH, KEYRING_PATH, "a", "b"] {
        let value = get(medium, key).await.unwrap();
        all.extend(value.map(|value| (key.to_owned(), value)));
    }
    all
}

#[tokio::test]
async fn what_was_written_is_read_back_after_a_restart() {
    let medium = MemoryStore::new();
    put(&open(&medium).await, "a", b"secret").await;
    put(&open(&medium).await, "empty", b"").await;
    let again = open(&medium).await;
    assert_eq!(get(&again, "a").await.unwrap().unwrap(), b"secret");
    assert_eq!(get(&again, "empty").await.unwrap().unwrap(), b"");
    assert_eq!(get(&again, "none").await.unwrap(), None);
    let names = again.snapshot().await.unwrap();
    let names = names.list_page("", "", usize::MAX).await.unwrap();
    assert_eq!(names, ["a", "core/", "empty"]);
}

#[tokio::test]
async fn a_value_has_the_layout_of_openbao() {
    let medium = MemoryStore::new();
    put(&open(&medium).await, "a", b"secret").await;
    let sealed = raw(&medium, "a").await;
    assert_eq!(sealed.len(), 4 + 1 + 12 + 6 + 16);
    assert_eq!(sealed[..5], [0, 0, 0, 1, 2]);
}

#[tokio::test]
async fn one_value_written_twice_gives_two_ciphertexts() {
    let medium = MemoryStore::new();
    let barrier = open(&medium).await;
    put(&barrier, "a", b"secret").await;
    put(&barrier, "b", b"secret").await;
    let first = raw(&medium, "a").await;
    assert_ne!(first[5..], raw(&medium, "b").await[5..]);
    put(&barrier, "a", b"secret").await;
    assert_ne!(first, raw(&medium, "a").await);
}

#[tokio::test]
async fn a_ciphertext_moved_to_another_path_is_refused() {
    let medium = MemoryStore::new();
    let barrier = open(&medium).await;
    put(&barrier, "a", b"of a").await;
    put(&barrier, "b", b"of b").await;
    let (a, b) = (raw(&medium, "a").await, raw(&medium, "b").await);
    put(&medium, "a", &b).await;
    put(&medium, "b", &a).await;
    for key in ["a", "b"] {
        let error = get(&barrier, key).await.unwrap_err();
        assert!(matches!(error, StoreError::Undecryptable(at) if at == key));
    }
}

#[tokio::test]
async fn every_flipped_bit_and_every_cut_is_found() {
    let medium = MemoryStore::new();
    let barrier = open(&medium).await;
    put(&barrier, "a", b"secret").await;
    let sealed = raw(&medium, "a").await;
    for bit in 0..sealed.len() * 8 {
        let mut changed = sealed.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        put(&medium, "a", &changed).await;
        assert!(get(&barrier, "a").await.is_err(), "bit {bit}");
    }
    for length in 0..sealed.len() {
        put(&medium, "a", &sealed[..length]).await;
        assert!(get(&barrier, "a").await.is_err(), "{length} bytes");
    }
    put(&medium, "a", &sealed).await;
    assert_eq!(get(&barrier, "a").await.unwrap().unwrap(), b"secret");
}

#[tokio::test]
async fn a_wrong_seal_key_opens_nothing_and_changes_nothing() {
    let medium = MemoryStore::new();
    put(&open(&medium).await, "a", b"secret").await;
    let before = content(&medium).await;
    let error = refusal(&medium, &[8; KEY_BYTES]).await;
    assert!(matches!(error, BarrierError::WrongSealKey));
    assert!(error.to_string().contains("nothing was changed"));
    assert_eq!(content(&medium).await, before);
    assert_eq!(before.len(), 3);
}

#[tokio::test]
async fn data_without_its_keys_is_never_begun_anew() {
    for lost in [ROOT_KEY_PATH, KEYRING_PATH] {
        let medium = MemoryStore::new();
        put(&open(&medium).await, "a", b"secret").await;
        let delete = |key: &str| Write::Delete {
            key: key.to_owned(),
        };
        medium.commit(Commit::of(vec![delete(lost)])).await.unwrap();
        let error = refusal(&medium, &SEAL_KEY).await;
        assert!(matches!(error, BarrierError::Missing(path) if path == lost));

        let both = vec![delete(ROOT_KEY_PATH), delete(KEYRING_PATH)];
        medium.commit(Commit::of(both)).await.unwrap();
        let error = refusal(&medium, &SEAL_KEY).await;
        assert!(matches!(error, BarrierError::Missing(_)));
        assert_eq!(content(&medium).await.len(), 1);
    }
}

#[tokio::test]
async fn a_keyring_of_another_storage_is_refused() {
    let (medium, other) = (MemoryStore::new(), MemoryStore::new());
    open(&medium).await;
    open(&other).await;
    let foreign = raw(&other, KEYRING_PATH).await;
    put(&medium, KEYRING_PATH, &foreign).await;
    let error = refusal(&medium, &SEAL_KEY).await;
    assert!(matches!(error, BarrierError::Damaged(KEYRING_PATH)));
}

#[tokio::test]
async fn once_sealed_nothing_is_served_not_even_to_who_was_reading() {
    let medium = MemoryStore::new();
    let barrier = open(&medium).await;
    put(&barrier, "a", b"secret").await;
    let reading = barrier.snapshot().await.unwrap();
    barrier.seal();
    assert!(matches!(reading.get("a").await, Err(StoreError::Sealed)));
    let listed = reading.list_page("", "", 1).await;
    assert!(matches!(listed, Err(StoreError::Sealed)));
    let snapshot = barrier.snapshot().await;
    assert!(matches!(snapshot, Err(StoreError::Sealed)));
    let put = try_put(&barrier, "a", b"x").await;
    assert!(matches!(put, Err(StoreError::Sealed)));
}

#[tokio::test]
async fn nobody_writes_the_barriers_own_keys_through_it() {
    let medium = MemoryStore::new();
    let barrier = open(&medium).await;
    for path in [ROOT_KEY_PATH, KEYRING_PATH] {
        let error = try_put(&barrier, path, b"x").await.unwrap_err();
        assert!(error.to_string().contains("the barrier's own"));
    }
    open(&medium).await;
}

#[tokio::test]
async fn checks_hold_through_the_barrier() {
    let medium = MemoryStore::new();
    let barrier = open(&medium).await;
    put(&barrier, "a", b"1").await;
    let seen = barrier.snapshot().await.unwrap().get("a").await.unwrap();
    let revision = seen.map(|seen| seen.revision);
    let update = |value: &[u8]| Commit {
        checks: vec![Check::Key {
            key: "a".to_owned(),
            revision,
        }],
        writes: vec![Write::Put {
            key: "a".to_owned(),
            value: value.to_vec(),
        }],
    };
    barrier.commit(update(b"2")).await.unwrap();
    let error = barrier.commit(update(b"3")).await.unwrap_err();
    assert!(matches!(error, StoreError::Conflict(_)));
    assert_eq!(get(&barrier, "a").await.unwrap().unwrap(), b"2");
}

#[tokio::test]
async fn the_file_on_disk_has_no_plain_text_and_no_key_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.redb");
    let secret = b"a-secret-that-nobody-may-find";
    let mount = "logical/0a/path-names-are-plain";
    {
        let medium = Arc::new(RedbStore::open(&path).unwrap());
        let barrier = Barrier::open(medium, &SEAL_KEY).await.unwrap();
        put(&barrier, mount, secret).await;
    }
    assert!(file_has(&path, mount.as_bytes()));
    assert!(!file_has(&path, secret));
    assert!(!file_has(&path, &SEAL_KEY));

    let medium = Arc::new(RedbStore::open(&path).unwrap());
    let barrier = Barrier::open(medium, &SEAL_KEY).await.unwrap();
    assert_eq!(get(&barrier, mount).await.unwrap().unwrap(), secret);
}

fn file_has(path: &Path, needle: &[u8]) -> bool {
    let bytes = std::fs::read(path).unwrap();
    bytes.windows(needle.len()).any(|window| window == needle)
}

#[tokio::test]
async fn the_key_of_compiled_code_outlives_a_restart_and_not_a_seal() {
    let medium = MemoryStore::new();
    let barrier = open(&medium).await;
    let keys = barrier.code_keys();
    let key = keys.key().unwrap();
    assert_eq!(open(&medium).await.code_keys().key().unwrap(), key);
    let other = open(&MemoryStore::new()).await.code_keys().key().unwrap();
    assert_ne!(other, key);
    barrier.seal();
    assert!(keys.key().is_none());
}
