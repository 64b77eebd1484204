//! What the tests of the services share.

use std::sync::Arc;
use std::time::Duration;

use palisade_contract::{HostError, PluginType, Storage, StorageEntry};

use super::{Deadline, MountPrefix, MountServices, ServicesConfig};
use crate::Limits;
use crate::store::{MemoryStore, Store};

pub(super) fn services() -> Arc<MountServices> {
    services_over(Arc::new(MemoryStore::new()), "0a")
}

pub(super) fn services_over(store: Arc<dyn Store>, uuid: &str) -> Arc<MountServices> {
    let prefix = MountPrefix::new(PluginType::Secret, uuid).unwrap();
    let limits = Limits::default();
    MountServices::new(ServicesConfig::new(store, prefix, "test v1.0.0", &limits))
}

pub(super) fn deadline() -> Deadline {
    Deadline::after(Duration::from_secs(60))
}

pub(super) async fn put(
    storage: &(dyn Storage + '_),
    key: &str,
    value: &str,
) -> Result<(), HostError> {
    storage.put(StorageEntry::new(key, value)).await
}
