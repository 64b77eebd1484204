//! A plugin's view of storage: its own mount and nothing else.

use std::fmt;

use async_trait::async_trait;

use crate::HostError;

/// The `limit` of [`Storage::list_page`] that means "all of them".
pub const PAGE_UNLIMITED: i32 = -1;

/// One stored value (`pb.StorageEntry`). The value may be secret: `Debug` shows its length only.
#[derive(Clone, PartialEq, Eq)]
pub struct StorageEntry {
    /// The key, relative to the mount's view. No segment may be `..`.
    pub key: String,
    /// The value.
    pub value: Vec<u8>,
    /// Whether the host seals it a second time.
    pub seal_wrap: bool,
}

impl StorageEntry {
    /// An entry that is sealed once, like most.
    pub fn new(key: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        Self {
            key: key.into(),
            value: value.into(),
            seal_wrap: false,
        }
    }
}

impl fmt::Debug for StorageEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StorageEntry")
            .field("key", &self.key)
            .field("value_bytes", &self.value.len())
            .finish_non_exhaustive()
    }
}

/// Keys and values of one mount.
///
/// Plain writes never conflict: the last one wins. Whether they are visible at once or when the request ends depends
/// on how the plugin runs: a component's become visible together when it returns, a native plugin's as it makes them.
#[async_trait]
pub trait Storage: Send + Sync {
    /// The entry at `key`, or `None`.
    async fn get(&self, key: &str) -> Result<Option<StorageEntry>, HostError>;

    /// Writes the entry over whatever was there.
    async fn put(&self, entry: StorageEntry) -> Result<(), HostError>;

    /// Removes what is at `key`, if anything is.
    async fn delete(&self, key: &str) -> Result<(), HostError>;

    /// The direct children of `prefix` (empty, or ending in `/`), sorted, folders with a trailing `/`: those that sort
    /// after `after`, at most `limit` of them. A `limit` of zero or less is no limit.
    async fn list_page(
        &self,
        prefix: &str,
        after: &str,
        limit: i32,
    ) -> Result<Vec<String>, HostError>;

    /// All direct children of `prefix`.
    async fn list(&self, prefix: &str) -> Result<Vec<String>, HostError> {
        self.list_page(prefix, "", PAGE_UNLIMITED).await
    }

    /// Opens a transaction: a snapshot to read from, and a buffer of writes checked at commit.
    async fn begin(&self, mode: TransactionMode) -> Result<Box<dyn Transaction>, HostError>;
}

/// An open transaction. Dropping it without `commit` rolls it back.
#[async_trait]
pub trait Transaction: Storage {
    /// Makes the writes visible together, or fails with [`Conflict`](crate::HostErrorKind::Conflict) when something
    /// that the transaction read or listed has changed since.
    async fn commit(self: Box<Self>) -> Result<(), HostError>;

    /// Forgets the writes.
    async fn rollback(self: Box<Self>) -> Result<(), HostError>;
}

/// What a transaction may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransactionMode {
    /// Read a consistent state; writes fail with `ReadOnly`.
    ReadOnly,
    /// Read and write.
    ReadWrite,
}
