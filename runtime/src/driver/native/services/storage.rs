//! `pb.Storage` over a mount's storage.
//!
//! What storage refuses goes into the reply's text, as OpenBao's hosts do; a failed call is for what cannot be asked.
//! Two answers are stricter than OpenBao's: a transaction that cannot begin fails the call, because its plugins ignore
//! the text there and would go on without one; and a write in a transaction that is not open is refused, where OpenBao
//! makes it outside of any.

use async_trait::async_trait;
use palisade_contract::{
    Host, HostError, PAGE_UNLIMITED, Storage, StorageEntry, Transaction, TransactionMode,
};
use palisade_protocol::MISSING_STORAGE;
use palisade_protocol::pb::{self, storage_server};
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};

use super::InstanceServices;
use crate::driver::native::transactions::Shared;
use crate::services::Scope;

type Answer<T> = Result<Response<T>, Status>;

/// Where a call reads and writes: in a transaction, or plainly.
enum Place {
    Plain(Scope),
    Transaction(Shared),
}

impl InstanceServices {
    /// Where a call reads. A name that is not open means plain storage, as in OpenBao.
    fn reading(&self, metadata: &MetadataMap, transaction: &str) -> Result<Place, Status> {
        let scope = self.scope(metadata)?;
        Ok(match self.transactions().get(transaction) {
            Some(open) => Place::Transaction(open),
            None => Place::Plain(scope),
        })
    }

    /// Where a call writes.
    fn writing(&self, metadata: &MetadataMap, transaction: &str) -> Result<Place, Status> {
        match self.reading(metadata, transaction)? {
            Place::Plain(_) if !transaction.is_empty() => Err(Status::failed_precondition(
                "this transaction is not open any more",
            )),
            place => Ok(place),
        }
    }

    async fn begin(
        &self,
        metadata: &MetadataMap,
        mode: TransactionMode,
    ) -> Answer<pb::BeginTxReply> {
        let scope = self.scope(metadata)?;
        let begun = async {
            self.transactions().check_room()?;
            self.transactions().keep(scope.storage().begin(mode).await?)
        };
        let txn = begun
            .await
            .map_err(|error| Status::aborted(error.message))?;
        Ok(Response::new(pb::BeginTxReply {
            txn,
            err: String::new(),
        }))
    }

    async fn ended(
        &self,
        metadata: &MetadataMap,
        name: &str,
    ) -> Result<Box<dyn Transaction>, Status> {
        self.scope(metadata)?;
        let open = self.transactions().end(name).await;
        open.ok_or_else(|| Status::failed_precondition(MISSING_STORAGE))
    }

    async fn page(
        &self,
        metadata: &MetadataMap,
        args: pb::StorageListPageArgs,
    ) -> Answer<pb::StorageListReply> {
        let place = self.reading(metadata, &args.txn)?;
        let page = match &place {
            Place::Plain(scope) => list(scope.storage(), &args).await,
            Place::Transaction(open) => match open.read().await.as_deref() {
                Some(open) => list(open, &args).await,
                None => Err(no_longer_open()),
            },
        };
        let (keys, err) = parts(page);
        Ok(Response::new(pb::StorageListReply { keys, err }))
    }
}

async fn list(
    storage: &(impl Storage + ?Sized),
    args: &pb::StorageListPageArgs,
) -> Result<Vec<String>, HostError> {
    storage
        .list_page(&args.prefix, &args.after, args.limit)
        .await
}

/// A result as a reply carries it: the value or nothing, the text or none.
fn parts<T: Default>(result: Result<T, HostError>) -> (T, String) {
    match result {
        Ok(value) => (value, String::new()),
        Err(error) => (T::default(), error.message),
    }
}

/// Another call has ended it between this call's start and its turn.
fn no_longer_open() -> HostError {
    HostError::other("this transaction is not open any more")
}

