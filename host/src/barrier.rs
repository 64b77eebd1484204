//! Encrypts everything that is stored: a store over a store, whose medium sees names and ciphertext.
//!
//! A value on the medium is the number of its key (4 bytes, big-endian), the version byte 2, a random nonce of 12 bytes,
//! and the AES-256-GCM ciphertext with its tag; the storage path is the associated data, so that no ciphertext can be
//! moved to another path. This is OpenBao's layout. The keys are in the keyring at `core/keyring`, which the root key
//! encrypts; the root key is at `core/root-key`, encrypted by the seal's key, which is never stored.

mod code_key;
mod envelope;
mod keyring;

use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use palisade_runtime::driver::{CodeKey, CodeKeys};
use palisade_runtime::store::{Commit, Snapshot, Store, StoreError, Versioned, Write};
use zeroize::{Zeroize, Zeroizing};

use envelope::Key;
use keyring::{KEY_BYTES, Keyring};

/// Where the keyring is.
const KEYRING_PATH: &str = "core/keyring";

/// Where the root key is.
const ROOT_KEY_PATH: &str = "core/root-key";

/// A store that encrypts on its way to another.
pub(crate) struct Barrier {
    medium: Arc<dyn Store>,
    keys: Arc<Keys>,
}

impl Barrier {
    /// Opens the barrier over `medium`; a medium without anything in it gets new keys.
    ///
    /// # Errors
    ///
    /// [`BarrierError`] when the seal's key is not the one that the medium was begun with, when its keys are missing or
    /// damaged, or when the medium fails. Nothing has been written then.
    pub(crate) async fn open(
        medium: Arc<dyn Store>,
        seal_key: &[u8; KEY_BYTES],
    ) -> Result<Self, BarrierError> {
        let seal_key = Key::new(seal_key);
        let keyring = match stored_keys(&*medium).await? {
            Some(stored) => stored.unlock(&seal_key)?,
            None => initialize(&*medium, &seal_key).await?,
        };
        let keys = Arc::new(Keys(RwLock::new(Some(Arc::new(keyring)))));
        Ok(Self { medium, keys })
    }

    /// What compiled components are authenticated with, for as long as this is open.
    pub(crate) fn code_keys(&self) -> Arc<dyn CodeKeys> {
        self.keys.clone()
    }

    /// Forgets the keys: from now on everything fails with [`StoreError::Sealed`], snapshots that are open included.
    #[allow(dead_code, reason = "the server has no request that seals yet")]
    pub(crate) fn seal(&self) {
        self.keys.forget();
    }
}

/// The keys, while unsealed. They are taken anew for each operation, so that sealing takes effect at once.
struct Keys(RwLock<Option<Arc<Keyring>>>);

impl Keys {
    fn get(&self) -> Result<Arc<Keyring>, StoreError> {
        let keys = self.0.read().unwrap_or_else(PoisonError::into_inner);
        keys.clone().ok_or(StoreError::Sealed)
    }

    fn forget(&self) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl CodeKeys for Keys {
    fn key(&self) -> Option<CodeKey> {
        self.get().ok().map(|keyring| keyring.code_key())
    }
}

#[async_trait]
impl Store for Barrier {
    async fn snapshot(&self) -> Result<Box<dyn Snapshot>, StoreError> {
        self.keys.get()?;
        Ok(Box::new(BarrierSnapshot {
            medium: self.medium.snapshot().await?,
            keys: self.keys.clone(),
        }))
    }

    /// The checks name revisions, which are the medium's own; they pass through.
    async fn commit(&self, commit: Commit) -> Result<(), StoreError> {
        let keyring = self.keys.get()?;
        let writes = commit.writes.into_iter();
        let writes = writes.map(|write| encrypt(&keyring, write));
        let commit = Commit {
            checks: commit.checks,
            writes: writes.collect::<Result<_, _>>()?,
        };
        self.medium.commit(commit).await
    }
}

fn encrypt(keyring: &Keyring, write: Write) -> Result<Write, StoreError> {
    if [KEYRING_PATH, ROOT_KEY_PATH].contains(&write.key()) {
        let text = format!("{:?} is the barrier's own", write.key());
        return Err(StoreError::Failed(text));
    }
    match write {
        Write::Put { key, mut value } => {
            let sealed = keyring.encrypt(&key, &value);
            value.zeroize();
            let value = sealed.map_err(|fault| StoreError::Failed(fault.to_string()))?;
            Ok(Write::Put { key, value })
        }
        delete @ Write::Delete { .. } => Ok(delete),
    }
}

struct BarrierSnapshot {
    medium: Box<dyn Snapshot>,
    keys: Arc<Keys>,
}

#[async_trait]
impl Snapshot for BarrierSnapshot {
    async fn get(&self, key: &str) -> Result<Option<Versioned>, StoreError> {
        let keyring = self.keys.get()?;
        let Some(sealed) = self.medium.get(key).await? else {
            return Ok(None);
        };
        let value = keyring
            .decrypt(key, sealed.value)
            .ok_or_else(|| StoreError::Undecryptable(key.to_owned()))?;
        Ok(Some(Versioned {
            value,
            revision: sealed.revision,
        }))
    }

