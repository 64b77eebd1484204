//! The whole surface an embedder sees: register, enable, handle, reload, disable, shut down.

mod builder;
mod databases;
mod disable;
mod drivers;
mod enable;
mod mount;
mod record;
mod reload;
mod request;
mod route;
mod table;
#[cfg(test)]
mod tests;
mod workshop;

pub use builder::RuntimeBuilder;
pub use route::Route;

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use palisade_contract::{Existence, PluginType, Request, Response, SpecialPaths};
use tokio_util::sync::CancellationToken;

use self::databases::Databases;
use self::table::Table;
use self::workshop::Workshop;
use crate::catalog::{BUILTIN_VERSION, DryRun, Entry, EntryKey, EntrySummary, Manifest};
use crate::driver::{Compilation, CompilationCounts, DatabasePlugin};
use crate::lifecycle::Gate;
use crate::{
    CallError, Crash, Digest, LaunchError, Layer, MountError, MountPath, PluginName, PluginVersion,
    Profile, Protections, RegisterError, RuntimeKind,
};

/// A runtime: a catalog, its mounts and whatever runs. Cheap to clone; all clones are the same runtime.
///
/// When the last clone is dropped, everything is stopped in the background; [`shutdown`](Self::shutdown) waits for it.
#[derive(Clone)]
pub struct Runtime {
    inner: Arc<Inner>,
}

struct Inner {
    workshop: Arc<Workshop>,
    table: Table,
    databases: Databases,
    stopping: CancellationToken,
    /// Counts enabling, disabling and reloading, which a shutdown waits for.
    changes: Gate,
    walls: Walls,
}

/// What is known of the walls around processes.
struct Walls {
    /// Nothing when there are no workers to try them.
    found: Option<Protections>,
    required: BTreeSet<Layer>,
}

impl Inner {
    fn new(workshop: Arc<Workshop>, table: Table, walls: Walls) -> Self {
        Self {
            walls,
            workshop,
            table,
            databases: Databases::default(),
            stopping: CancellationToken::new(),
            changes: Gate::default(),
        }
    }

    fn is_stopping(&self) -> bool {
        self.stopping.is_cancelled()
    }

    /// Does a step of starting, unless the runtime stops meanwhile: then the step is given up.
    async fn unless_stopping<T>(
        &self,
        step: impl Future<Output = Result<T, LaunchError>>,
    ) -> Result<T, LaunchError> {
        tokio::select! {
            outcome = step => outcome,
            () = self.stopping.cancelled() => Err(LaunchError::Stopping),
        }
    }
}

impl Runtime {
    /// Starts collecting.
    pub fn builder() -> RuntimeBuilder {
        RuntimeBuilder::default()
    }

    /// Registers an artifact, or replaces an entry of that name and version. Runs nothing; stores nothing on failure.
    pub async fn register(&self, manifest: Manifest) -> Result<Entry, RegisterError> {
        self.refuse_when_stopping()?;
        self.inner.workshop.catalog.register(manifest).await
    }

    /// Checks all that [`register`](Self::register) checks, changes nothing, and tells what would be registered beside what
    /// there is.
    pub async fn dry_run(&self, manifest: Manifest) -> Result<DryRun, RegisterError> {
        self.refuse_when_stopping()?;
        self.inner.workshop.catalog.dry_run(manifest).await
    }

    /// Removes an entry. Running mounts go on until they are reloaded. Removing what is not there is no error.
    pub async fn deregister(&self, key: &EntryKey) -> Result<(), RegisterError> {
        self.refuse_when_stopping()?;
        self.inner.workshop.catalog.deregister(key).await
    }

    /// Every entry and builtin, sorted by type, name and version.
    pub async fn entries(&self) -> Result<Vec<EntrySummary>, RegisterError> {
        self.inner.workshop.catalog.entries().await
    }

    /// One registered entry.
    pub async fn entry(&self, key: &EntryKey) -> Result<Option<Entry>, RegisterError> {
        self.inner.workshop.catalog.entry(key).await
    }

    /// Whether a builtin of that type and name exists, and its version string.
    pub fn builtin_version(&self, plugin_type: PluginType, name: &PluginName) -> Option<String> {
        let builtin = self.inner.workshop.catalog.builtin(plugin_type, name);
        builtin.map(|_| BUILTIN_VERSION.to_owned())
    }

