//! Collects what a runtime needs, and opens it.

use std::collections::BTreeMap;
use std::sync::Arc;

use palisade_contract::Plugin;

use super::mount::Mount;
use super::record::{self, Record};
use super::table::Table;
use super::workshop::Workshop;
use super::{Inner, Runtime, disable};
use crate::catalog::{Catalog, ComponentInspector, PluginDirectory};
use crate::driver::Driver;
use crate::store::Store;
use crate::{MountError, PluginName, RuntimeKind, Timeouts, Workers};

/// Collects what a runtime needs.
#[derive(Default)]
pub struct RuntimeBuilder {
    workers: Option<Workers>,
    store: Option<Arc<dyn Store>>,
    directory: Option<PluginDirectory>,
    builtins: Vec<(PluginName, Arc<dyn Plugin>)>,
    timeouts: Timeouts,
    drivers: BTreeMap<RuntimeKind, Arc<dyn Driver>>,
    inspector: Option<Arc<dyn ComponentInspector>>,
}

impl RuntimeBuilder {
    /// What [`enter_worker`](crate::enter_worker) yielded. Required.
    pub fn workers(mut self, workers: Workers) -> Self {
        self.workers = Some(workers);
        self
    }

    /// Where everything is kept; the server hands its barrier. Required.
    pub fn store(mut self, store: Arc<dyn Store>) -> Self {
        self.store = Some(store);
        self
    }

    /// Where artifacts are; without one nothing can be registered.
    pub fn plugin_directory(mut self, directory: PluginDirectory) -> Self {
        self.directory = Some(directory);
        self
    }

    /// Links a plugin into the runtime under a name.
    pub fn builtin(mut self, name: PluginName, plugin: Arc<dyn Plugin>) -> Self {
        self.builtins.push((name, plugin));
        self
    }

    /// How long the steps of a plugin's life may take.
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// Runs plugins of that kind with another driver than the runtime's own.
    pub fn driver(mut self, kind: RuntimeKind, driver: Arc<dyn Driver>) -> Self {
        self.drivers.insert(kind, driver);
        self
    }

    /// Looks at components with another inspector than the runtime's own.
    pub fn inspector(mut self, inspector: Arc<dyn ComponentInspector>) -> Self {
        self.inspector = Some(inspector);
        self
    }

    /// Opens the runtime, with the mounts that the store knows. Mounts start lazily: no plugin runs yet.
    ///
    /// # Errors
    ///
    /// Which required parts are missing, all of them, or why the store failed.
    pub async fn build(self) -> Result<Runtime, MountError> {
        let workshop = Arc::new(self.workshop()?);
        let table = Table::default();
        for record in record::load(&*workshop.store).await? {
            take_in(&workshop, &table, record).await?;
        }
        Ok(Runtime {
            inner: Arc::new(Inner::new(workshop, table)),
        })
    }

    fn workshop(self) -> Result<Workshop, MountError> {
        let (Some(workers), Some(store)) = (&self.workers, &self.store) else {
            return Err(self.missing());
        };
        let mut drivers = drivers_of(workers, &self.timeouts);
        drivers.extend(self.drivers);
        let inspector = self
            .inspector
            .unwrap_or_else(|| inspector_of(workers, &self.timeouts));
        let store = Arc::clone(store);
        let catalog = Catalog::new(Arc::clone(&store), self.directory, inspector, self.builtins);
        Ok(Workshop {
            catalog,
            drivers,
            store,
            timeouts: self.timeouts,
        })
    }

    fn missing(&self) -> MountError {
        let parts = [
            (
                self.workers.is_none(),
                "workers (`main` must begin with `enter_worker()`; hand over what it yields)",
            ),
            (self.store.is_none(), "store (where everything is kept)"),
        ];
        let missing: Vec<_> = parts
            .into_iter()
            .filter_map(|(missing, part)| missing.then_some(part))
            .collect();
        MountError::Invalid(format!("the runtime lacks: {}", missing.join("; ")))
    }
}

/// A mount that the store knows: listed from now on, and started by its first request.
async fn take_in(
    workshop: &Arc<Workshop>,
    table: &Table,
    record: Record,
) -> Result<(), MountError> {
    if record.disabling {
        // The server went away in the middle of it.
        return disable::erase(workshop, &record).await;
    }
    match table.reserve(record.path.clone()) {
        Ok(path) => path.open(Arc::new(Mount::idle(workshop, record)?)),
        Err(error) => tracing::error!(path = %record.path, %error, "a mount is left out"),
    }
    Ok(())
}