#[async_trait]
impl storage_server::Storage for InstanceServices {
    async fn list(&self, request: Request<pb::StorageListArgs>) -> Answer<pb::StorageListReply> {
        let (metadata, _, args) = request.into_parts();
        let everything = pb::StorageListPageArgs {
            prefix: args.prefix,
            after: String::new(),
            limit: PAGE_UNLIMITED,
            txn: args.txn,
        };
        self.page(&metadata, everything).await
    }

    async fn list_page(
        &self,
        request: Request<pb::StorageListPageArgs>,
    ) -> Answer<pb::StorageListReply> {
        let (metadata, _, args) = request.into_parts();
        self.page(&metadata, args).await
    }

    async fn get(&self, request: Request<pb::StorageGetArgs>) -> Answer<pb::StorageGetReply> {
        let (metadata, _, args) = request.into_parts();
        let place = self.reading(&metadata, &args.txn)?;
        let found = match &place {
            Place::Plain(scope) => scope.storage().get(&args.key).await,
            Place::Transaction(open) => match open.read().await.as_deref() {
                Some(open) => open.get(&args.key).await,
                None => Err(no_longer_open()),
            },
        };
        let (entry, err) = parts(found);
        Ok(Response::new(pb::StorageGetReply {
            entry: entry.map(Into::into),
            err,
        }))
    }

    async fn put(&self, request: Request<pb::StoragePutArgs>) -> Answer<pb::StoragePutReply> {
        let (metadata, _, args) = request.into_parts();
        let place = self.writing(&metadata, &args.txn)?;
        let entry = args.entry.map(StorageEntry::from);
        let entry = entry.ok_or_else(|| Status::invalid_argument("the call has no entry"))?;
        let put = match &place {
            Place::Plain(scope) => scope.storage().put(entry).await,
            Place::Transaction(open) => match open.read().await.as_deref() {
                Some(open) => open.put(entry).await,
                None => Err(no_longer_open()),
            },
        };
        self.pass_over_own();
        Ok(Response::new(pb::StoragePutReply { err: parts(put).1 }))
    }

    async fn delete(
        &self,
        request: Request<pb::StorageDeleteArgs>,
    ) -> Answer<pb::StorageDeleteReply> {
        let (metadata, _, args) = request.into_parts();
        let place = self.writing(&metadata, &args.txn)?;
        let deleted = match &place {
            Place::Plain(scope) => scope.storage().delete(&args.key).await,
            Place::Transaction(open) => match open.read().await.as_deref() {
                Some(open) => open.delete(&args.key).await,
                None => Err(no_longer_open()),
            },
        };
        self.pass_over_own();
        Ok(Response::new(pb::StorageDeleteReply {
            err: parts(deleted).1,
        }))
    }

    /// Asked at every request, so it is answered from nothing.
    async fn is_transactional(&self, _: Request<pb::Empty>) -> Answer<pb::IsTransactionalReply> {
        Ok(Response::new(pb::IsTransactionalReply {
            transactional: true,
        }))
    }

    async fn begin_read_only_tx(&self, request: Request<pb::Empty>) -> Answer<pb::BeginTxReply> {
        self.begin(request.metadata(), TransactionMode::ReadOnly)
            .await
    }

    async fn begin_tx(&self, request: Request<pb::Empty>) -> Answer<pb::BeginTxReply> {
        self.begin(request.metadata(), TransactionMode::ReadWrite)
            .await
    }

    async fn commit(&self, request: Request<pb::CommitTxArgs>) -> Answer<pb::CommitTxReply> {
        let (metadata, _, args) = request.into_parts();
        let transaction = self.ended(&metadata, &args.txn).await?;
        let err = parts(transaction.commit().await).1;
        self.pass_over_own();
        Ok(Response::new(pb::CommitTxReply { err }))
    }

    async fn rollback(&self, request: Request<pb::RollbackTxArgs>) -> Answer<pb::RollbackTxReply> {
        let (metadata, _, args) = request.into_parts();
        let transaction = self.ended(&metadata, &args.txn).await?;
        let err = parts(transaction.rollback().await).1;
        Ok(Response::new(pb::RollbackTxReply { err }))
    }
}