    /// Enables an entry at a path: starts it, sets it up, stores the mount, initializes it. What fails leaves nothing
    /// behind.
    pub async fn enable(&self, path: MountPath, mount: NewMount) -> Result<MountInfo, MountError> {
        self.change(move |inner| async move { enable::enable(&inner, path, mount).await })
            .await
    }

    /// Disables a mount: closes its gate, drains, stops it, deletes its storage. A path without mount is no error.
    pub async fn disable(&self, path: &MountPath) -> Result<(), MountError> {
        let path = path.clone();
        self.change(move |inner| async move { disable::disable(&inner, &path).await })
            .await
    }

    /// Which walls around the processes of native plugins hold on this machine, tried when the runtime was built; nothing
    /// where it has no workers to start processes with.
    pub fn protections(&self) -> Option<&Protections> {
        self.inner.walls.found.as_ref()
    }

    /// Those of them without which no native plugin is started.
    pub fn required_layers(&self) -> &BTreeSet<Layer> {
        &self.inner.walls.required
    }

    /// Where the compilation of the component of that digest is under a profile; nothing when this runtime has not begun it.
    pub fn compilation(&self, profile: Profile, digest: Digest) -> Option<Compilation> {
        let mut drivers = self.inner.workshop.drivers.values();
        drivers.find_map(|driver| driver.compilation(profile, digest))
    }

    /// How the compilations of components went since the runtime was built.
    pub fn compilation_counts(&self) -> CompilationCounts {
        let mut drivers = self.inner.workshop.drivers.values();
        let counts = drivers.find_map(|driver| driver.compilation_counts());
        counts.unwrap_or_default()
    }

    /// Every mount, sorted by path.
    pub fn mounts(&self) -> Vec<MountInfo> {
        let mounts = self.inner.table.all();
        mounts.iter().map(|mount| mount.info()).collect()
    }

    /// The mount whose path is the longest prefix of `path`.
    pub fn route(&self, path: &str) -> Option<Route> {
        let (mount, _) = self.inner.table.route(path)?;
        Some(Route::to(mount))
    }

    /// Answers a request. Its `path` is the full one; the mount's prefix is taken off, and the mount's fields are set.
    ///
    /// `timeout` is the longest the caller waits; the mount's own limit may be shorter.
    pub async fn handle(
        &self,
        request: Request,
        timeout: Option<Duration>,
    ) -> Result<Option<Response>, CallError> {
        // In a box, as it goes through many hands.
        request::handle(&self.inner, Box::new(request), timeout).await
    }

    /// Answers a write in the time of one request: [`Operation::Create`](palisade_contract::Operation) if the plugin says
    /// that nothing is there, and an update otherwise. The request's own operation does not matter.
    pub async fn write(
        &self,
        request: Request,
        timeout: Option<Duration>,
    ) -> Result<Option<Response>, CallError> {
        // Boxed, because it holds the futures of two calls.
        Box::pin(request::write(&self.inner, Box::new(request), timeout)).await
    }

    /// Whether the thing at the request's path exists.
    pub async fn exists(
        &self,
        request: Request,
        timeout: Option<Duration>,
    ) -> Result<Existence, CallError> {
        request::exists(&self.inner, Box::new(request), timeout).await
    }

    /// Replaces the running instance of a mount by a new generation of what the catalog says now, without a gap.
    ///
    /// # Errors
    ///
    /// When the new generation does not start; the old one goes on serving.
    pub async fn reload_mount(&self, path: &MountPath) -> Result<(), MountError> {
        let path = path.clone();
        self.change(move |inner| async move { reload::reload_mount(&inner, &path).await })
            .await
    }

    /// Reloads every mount of that plugin; gives their paths.
    ///
    /// # Errors
    ///
    /// The first failure; the other mounts are reloaded all the same.
    pub async fn reload_plugin(&self, name: &PluginName) -> Result<Vec<MountPath>, MountError> {
        let name = name.clone();
        self.change(move |inner| async move { reload::reload_plugin(&inner, &name).await })
            .await
    }

    /// Starts a process of a database plugin: of that version, or else of the unversioned entry, or the highest version. It
    /// has no database yet, and ends with its last handle or with the runtime.
    ///
    /// # Errors
    ///
    /// [`MountError::NoEntry`] when the catalog has none, and why it did not start.
    pub async fn launch_database(
        &self,
        plugin: &PluginName,
        version: Option<PluginVersion>,
    ) -> Result<Arc<dyn DatabasePlugin>, MountError> {
        let plugin = plugin.clone();
        self.change(move |inner| async move { databases::launch(&inner, plugin, version).await })
            .await
    }

