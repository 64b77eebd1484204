//! Transactions: the host's, or none where the host has none.

use async_trait::async_trait;
use palisade_contract::{
    HostError, HostErrorKind, Storage, StorageEntry, Transaction, TransactionMode,
};
use palisade_protocol::convert::text_to_result;
use palisade_protocol::pb;
use tokio::runtime::Handle;

use super::failed;
use super::storage::RemoteStorage;

/// An open transaction of the host.
pub(super) struct RemoteTransaction {
    storage: RemoteStorage,
    finished: bool,
}

impl RemoteTransaction {
    /// `storage` works inside it.
    pub(super) fn new(storage: RemoteStorage) -> Self {
        Self {
            storage,
            finished: false,
        }
    }
}

async fn roll_back(storage: &RemoteStorage) -> Result<(), HostError> {
    let args = pb::RollbackTxArgs {
        txn: storage.txn.clone(),
    };
    let reply = storage.client().rollback(storage.request(args)).await;
    text_to_result(reply.map_err(failed)?.into_inner().err)
}

impl Drop for RemoteTransaction {
    /// The host holds a snapshot for it until it hears of the end.
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        let storage = self.storage.unhurried();
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                // Nobody is left to tell; a host that did not hear it ends the transaction with the mount.
                let _ = roll_back(&storage).await;
            });
        }
    }
}

#[async_trait]
impl Storage for RemoteTransaction {
    async fn get(&self, key: &str) -> Result<Option<StorageEntry>, HostError> {
        self.storage.get(key).await
    }

    async fn put(&self, entry: StorageEntry) -> Result<(), HostError> {
        self.storage.put(entry).await
    }

    async fn delete(&self, key: &str) -> Result<(), HostError> {
        self.storage.delete(key).await
    }

    async fn list_page(
        &self,
        prefix: &str,
        after: &str,
        limit: i32,
    ) -> Result<Vec<String>, HostError> {
        self.storage.list_page(prefix, after, limit).await
    }

    async fn begin(&self, mode: TransactionMode) -> Result<Box<dyn Transaction>, HostError> {
        self.storage.begin(mode).await
    }
}

#[async_trait]
impl Transaction for RemoteTransaction {
    async fn commit(mut self: Box<Self>) -> Result<(), HostError> {
        let args = pb::CommitTxArgs {
            txn: self.storage.txn.clone(),
        };
        let reply = self
            .storage
            .client()
            .commit(self.storage.request(args))
            .await;
        let reply = reply.map_err(failed)?.into_inner();
        // The host has decided, one way or the other.
        self.finished = true;
        text_to_result(reply.err)
    }

    async fn rollback(mut self: Box<Self>) -> Result<(), HostError> {
        roll_back(&self.storage).await?;
        self.finished = true;
        Ok(())
    }
}

/// What plugins get where the host has no transactions: plain reads and writes, each visible at once, as OpenBao's SDK
/// gives them.
pub(super) struct PassThrough {
    storage: RemoteStorage,
    mode: TransactionMode,
}

impl PassThrough {
    pub(super) fn new(storage: RemoteStorage, mode: TransactionMode) -> Self {
        Self { storage, mode }
    }

    fn check_writable(&self) -> Result<(), HostError> {
        match self.mode {
            TransactionMode::ReadWrite => Ok(()),
            TransactionMode::ReadOnly => Err(HostError::of(HostErrorKind::ReadOnly)),
        }
    }
}

#[async_trait]
impl Storage for PassThrough {
    async fn get(&self, key: &str) -> Result<Option<StorageEntry>, HostError> {
        self.storage.get(key).await
    }

    async fn put(&self, entry: StorageEntry) -> Result<(), HostError> {
        self.check_writable()?;
        self.storage.put(entry).await
    }

    async fn delete(&self, key: &str) -> Result<(), HostError> {
        self.check_writable()?;
        self.storage.delete(key).await
    }

    async fn list_page(
        &self,
        prefix: &str,
        after: &str,
        limit: i32,
    ) -> Result<Vec<String>, HostError> {
        self.storage.list_page(prefix, after, limit).await
    }

    async fn begin(&self, _mode: TransactionMode) -> Result<Box<dyn Transaction>, HostError> {
        Err(HostError::other(
            "a transaction is open already: they do not nest",
        ))
    }
}

#[async_trait]
impl Transaction for PassThrough {
    async fn commit(self: Box<Self>) -> Result<(), HostError> {
        Ok(())
    }

    async fn rollback(self: Box<Self>) -> Result<(), HostError> {
        Ok(())
    }
}
