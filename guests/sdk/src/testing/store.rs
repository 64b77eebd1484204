//! Storage in memory: a map, snapshots of it, and transactions checked at commit.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use palisade_contract::{
    HostError, HostErrorKind, Storage, StorageEntry, Transaction, TransactionMode,
};

type Entries = BTreeMap<String, StorageEntry>;

/// The storage of one mount.
pub(super) struct MemoryStore(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    entries: Entries,
    writes_refused: bool,
}

impl State {
    fn write(&mut self, key: &str, entry: Option<StorageEntry>) -> Result<(), HostError> {
        check_key(key)?;
        if self.writes_refused {
            return Err(HostError {
                kind: HostErrorKind::Denied,
                message: "cannot write to storage during setup".to_owned(),
            });
        }
        match entry {
            Some(entry) => self.entries.insert(key.to_owned(), entry),
            None => self.entries.remove(key),
        };
        Ok(())
    }
}

fn check_key(key: &str) -> Result<(), HostError> {
    match key.split('/').any(|segment| segment == "..") {
        true => Err(HostError::other(format!(
            "the key {key:?} has a segment \"..\""
        ))),
        false => Ok(()),
    }
}

impl MemoryStore {
    pub(super) fn new() -> Self {
        Self(Arc::default())
    }

    pub(super) fn keys(&self) -> Vec<String> {
        self.state().entries.keys().cloned().collect()
    }

    pub(super) fn refuse_writes(&self, refuse: bool) {
        self.state().writes_refused = refuse;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .expect("nothing panics while it holds this lock")
}

#[async_trait]
impl Storage for MemoryStore {
    async fn get(&self, key: &str) -> Result<Option<StorageEntry>, HostError> {
        check_key(key)?;
        Ok(self.state().entries.get(key).cloned())
    }

    async fn put(&self, entry: StorageEntry) -> Result<(), HostError> {
        self.state().write(&entry.key.clone(), Some(entry))
    }

    async fn delete(&self, key: &str) -> Result<(), HostError> {
        self.state().write(key, None)
    }

    async fn list_page(
        &self,
        prefix: &str,
        after: &str,
        limit: i32,
    ) -> Result<Vec<String>, HostError> {
        check_key(prefix)?;
        Ok(children(&self.state().entries, prefix, after, limit))
    }

    async fn begin(&self, mode: TransactionMode) -> Result<Box<dyn Transaction>, HostError> {
        Ok(Box::new(MemoryTransaction {
            store: Arc::clone(&self.0),
            mode,
            snapshot: self.state().entries.clone(),
            seen: Mutex::default(),
        }))
    }
}

/// The direct children of a prefix, sorted, folders with a trailing slash.
fn children(entries: &Entries, prefix: &str, after: &str, limit: i32) -> Vec<String> {
    let names: BTreeSet<String> = entries
        .range(prefix.to_owned()..)
        .map_while(|(key, _)| key.strip_prefix(prefix))
        .filter(|rest| !rest.is_empty())
        .map(|rest| match rest.find('/') {
            Some(slash) => rest[..=slash].to_owned(),
            None => rest.to_owned(),
        })
        .collect();
    let limit = usize::try_from(limit).ok().filter(|limit| *limit > 0);
    names
        .into_iter()
        .filter(|name| name.as_str() > after)
        .take(limit.unwrap_or(usize::MAX))
        .collect()
}

/// A snapshot, what was read of it, and what is to be written.
struct MemoryTransaction {
    store: Arc<Mutex<State>>,
    mode: TransactionMode,
    snapshot: Entries,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    reads: BTreeSet<String>,
    lists: BTreeSet<(String, String, i32)>,
    writes: BTreeMap<String, Option<StorageEntry>>,
}

impl MemoryTransaction {
    fn write(&self, key: &str, entry: Option<StorageEntry>) -> Result<(), HostError> {
        check_key(key)?;
        match self.mode {
            TransactionMode::ReadOnly => Err(HostError::of(HostErrorKind::ReadOnly)),
            TransactionMode::ReadWrite => {
                lock(&self.seen).writes.insert(key.to_owned(), entry);
                Ok(())
            }
        }
    }
}

impl Seen {
    /// Whether everything that was read is still as the snapshot had it.
    fn still_holds(&self, snapshot: &Entries, current: &Entries) -> bool {
        let same_read = |key: &String| snapshot.get(key) == current.get(key);
        let same_list = |(prefix, after, limit): &(String, String, i32)| {
            children(snapshot, prefix, after, *limit) == children(current, prefix, after, *limit)
        };
        self.reads.iter().all(same_read) && self.lists.iter().all(same_list)
    }
}

#[async_trait]
impl Storage for MemoryTransaction {
    async fn get(&self, key: &str) -> Result<Option<StorageEntry>, HostError> {
        check_key(key)?;
        let mut seen = lock(&self.seen);
        if let Some(written) = seen.writes.get(key) {
            return Ok(written.clone());
        }
        seen.reads.insert(key.to_owned());
        Ok(self.snapshot.get(key).cloned())
    }