    /// Closes every gate, drains, stops every plugin and reaps it. The runtime refuses everything afterwards.
    pub async fn shutdown(&self) {
        self.inner.stopping.cancel();
        self.inner.changes.close();
        // Starts were given up just now; what is left is storing and stopping.
        let limit = self.inner.workshop.timeouts.drain + self.inner.workshop.timeouts.grace;
        if tokio::time::timeout(limit, self.inner.changes.emptied())
            .await
            .is_err()
        {
            tracing::warn!("a change of the mounts is cut off: it outlasted the drain");
        }
        let mounts = self.inner.table.all();
        let mounts = futures_util::future::join_all(mounts.iter().map(|mount| mount.stop()));
        let grace = self.inner.workshop.timeouts.grace;
        tokio::join!(mounts, self.inner.databases.stop(grace));
        for driver in self.inner.workshop.drivers.values() {
            driver.close();
        }
    }

    /// Makes a change in a task of its own: it is finished or undone even if its caller goes away.
    async fn change<T, F>(&self, make: impl FnOnce(Arc<Inner>) -> F) -> Result<T, MountError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, MountError>> + Send + 'static,
    {
        let inside = self.inner.changes.enter().ok_or(LaunchError::Stopping)?;
        let change = make(Arc::clone(&self.inner));
        let done = tokio::spawn(async move {
            let _inside = inside;
            change.await
        });
        done.await.unwrap_or_else(|failure| {
            Err(MountError::Invalid(format!("the change failed: {failure}")))
        })
    }

    fn refuse_when_stopping(&self) -> Result<(), RegisterError> {
        match self.inner.is_stopping() {
            true => Err(RegisterError::Stopping),
            false => Ok(()),
        }
    }
}

/// How to enable an entry.
#[derive(Clone, Debug, Default)]
pub struct NewMount {
    /// The plugin's name in the catalog.
    pub plugin: String,
    /// Secret or auth; secret when not given.
    pub plugin_type: Option<PluginType>,
    /// Which version; the unversioned entry, else the highest, else the builtin when not given.
    pub version: Option<PluginVersion>,
    /// A remark for people.
    pub description: String,
    /// Options handed to the plugin's setup.
    pub options: BTreeMap<String, String>,
    /// Settings that the server keeps with the mount and the runtime does not read, as JSON.
    pub config: serde_json::Value,
    /// Whether it is kept on this cluster only.
    pub local: bool,
    /// Whether its storage is sealed twice.
    pub seal_wrap: bool,
}

/// A mount as others see it.
#[derive(Clone, Debug)]
pub struct MountInfo {
    /// Where it is.
    pub path: MountPath,
    /// The plugin's name.
    pub plugin: PluginName,
    /// Secret or auth.
    pub plugin_type: PluginType,
    /// `<plugin>_<8 hex>`.
    pub accessor: String,
    /// Stays the same for as long as the mount exists.
    pub uuid: String,
    /// As enabled.
    pub description: String,
    /// As enabled.
    pub options: BTreeMap<String, String>,
    /// As enabled.
    pub config: serde_json::Value,
    /// As enabled.
    pub local: bool,
    /// As enabled.
    pub seal_wrap: bool,
    /// The version it was pinned to, if any.
    pub version: Option<PluginVersion>,
    /// The version that runs: empty for an unversioned entry, `v…+builtin.palisade` for a builtin.
    pub running_version: String,
    /// The digest of the bytes that run; none for a builtin.
    pub running_sha256: Option<Digest>,
    /// How it runs.
    pub runtime: RuntimeKind,
    /// How large what runs may be, if it is a component.
    pub profile: Profile,
    /// Whether something runs right now.
    pub running: bool,
    /// The operating system's process, for a native plugin that runs.
    pub process_id: Option<u32>,
    /// Bytes of memory it holds, as far as its driver can tell.
    pub memory_bytes: Option<u64>,
    /// Paths that the plugin asked to be treated specially; empty until it has run.
    pub special_paths: SpecialPaths,
    /// How often a component crashed since the mount was opened.
    pub crashes: u64,
    /// The last of these, oldest first.
    pub last_crashes: Vec<Arc<Crash>>,
}
