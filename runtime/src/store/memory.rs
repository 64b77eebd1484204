//! A store in memory, for development and tests: the same model as the durable ones, without the durability.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use async_trait::async_trait;

use super::check::{self, Current};
use super::page::{self, PageOf};
use super::{Commit, Snapshot, Store, StoreError, Versioned, Write};

/// A store whose content goes with the process. Cheap to clone; all clones are the same store.
#[derive(Clone, Default)]
pub struct MemoryStore {
    shared: Arc<RwLock<History>>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    // A panic while the lock is held leaves at worst a commit half applied in memory that nobody was told of; the next
    // reader is better served by that than by a panic of its own.
    fn read(&self) -> RwLockReadGuard<'_, History> {
        self.shared.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, History> {
        self.shared.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn snapshot(&self) -> Result<Box<dyn Snapshot>, StoreError> {
        let revision = self.write().open();
        Ok(Box::new(MemorySnapshot {
            store: self.clone(),
            revision,
        }))
    }

    async fn commit(&self, commit: Commit) -> Result<(), StoreError> {
        let mut history = self.write();
        check::hold(&commit.checks, &*history)?;
        history.apply(commit.writes);
        Ok(())
    }
}

struct MemorySnapshot {
    store: MemoryStore,
    revision: u64,
}

impl Drop for MemorySnapshot {
    fn drop(&mut self) {
        self.store.write().close(self.revision);
    }
}

#[async_trait]
impl Snapshot for MemorySnapshot {
    async fn get(&self, key: &str) -> Result<Option<Versioned>, StoreError> {
        let history = self.store.read();
        Ok(history.at(key, self.revision).map(Version::to_versioned))
    }

    async fn list_page(
        &self,
        prefix: &str,
        after: &str,
        limit: usize,
    ) -> Result<Vec<String>, StoreError> {
        let page = PageOf {
            prefix,
            after,
            limit,
        };
        self.store.read().list(page, self.revision)
    }
}

/// Every key's versions, as far back as an open snapshot can see.
#[derive(Default)]
struct History {
    versions: BTreeMap<String, Vec<Version>>,
    revision: u64,
    /// How many snapshots are open at which revision.
    open: BTreeMap<u64, usize>,
    /// What was superseded at which revision and waits for the snapshots before it to close.
    superseded: VecDeque<(u64, String)>,
}

/// What a key held from a revision on; `None` from a deletion on.
struct Version {
    revision: u64,
    value: Option<Arc<[u8]>>,
}

impl Version {
    fn to_versioned(&self) -> Versioned {
        let value = self.value.as_ref().map_or_else(Vec::new, |v| v.to_vec());
        Versioned {
            value,
            revision: self.revision,
        }
    }
}

impl History {
    fn open(&mut self) -> u64 {
        *self.open.entry(self.revision).or_default() += 1;
        self.revision
    }

    fn close(&mut self, revision: u64) {
        if let Some(count) = self.open.get_mut(&revision) {
            *count -= 1;
            if *count == 0 {
                self.open.remove(&revision);
            }
        }
        self.prune();
    }

    /// What `key` held at `revision`, unless it was nothing.
    fn at(&self, key: &str, revision: u64) -> Option<&Version> {
        visible(self.versions.get(key)?, revision)
    }

    fn list(&self, page: PageOf<'_>, revision: u64) -> Result<Vec<String>, StoreError> {
        page::list(page, |from| {
            let range = self.versions.range::<str, _>((from, Bound::Unbounded));
            Ok(range
                .filter(move |(_, versions)| visible(versions, revision).is_some())
                .map(|(key, _)| Ok(key.clone())))
        })
    }

    fn apply(&mut self, writes: Vec<Write>) {
        if writes.is_empty() {
            return;
        }
        self.revision += 1;
        for write in writes {
            let (key, value) = match write {
                Write::Put { key, value } => (key, Some(Arc::from(value))),
                Write::Delete { key } => (key, None),
            };
            self.set(key, value);
        }
        self.prune();
    }

    fn set(&mut self, key: String, value: Option<Arc<[u8]>>) {
        let revision = self.revision;
        let versions = self.versions.entry(key.clone());
        // Of most keys there is one version, once nobody reads an older one.
        let versions = versions.or_insert_with(|| Vec::with_capacity(1));
        // A later write of the same commit replaces an earlier one.
        versions.retain(|version| version.revision != revision);
        versions.push(Version { revision, value });
        self.superseded.push_back((revision, key));
    }

    /// Forgets the versions that no snapshot can see any more.
    fn prune(&mut self) {
        let oldest = self.open.keys().next().copied().unwrap_or(self.revision);
        while let Some((revision, _)) = self.superseded.front()
            && *revision <= oldest
        {
            if let Some((_, key)) = self.superseded.pop_front() {
                self.prune_key(&key, oldest);
            }
        }
    }

    fn prune_key(&mut self, key: &str, oldest: u64) {
        let Some(versions) = self.versions.get_mut(key) else {
            return;
        };
        let seen = versions.iter().rposition(|v| v.revision <= oldest);
        versions.drain(..seen.unwrap_or(0));
        if matches!(versions.as_slice(), [Version { value: None, .. }]) {
            self.versions.remove(key);
        }
    }
}

impl Current for History {
    fn revision(&self, key: &str) -> Result<Option<u64>, StoreError> {
        Ok(self.at(key, self.revision).map(|version| version.revision))
    }

    fn page(&self, page: PageOf<'_>) -> Result<Vec<String>, StoreError> {
        self.list(page, self.revision)
    }
}

fn visible(versions: &[Version], revision: u64) -> Option<&Version> {
    let newest = versions.iter().rfind(|v| v.revision <= revision)?;
    newest.value.is_some().then_some(newest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(key: &str, value: &[u8]) -> Commit {
        Commit::of(vec![Write::Put {
            key: key.to_owned(),
            value: value.to_vec(),
        }])
    }

    #[tokio::test]
    async fn history_is_kept_for_open_snapshots_only() {
        let store = MemoryStore::new();
        store.commit(put("k", b"0")).await.unwrap();
        let old = store.snapshot().await.unwrap();
        for n in 1..100u8 {
            store.commit(put("k", &[n])).await.unwrap();
        }
        let delete = Write::Delete {
            key: "k".to_owned(),
        };
        store.commit(Commit::of(vec![delete])).await.unwrap();
        assert_eq!(old.get("k").await.unwrap().unwrap().value, b"0");

        drop(old);
        let history = store.read();
        assert!(history.versions.is_empty() && history.superseded.is_empty());
    }
}
