//! Collects what a runtime needs, and opens it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use palisade_contract::Plugin;

use super::drivers::{WorkerInspector, driver_of};
use super::mount::Mount;
use super::record::{self, Record};
use super::table::Table;
use super::workshop::Workshop;
use super::{Inner, Runtime, Walls, disable};
use crate::catalog::{Catalog, ComponentInspector, PluginDirectory};
use crate::driver::{CodeCache, Driver};
use crate::services::SystemFacts;
use crate::store::Store;
use crate::{
    FolderRoot, GrantCeiling, LaunchError, Layer, MountError, PluginName, Protections, RuntimeKind,
    Timeouts, Workers,
};

/// The kinds that every runtime can run.
const KINDS: [RuntimeKind; 3] = [RuntimeKind::Builtin, RuntimeKind::Native, RuntimeKind::Wasm];

/// Collects what a runtime needs.
#[derive(Default)]
pub struct RuntimeBuilder {
    workers: Option<Workers>,
    store: Option<Arc<dyn Store>>,
    directory: Option<PluginDirectory>,
    folders: Option<FolderRoot>,
    builtins: Vec<(PluginName, Arc<dyn Plugin>)>,
    timeouts: Timeouts,
    facts: SystemFacts,
    drivers: BTreeMap<RuntimeKind, Arc<dyn Driver>>,
    inspector: Option<Arc<dyn ComponentInspector>>,
    required_layers: BTreeSet<Layer>,
    grant_ceiling: GrantCeiling,
    code_cache: Option<CodeCache>,
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

    /// Where the folders are that entries may be granted; without it none of them starts that is granted one.
    pub fn folders(mut self, root: FolderRoot) -> Self {
        self.folders = Some(root);
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

    /// What plugins are told of the server: its lease times, version and cluster.
    pub fn system_facts(mut self, facts: SystemFacts) -> Self {
        self.facts = facts;
        self
    }

    /// Walls without which no process of a plugin is started. None by default: what this machine lacks is then done
    /// without, said in the log, and told by [`Runtime::protections`].
    pub fn require_layers(mut self, layers: BTreeSet<Layer>) -> Self {
        self.required_layers = layers;
        self
    }

    /// What entries may be granted at most; everything by default. What is over it is not registered, and not started if
    /// it was registered before.
    pub fn grant_ceiling(mut self, ceiling: GrantCeiling) -> Self {
        self.grant_ceiling = ceiling;
        self
    }

    /// Keeps compiled components in a folder, so that a restart need not compile them. Without one they are kept in memory.
    pub fn code_cache(mut self, cache: CodeCache) -> Self {
        self.code_cache = Some(cache);
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
    /// Which required parts are missing, all of them, or why the store or a driver failed.
    pub async fn build(self) -> Result<Runtime, MountError> {
        let walls = walls(self.workers.as_ref(), self.required_layers.clone()).await;
        let workshop = Arc::new(self.workshop()?);
        let table = Table::default();
        for record in record::load(&*workshop.store).await? {
            take_in(&workshop, &table, record).await?;
        }
        Ok(Runtime {
            inner: Arc::new(Inner::new(workshop, table, walls)),
        })
    }

    fn workshop(mut self) -> Result<Workshop, MountError> {
        self.add_drivers()?;
        let inspector = self.inspector.take().or_else(|| self.worker_inspector());
        let complete = self.drivers.len() == KINDS.len();
        let (Some(store), Some(inspector), true) = (&self.store, &inspector, complete) else {
            return Err(self.lacking(complete && inspector.is_some()));
        };
        let (store, inspector) = (Arc::clone(store), Arc::clone(inspector));
        let catalog = Catalog::new(Arc::clone(&store), self.directory, inspector, self.builtins)
            .beneath(self.grant_ceiling);
        Ok(Workshop {
            catalog,
            drivers: self.drivers,
            store,
            timeouts: Arc::new(self.timeouts),
            facts: Arc::new(self.facts),
        })
    }

    /// Adds the runtime's own driver for each kind that has none, as far as they can be made.
    fn add_drivers(&mut self) -> Result<(), LaunchError> {
        for kind in KINDS {
            if self.drivers.contains_key(&kind) {
                continue;
            }
            let (workers, required) = (self.workers.as_ref(), &self.required_layers);
            let (folders, cache) = (self.folders.as_ref(), self.code_cache.as_ref());
            let driver = driver_of(kind, workers, &self.timeouts, required, folders, cache)?;
            if let Some(driver) = driver {
                self.drivers.insert(kind, driver);
            }
        }
        Ok(())
    }

    fn worker_inspector(&self) -> Option<Arc<dyn ComponentInspector>> {
        let workers = self.workers.clone()?;
        let timeouts = self.timeouts.clone();
        Some(Arc::new(WorkerInspector { workers, timeouts }))
    }

    fn lacking(&self, needs_no_workers: bool) -> MountError {
        let workers =
            "its workers (`main` must begin with `enter_worker()`; hand over what it yields)";
        let store = "its store (where everything is kept)";
        let missing: Vec<_> = [
            (!needs_no_workers && self.workers.is_none()).then_some(workers),
            self.store.is_none().then_some(store),
        ]
        .into_iter()
        .flatten()
        .collect();
        MountError::Invalid(format!("the runtime lacks {}", missing.join(" and ")))
    }
}

/// Tries every wall before the first plugin could need one, and says which do not hold.
async fn walls(workers: Option<&Workers>, required: BTreeSet<Layer>) -> Walls {
    let found = match workers {
        None => None,
        Some(workers) => workers.protections().await.ok().cloned(),
    };
    let lacking = found.iter().flat_map(Protections::lacking);
    for (layer, fault) in lacking {
        match required.contains(layer) {
            true => {
                tracing::error!(%layer, fault, "native plugins are not started: a required protection does not hold")
            }
            false => {
                tracing::warn!(%layer, fault, "native plugins run without this protection, which does not hold here")
            }
        }
    }
    Walls { found, required }
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
