//! The contract's host over the component's imports.

use std::time::Duration;

use async_trait::async_trait;
use palisade_contract::{
    Entity, Group, Host, HostError, Json, LogRecord, PluginEnvironment, ReplicationState,
    ResponseWrapInfo, Storage, StorageEntry, SystemView, Timestamp, Transaction, TransactionMode,
};

use super::bindings::palisade::plugin::{clock, deadline, log, random, storage, system};
use super::outgoing::{json, nanoseconds};

/// The imports, which are the same for every call: the host knows which request it is serving.
pub(super) struct Imports;

impl Host for Imports {
    fn storage(&self) -> &dyn Storage {
        self
    }

    fn system(&self) -> &dyn SystemView {
        self
    }

    fn log(&self, record: LogRecord<'_>) {
        let fields: Vec<_> = record
            .fields
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        log::emit(record.level.into(), record.message, &fields);
    }

    fn now(&self) -> Timestamp {
        clock::now().into()
    }

    fn random(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(RANDOM_BYTES_MAX) {
            let len = u32::try_from(chunk.len()).expect("a chunk is at most 65,536 bytes");
            chunk.copy_from_slice(&random::get_bytes(len));
        }
    }

    fn time_left(&self) -> Option<Duration> {
        deadline::time_left().map(Duration::from_nanos)
    }
}

/// The most that the host gives at once.
const RANDOM_BYTES_MAX: usize = 65_536;

#[async_trait]
impl Storage for Imports {
    async fn get(&self, key: &str) -> Result<Option<StorageEntry>, HostError> {
        Ok(storage::get(key)?.map(Into::into))
    }

    async fn put(&self, entry: StorageEntry) -> Result<(), HostError> {
        Ok(storage::put(&entry.into())?)
    }

    async fn delete(&self, key: &str) -> Result<(), HostError> {
        Ok(storage::delete(key)?)
    }

    async fn list_page(
        &self,
        prefix: &str,
        after: &str,
        limit: i32,
    ) -> Result<Vec<String>, HostError> {
        Ok(storage::list_page(prefix, after, limit)?)
    }

    async fn begin(&self, mode: TransactionMode) -> Result<Box<dyn Transaction>, HostError> {
        let mode = match mode {
            TransactionMode::ReadOnly => storage::TransactionMode::ReadOnly,
            TransactionMode::ReadWrite => storage::TransactionMode::ReadWrite,
        };
        Ok(Box::new(Open(storage::begin(mode)?)))
    }
}

/// An open transaction; dropping the resource rolls it back.
struct Open(storage::Transaction);

#[async_trait]
impl Storage for Open {
    async fn get(&self, key: &str) -> Result<Option<StorageEntry>, HostError> {
        Ok(self.0.get(key)?.map(Into::into))
    }

    async fn put(&self, entry: StorageEntry) -> Result<(), HostError> {
        Ok(self.0.put(&entry.into())?)
    }

    async fn delete(&self, key: &str) -> Result<(), HostError> {
        Ok(self.0.delete(key)?)
    }

    async fn list_page(
        &self,
        prefix: &str,
        after: &str,
        limit: i32,
    ) -> Result<Vec<String>, HostError> {
        Ok(self.0.list_page(prefix, after, limit)?)
    }

    async fn begin(&self, _: TransactionMode) -> Result<Box<dyn Transaction>, HostError> {
        Err(HostError::other("a transaction does not nest"))
    }
}

#[async_trait]
impl Transaction for Open {
    async fn commit(self: Box<Self>) -> Result<(), HostError> {
        Ok(storage::Transaction::commit(self.0)?)
    }

    async fn rollback(self: Box<Self>) -> Result<(), HostError> {
        Ok(storage::Transaction::rollback(self.0)?)
    }
}

#[async_trait]
impl SystemView for Imports {
    async fn default_lease_ttl(&self) -> Result<Duration, HostError> {
        Ok(Duration::from_nanos(system::default_lease_ttl()?))
    }

    async fn max_lease_ttl(&self) -> Result<Duration, HostError> {
        Ok(Duration::from_nanos(system::max_lease_ttl()?))
    }

    async fn tainted(&self) -> Result<bool, HostError> {
        Ok(system::tainted()?)
    }

    async fn caching_disabled(&self) -> Result<bool, HostError> {
        Ok(system::caching_disabled()?)
    }

    async fn replication_state(&self) -> Result<ReplicationState, HostError> {
        Ok(ReplicationState(system::replication_state()?))
    }

    async fn mlock_enabled(&self) -> Result<bool, HostError> {
        Ok(system::mlock_enabled()?)
    }

    async fn local_mount(&self) -> Result<bool, HostError> {
        Ok(system::local_mount()?)
    }

    async fn plugin_environment(&self) -> Result<PluginEnvironment, HostError> {
        Ok(system::plugin_environment()?.into())
    }

    async fn entity(&self, entity_id: &str) -> Result<Option<Entity>, HostError> {
        Ok(system::get_entity(entity_id)?.map(Into::into))
    }

    async fn groups_for_entity(&self, entity_id: &str) -> Result<Vec<Group>, HostError> {
        let groups = system::groups_for_entity(entity_id)?;
        Ok(groups.into_iter().map(Into::into).collect())
    }

    async fn generate_password(&self, policy_name: &str) -> Result<String, HostError> {
        Ok(system::generate_password(policy_name)?)
    }

    async fn cluster_id(&self) -> Result<String, HostError> {
        Ok(system::cluster_id()?)
    }

    async fn wrap_response(
        &self,
        data: Json,
        ttl: Duration,
    ) -> Result<ResponseWrapInfo, HostError> {
        Ok(system::wrap_response(&json(data), nanoseconds(ttl))?.into())
    }
}