    async fn put(&self, entry: StorageEntry) -> Result<(), HostError> {
        self.write(&entry.key.clone(), Some(entry))
    }

    async fn delete(&self, key: &str) -> Result<(), HostError> {
        self.write(key, None)
    }

    async fn list_page(
        &self,
        prefix: &str,
        after: &str,
        limit: i32,
    ) -> Result<Vec<String>, HostError> {
        check_key(prefix)?;
        let mut seen = lock(&self.seen);
        seen.lists
            .insert((prefix.to_owned(), after.to_owned(), limit));
        let mut entries = self.snapshot.clone();
        for (key, written) in &seen.writes {
            match written {
                Some(entry) => entries.insert(key.clone(), entry.clone()),
                None => entries.remove(key),
            };
        }
        Ok(children(&entries, prefix, after, limit))
    }

    async fn begin(&self, _: TransactionMode) -> Result<Box<dyn Transaction>, HostError> {
        Err(HostError::other("a transaction does not nest"))
    }
}

#[async_trait]
impl Transaction for MemoryTransaction {
    async fn commit(self: Box<Self>) -> Result<(), HostError> {
        let seen = std::mem::take(&mut *lock(&self.seen));
        let mut state = lock(&self.store);
        if !seen.still_holds(&self.snapshot, &state.entries) {
            return Err(HostError::of(HostErrorKind::Conflict));
        }
        seen.writes
            .into_iter()
            .try_for_each(|(key, entry)| state.write(&key, entry))
    }

    async fn rollback(self: Box<Self>) -> Result<(), HostError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::ready;

    fn with(keys: &[&str]) -> MemoryStore {
        let store = MemoryStore::new();
        for key in keys {
            ready(store.put(StorageEntry::new(*key, "v"))).unwrap();
        }
        store
    }

    fn list(store: &MemoryStore, prefix: &str, after: &str, limit: i32) -> Vec<String> {
        ready(store.list_page(prefix, after, limit)).unwrap()
    }

    #[test]
    fn a_list_shows_direct_children_and_pages() {
        let store = with(&["a", "b/1", "b/2", "c", "d/e/f"]);
        assert_eq!(list(&store, "", "", -1), ["a", "b/", "c", "d/"]);
        assert_eq!(list(&store, "", "a", 2), ["b/", "c"]);
        assert_eq!(list(&store, "b/", "1", 0), ["2"]);
        assert_eq!(list(&store, "d/", "", -1), ["e/"]);
    }

    #[test]
    fn a_transaction_whose_read_was_overwritten_does_not_commit() {
        let store = with(&["a"]);
        let transaction = ready(store.begin(TransactionMode::ReadWrite)).unwrap();
        ready(transaction.get("a")).unwrap();
        ready(store.put(StorageEntry::new("a", "other"))).unwrap();
        ready(transaction.put(StorageEntry::new("b", "1"))).unwrap();
        let outcome = ready(transaction.commit()).unwrap_err();
        assert_eq!(outcome.kind, HostErrorKind::Conflict);
        assert_eq!(ready(store.get("b")).unwrap(), None);
    }

    #[test]
    fn a_transaction_whose_list_has_changed_does_not_commit() {
        let store = with(&["d/1"]);
        let transaction = ready(store.begin(TransactionMode::ReadWrite)).unwrap();
        ready(transaction.list("d/")).unwrap();
        ready(store.put(StorageEntry::new("d/2", "v"))).unwrap();
        assert!(ready(transaction.commit()).is_err());
    }

    #[test]
    fn a_transaction_reads_its_snapshot_with_its_own_writes_over_it() {
        let store = with(&["a", "b"]);
        let transaction = ready(store.begin(TransactionMode::ReadWrite)).unwrap();
        ready(store.delete("b")).unwrap();
        ready(transaction.delete("a")).unwrap();
        ready(transaction.put(StorageEntry::new("c", "1"))).unwrap();
        assert_eq!(ready(transaction.list("")).unwrap(), ["b", "c"]);
        assert_eq!(ready(transaction.get("a")).unwrap(), None);
    }

    #[test]
    fn a_read_only_transaction_does_not_write() {
        let store = with(&[]);
        let transaction = ready(store.begin(TransactionMode::ReadOnly)).unwrap();
        let outcome = ready(transaction.put(StorageEntry::new("a", "1")));
        assert_eq!(outcome.unwrap_err().kind, HostErrorKind::ReadOnly);
    }

    #[test]
    fn a_key_that_climbs_is_refused() {
        let store = with(&[]);
        assert!(ready(store.get("a/../b")).is_err());
        assert!(ready(store.get("a/..b")).is_ok());
    }
}
