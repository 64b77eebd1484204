//! Storage calls. With a transaction's name they read and write inside it.

use std::sync::Arc;

use async_trait::async_trait;
use palisade_contract::{HostError, Storage, StorageEntry, Transaction, TransactionMode};
use palisade_protocol::convert::{is_unimplemented, text_to_result};
use palisade_protocol::pb;
use palisade_protocol::pb::storage_client::StorageClient;
use tonic::transport::Channel;

use super::transaction::{PassThrough, RemoteTransaction};
use super::{Budget, Link, failed};

/// One mount's storage for one call.
#[derive(Clone)]
pub(super) struct RemoteStorage {
    link: Arc<Link>,
    budget: Budget,
    /// The transaction to work in; empty for none, as on the wire.
    pub(super) txn: String,
}

impl RemoteStorage {
    pub(super) fn new(link: Arc<Link>, budget: Budget) -> Self {
        Self {
            link,
            budget,
            txn: String::new(),
        }
    }

    pub(super) fn client(&self) -> StorageClient<Channel> {
        self.link.storage.clone()
    }

    pub(super) fn request<T>(&self, message: T) -> tonic::Request<T> {
        self.budget.request(message)
    }

    /// The same without the caller's deadline, for what has to be done after it.
    pub(super) fn unhurried(&self) -> Self {
        Self {
            budget: Budget::starting_now(None),
            ..self.clone()
        }
    }

    fn within(&self, txn: String) -> Self {
        Self {
            txn,
            ..self.clone()
        }
    }

    /// Whether the host has transactions. One that does not know the question has none.
    async fn is_transactional(&self) -> Result<bool, HostError> {
        let ask = || async {
            match self
                .client()
                .is_transactional(self.request(pb::Empty {}))
                .await
            {
                Ok(reply) => Ok(reply.into_inner().transactional),
                Err(status) if is_unimplemented(&status) => Ok(false),
                Err(status) => Err(failed(status)),
            }
        };
        self.link.transactional.get_or_try_init(ask).await.copied()
    }

    async fn open(&self, mode: TransactionMode) -> Result<String, HostError> {
        let request = self.request(pb::Empty {});
        let mut client = self.client();
        let reply = match mode {
            TransactionMode::ReadOnly => client.begin_read_only_tx(request).await,
            TransactionMode::ReadWrite => client.begin_tx(request).await,
        };
        let reply = reply.map_err(failed)?.into_inner();
        text_to_result(reply.err)?;
        if reply.txn.is_empty() {
            return Err(HostError::other(
                "the host opened a transaction without a name",
            ));
        }
        Ok(reply.txn)
    }

    /// For hosts that do not know pages: all of it, cut here.
    async fn list_then_cut(
        &self,
        prefix: &str,
        after: &str,
        limit: i32,
    ) -> Result<Vec<String>, HostError> {
        let args = pb::StorageListArgs {
            prefix: prefix.to_owned(),
            txn: self.txn.clone(),
        };
        let reply = self.client().list(self.request(args)).await;
        let reply = reply.map_err(failed)?.into_inner();
        text_to_result(reply.err)?;
        let rest = reply.keys.into_iter().filter(|key| key.as_str() > after);
        Ok(match usize::try_from(limit) {
            Ok(limit @ 1..) => rest.take(limit).collect(),
            _ => rest.collect(),
        })
    }
}

#[async_trait]
impl Storage for RemoteStorage {
    async fn get(&self, key: &str) -> Result<Option<StorageEntry>, HostError> {
        let args = pb::StorageGetArgs {
            key: key.to_owned(),
            txn: self.txn.clone(),
        };
        let reply = self.client().get(self.request(args)).await;
        let reply = reply.map_err(failed)?.into_inner();
        text_to_result(reply.err)?;
        Ok(reply.entry.map(Into::into))
    }

    async fn put(&self, entry: StorageEntry) -> Result<(), HostError> {
        let args = pb::StoragePutArgs {
            entry: Some(entry.into()),
            txn: self.txn.clone(),
        };
        let reply = self.client().put(self.request(args)).await;
        text_to_result(reply.map_err(failed)?.into_inner().err)
    }

    async fn delete(&self, key: &str) -> Result<(), HostError> {
        let args = pb::StorageDeleteArgs {
            key: key.to_owned(),
            txn: self.txn.clone(),
        };
        let reply = self.client().delete(self.request(args)).await;
        text_to_result(reply.map_err(failed)?.into_inner().err)
    }

    async fn list_page(
        &self,
        prefix: &str,
        after: &str,
        limit: i32,
    ) -> Result<Vec<String>, HostError> {
        let args = pb::StorageListPageArgs {
            prefix: prefix.to_owned(),
            after: after.to_owned(),
            limit,
            txn: self.txn.clone(),
        };
        let reply = match self.client().list_page(self.request(args)).await {
            Err(status) if is_unimplemented(&status) => {
                return self.list_then_cut(prefix, after, limit).await;
            }
            reply => reply.map_err(failed)?.into_inner(),
        };
        text_to_result(reply.err)?;
        Ok(reply.keys)
    }

    async fn begin(&self, mode: TransactionMode) -> Result<Box<dyn Transaction>, HostError> {
        if !self.txn.is_empty() {
            return Err(HostError::other(
                "a transaction is open already: they do not nest",
            ));
        }
        if !self.is_transactional().await? {
            return Ok(Box::new(PassThrough::new(self.clone(), mode)));
        }
        let txn = self.open(mode).await?;
        Ok(Box::new(RemoteTransaction::new(self.within(txn))))
    }
}