    async fn list_page(
        &self,
        prefix: &str,
        after: &str,
        limit: usize,
    ) -> Result<Vec<String>, StoreError> {
        self.keys.get()?;
        self.medium.list_page(prefix, after, limit).await
    }
}

/// Both of the barrier's own values, as they are on the medium.
struct StoredKeys {
    root_key: Vec<u8>,
    keyring: Vec<u8>,
}

impl StoredKeys {
    fn unlock(self, seal_key: &Key) -> Result<Keyring, BarrierError> {
        let root_key = seal_key.decrypt(ROOT_KEY_PATH, self.root_key);
        let root_key = Zeroizing::new(root_key.ok_or(BarrierError::WrongSealKey)?);
        let root_key = <&[u8; KEY_BYTES]>::try_from(root_key.as_slice())
            .map_err(|_| BarrierError::Damaged(ROOT_KEY_PATH))?;
        let keyring = Key::new(root_key).decrypt(KEYRING_PATH, self.keyring);
        let keyring = keyring.ok_or(BarrierError::Damaged(KEYRING_PATH))?;
        Keyring::parse(&Zeroizing::new(keyring)).ok_or(BarrierError::Damaged(KEYRING_PATH))
    }
}

/// What the medium has of the barrier's own values; `None` when it has nothing at all.
async fn stored_keys(medium: &dyn Store) -> Result<Option<StoredKeys>, BarrierError> {
    let snapshot = medium.snapshot().await?;
    let root_key = snapshot.get(ROOT_KEY_PATH).await?;
    let keyring = snapshot.get(KEYRING_PATH).await?;
    match (root_key, keyring) {
        (Some(root_key), Some(keyring)) => Ok(Some(StoredKeys {
            root_key: root_key.value,
            keyring: keyring.value,
        })),
        (None, Some(_)) => Err(BarrierError::Missing(ROOT_KEY_PATH)),
        (Some(_), None) => Err(BarrierError::Missing(KEYRING_PATH)),
        // New keys over what old ones encrypted would leave it unreadable for ever.
        (None, None) if !snapshot.list_page("", "", 1).await?.is_empty() => {
            Err(BarrierError::Missing(ROOT_KEY_PATH))
        }
        (None, None) => Ok(None),
    }
}

/// Makes the keys of a new medium, both in one commit.
async fn initialize(medium: &dyn Store, seal_key: &Key) -> Result<Keyring, BarrierError> {
    let root_key = keyring::random_key()?;
    let (keyring, encoded) = Keyring::generate()?;
    let put = |path: &str, value| Write::Put {
        key: path.to_owned(),
        value,
    };
    let absent = |path: &str| palisade_runtime::store::Check::Key {
        key: path.to_owned(),
        revision: None,
    };
    let commit = Commit {
        // Of two servers that begin with one medium, one wins and the other is told.
        checks: vec![absent(ROOT_KEY_PATH), absent(KEYRING_PATH)],
        writes: vec![
            put(
                ROOT_KEY_PATH,
                seal_key.encrypt(0, ROOT_KEY_PATH, &*root_key)?,
            ),
            put(
                KEYRING_PATH,
                Key::new(&root_key).encrypt(0, KEYRING_PATH, &encoded)?,
            ),
        ],
    };
    medium.commit(commit).await?;
    Ok(keyring)
}

/// Why the barrier stays closed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BarrierError {
    /// The seal's key does not decrypt the root key.
    #[error(
        "the seal's key is not the one this storage was begun with (or {ROOT_KEY_PATH} is damaged); nothing was changed"
    )]
    WrongSealKey,
    /// There is data and a key to it is not there.
    #[error(
        "the storage has data in it and no {0}, without which nothing can be decrypted; restore it from a backup"
    )]
    Missing(&'static str),
    /// The root key was found and the rest does not fit it.
    #[error("{0} is damaged; restore it from a backup")]
    Damaged(&'static str),
    /// The system gives no randomness, or the cipher fails.
    #[error(transparent)]
    Cipher(#[from] envelope::CipherFault),
    /// The medium failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[cfg(test)]
mod tests;
