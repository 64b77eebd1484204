//! Where a server keeps everything: one ordered map of keys and values, with snapshots and checked commits.
//!
//! Nothing holds a write transaction while plugin code runs. A reader takes a [`Snapshot`]; a writer collects what it
//! read and wanted to write and hands both to one asynchronous [`Store::commit`], which either applies all writes or
//! none. Commits of many requests share one sync. The same shape maps onto memory, redb and an etcd transaction.

mod check;
mod memory;
#[cfg(test)]
mod model;
mod page;
mod redb;
mod sweep;

pub use self::redb::RedbStore;
pub use memory::MemoryStore;
pub use sweep::delete_prefix;

pub(crate) use page::child_name;

use async_trait::async_trait;

/// One ordered map of keys and values.
#[async_trait]
pub trait Store: Send + Sync {
    /// The state of now, unmoved by later commits.
    async fn snapshot(&self) -> Result<Box<dyn Snapshot>, StoreError>;

    /// Applies all writes, in order, or none: fails with [`StoreError::Conflict`] when a check does not hold. When
    /// it returns `Ok`, the writes survive a crash. Dropping the future does not take the commit back: it may be made.
    async fn commit(&self, commit: Commit) -> Result<(), StoreError>;
}

/// One consistent state to read from.
#[async_trait]
pub trait Snapshot: Send + Sync {
    /// The value at `key` and the revision it was written at.
    async fn get(&self, key: &str) -> Result<Option<Versioned>, StoreError>;

    /// The direct children of `prefix`, sorted, folders with a trailing `/`: those that sort after `after`, at most
    /// `limit` of them. It costs one seek a name, however much lies beneath a folder.
    async fn list_page(
        &self,
        prefix: &str,
        after: &str,
        limit: usize,
    ) -> Result<Vec<String>, StoreError>;
}

/// A value and when it was written.
#[derive(Clone, PartialEq, Eq)]
pub struct Versioned {
    /// The value.
    pub value: Vec<u8>,
    /// Rises with every commit; two reads that give the same revision read the same write.
    pub revision: u64,
}

/// What a writer read and wants to write.
#[derive(Clone, Default)]
pub struct Commit {
    /// What must still be so.
    pub checks: Vec<Check>,
    /// What to change, in order.
    pub writes: Vec<Write>,
}

impl Commit {
    /// Writes without conditions: the last one wins.
    pub fn of(writes: Vec<Write>) -> Self {
        Self {
            checks: Vec::new(),
            writes,
        }
    }
}

/// Something a transaction saw that must still be so at commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Check {
    /// The key was at this revision, or absent.
    Key {
        /// The key.
        key: String,
        /// The revision read; `None` when nothing was there.
        revision: Option<u64>,
    },
    /// A page of a listing had these keys.
    Page {
        /// The prefix listed.
        prefix: String,
        /// Where the page started.
        after: String,
        /// The most it could hold.
        limit: usize,
        /// What it held.
        keys: Vec<String>,
    },
}

/// One change.
#[derive(Clone, PartialEq, Eq)]
pub enum Write {
    /// Write over whatever is there.
    Put {
        /// The key.
        key: String,
        /// The value.
        value: Vec<u8>,
    },
    /// Remove what is there, if anything is.
    Delete {
        /// The key.
        key: String,
    },
}

impl Write {
    /// The key that changes.
    pub fn key(&self) -> &str {
        match self {
            Self::Put { key, .. } | Self::Delete { key } => key,
        }
    }
}

/// Why a store failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A check did not hold: somebody else was faster.
    #[error("transaction commit failed: {0:?} has changed")]
    Conflict(String),
    /// The barrier is sealed.
    #[error("Vault is sealed")]
    Sealed,
    /// A value that cannot be decrypted: another key, or changed bytes.
    #[error("the value at {0:?} cannot be decrypted")]
    Undecryptable(String),
    /// The medium failed.
    #[error("storage failed: {0}")]
    Failed(String),
}
