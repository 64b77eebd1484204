//! What the tests of the services share.

use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use palisade_contract::{HostError, PluginType, Storage, StorageEntry};
use tokio::sync::Notify;
use tracing::field::{Field, Visit};
use tracing::span;

use super::{Deadline, MountPrefix, MountServices, ServicesConfig};
use crate::Limits;
use crate::store::{Commit, MemoryStore, Snapshot, Store, StoreError};

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

/// A store whose commits wait until they are let through.
#[derive(Default)]
pub(super) struct GatedStore {
    pub(super) inner: MemoryStore,
    pub(super) arrived: Notify,
    pub(super) gate: Notify,
    pub(super) left: Notify,
}

#[async_trait]
impl Store for GatedStore {
    async fn snapshot(&self) -> Result<Box<dyn Snapshot>, StoreError> {
        self.inner.snapshot().await
    }

    async fn commit(&self, commit: Commit) -> Result<(), StoreError> {
        self.arrived.notify_one();
        self.gate.notified().await;
        let committed = self.inner.commit(commit).await;
        self.left.notify_one();
        committed
    }
}

/// Collects what is logged, a line an event: level, target, fields in their order.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<String>>>);

impl Lines {
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl tracing::Subscriber for Lines {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target() == "palisade::plugin"
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let metadata = event.metadata();
        let mut line = Line(format!("{} {}", metadata.level(), metadata.target()));
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        write!(self.0, " {field}={value:?}").unwrap();
    }
}
