//! A store in one file: redb, where every acknowledged commit is synced and many of them share one sync.
//!
//! One thread commits. It takes what is queued, tests each commit against the state that it and the ones before it in
//! the group make, applies those that hold in one transaction, syncs, and answers. Readers never wait for it.

mod committer;
#[cfg(test)]
mod crash;
mod file;

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use ::redb::{Database, ReadOnlyTable, ReadableDatabase, TableDefinition};
use async_trait::async_trait;
use tokio::sync::{mpsc, oneshot};

use super::page::{self, PageOf};
use super::{Commit, Snapshot, Store, StoreError, Versioned};
use committer::Queued;

/// Keys and values, each value behind the 8 bytes of its revision, big-endian.
const DATA: TableDefinition<&str, &[u8]> = TableDefinition::new("data");

/// Facts about the store itself, by name.
const FACTS: TableDefinition<&str, u64> = TableDefinition::new("facts");

/// Commits that may wait for the committer. Who comes later waits to queue.
const QUEUE_COMMITS: usize = 1024;

const REVISION_BYTES: usize = size_of::<u64>();

/// A store in one file. Dropping it waits for the commit in progress and closes the file.
pub struct RedbStore {
    database: Arc<Database>,
    /// `None` only while dropping.
    queue: Option<mpsc::Sender<Queued>>,
    committer: Option<JoinHandle<()>>,
}

impl RedbStore {
    /// Opens the file, or makes it, readable by its owner only. Blocks while the file is repaired after a crash, which
    /// takes no longer for a large one: each commit leaves behind what the repair needs.
    ///
    /// # Errors
    ///
    /// [`StoreError::Failed`] when the file is in use by another process, is no such store, is empty, a symlink or
    /// readable by others, or cannot be opened; the text says which.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let database = Arc::new(file::open(path)?);
        let revision = committer::last_revision(&database)?;
        let (queue, queued) = mpsc::channel(QUEUE_COMMITS);
        let committing = database.clone();
        let committer = std::thread::Builder::new()
            .name("store-committer".to_owned())
            .spawn(move || committer::run(&committing, queued, revision))
            .map_err(|fault| failed("the committer could not be started", fault))?;
        Ok(Self {
            database,
            queue: Some(queue),
            committer: Some(committer),
        })
    }
}

impl Drop for RedbStore {
    fn drop(&mut self) {
        // The committer ends with its queue; the file must not be open when the caller goes on.
        drop(self.queue.take());
        if let Some(committer) = self.committer.take()
            && committer.join().is_err()
        {
            tracing::error!("the store's committer panicked");
        }
    }
}

#[async_trait]
impl Store for RedbStore {
    async fn snapshot(&self) -> Result<Box<dyn Snapshot>, StoreError> {
        let transaction = self
            .database
            .begin_read()
            .map_err(|fault| failed("a read could not begin", fault))?;
        let table = transaction
            .open_table(DATA)
            .map_err(|fault| failed("the table could not be opened", fault))?;
        Ok(Box::new(RedbSnapshot { table }))
    }

    async fn commit(&self, commit: Commit) -> Result<(), StoreError> {
        let (answer, answered) = oneshot::channel();
        let queued = Queued { commit, answer };
        let stopped = || StoreError::Failed("the store's committer has stopped".to_owned());
        let queue = self.queue.as_ref().ok_or_else(stopped)?;
        queue.send(queued).await.map_err(|_| stopped())?;
        answered.await.map_err(|_| stopped())?
    }
}

/// A read transaction. Reads are done in place, on the thread that asks: they come from redb's cache or the page cache
/// in microseconds, less than the hop to a thread for blocking work costs.
struct RedbSnapshot {
    table: ReadOnlyTable<&'static str, &'static [u8]>,
}

#[async_trait]
impl Snapshot for RedbSnapshot {
    async fn get(&self, key: &str) -> Result<Option<Versioned>, StoreError> {
        let found = self.table.get(key).map_err(read_failed)?;
        found.map(|found| versioned(found.value())).transpose()
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
        page::list(page, |from| {
            let range = (from, std::ops::Bound::Unbounded);
            let range = self.table.range::<&str>(range).map_err(read_failed)?;
            Ok(range.map(|entry| {
                let (key, _) = entry.map_err(read_failed)?;
                Ok(key.value().to_owned())
            }))
        })
    }
}

fn versioned(stored: &[u8]) -> Result<Versioned, StoreError> {
    let (revision, value) = split(stored)?;
    Ok(Versioned {
        value: value.to_vec(),
        revision,
    })
}

/// The revision in front of a stored value, and the value.
fn split(stored: &[u8]) -> Result<(u64, &[u8]), StoreError> {
    let (revision, value) = stored
        .split_first_chunk::<REVISION_BYTES>()
        .ok_or_else(|| StoreError::Failed("a stored value is too short".to_owned()))?;
    Ok((u64::from_be_bytes(*revision), value))
}

fn read_failed(fault: ::redb::StorageError) -> StoreError {
    failed("a read failed", fault)
}

fn failed(what: &str, fault: impl std::fmt::Display) -> StoreError {
    StoreError::Failed(format!("{what}: {fault}"))
}
