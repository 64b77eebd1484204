//! The whole surface an embedder sees: register, enable, handle, reload, disable, shut down.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use palisade_contract::{Existence, Plugin, PluginType, Request, Response, SpecialPaths};

use crate::catalog::{Entry, EntryKey, EntrySummary, Manifest, PluginDirectory};
use crate::store::Store;
use crate::{
    CallError, Digest, MountError, MountPath, PluginName, PluginVersion, RegisterError,
    RuntimeKind, Timeouts, Workers,
};

/// A runtime: a catalog, its mounts and whatever runs. Cheap to clone; all clones are the same runtime.
#[derive(Clone)]
pub struct Runtime {}

/// Collects what a runtime needs.
pub struct RuntimeBuilder {}

impl RuntimeBuilder {
    /// What [`enter_worker`](crate::enter_worker) yielded. Required.
    pub fn workers(self, _workers: Workers) -> Self {
        todo!()
    }
    /// Where everything is kept; the server hands its barrier. Required.
    pub fn store(self, _store: Arc<dyn Store>) -> Self {
        todo!()
    }
    /// Where artifacts are; without one nothing can be registered.
    pub fn plugin_directory(self, _directory: PluginDirectory) -> Self {
        todo!()
    }
    /// Links a plugin into the runtime under a name.
    pub fn builtin(self, _name: PluginName, _plugin: Arc<dyn Plugin>) -> Self {
        todo!()
    }
    /// How long the steps of a plugin's life may take.
    pub fn timeouts(self, _timeouts: Timeouts) -> Self {
        todo!()
    }
    /// Opens the runtime, with the mounts that the store knows. Mounts start lazily: no plugin runs yet.
    ///
    /// # Errors
    ///
    /// Which required part is missing, or why the store or the workers failed.
    pub async fn build(self) -> Result<Runtime, MountError> {
        todo!()
    }
}

impl Runtime {
    /// Starts collecting.
    pub fn builder() -> RuntimeBuilder {
        todo!()
    }

    /// Registers an artifact, or replaces an unversioned entry of that name. Runs nothing; stores nothing on failure.
    pub async fn register(&self, _manifest: Manifest) -> Result<Entry, RegisterError> {
        todo!()
    }

    /// Removes an entry. Running mounts go on until they are reloaded. Removing what is not there is no error.
    pub async fn deregister(&self, _key: &EntryKey) -> Result<(), RegisterError> {
        todo!()
    }

    /// Every entry and builtin, sorted by type, name and version.
    pub async fn entries(&self) -> Result<Vec<EntrySummary>, RegisterError> {
        todo!()
    }

    /// One registered entry.
    pub async fn entry(&self, _key: &EntryKey) -> Result<Option<Entry>, RegisterError> {
        todo!()
    }

    /// Whether a builtin of that type and name exists, and its version string.
    pub fn builtin_version(&self, _plugin_type: PluginType, _name: &PluginName) -> Option<String> {
        todo!()
    }

    /// Enables an entry at a path: starts it, sets it up, stores the mount, initializes it.
    pub async fn enable(
        &self,
        _path: MountPath,
        _mount: NewMount,
    ) -> Result<MountInfo, MountError> {
        todo!()
    }

    /// Disables a mount: closes its gate, drains, stops it, deletes its storage. A path without mount is no error.
    pub async fn disable(&self, _path: &MountPath) -> Result<(), MountError> {
        todo!()
    }

    /// Every mount, sorted by path.
    pub fn mounts(&self) -> Vec<MountInfo> {
        todo!()
    }

    /// The mount whose path is the longest prefix of `path`, and the rest of the path.
    pub fn route(&self, _path: &str) -> Option<(MountInfo, String)> {
        todo!()
    }

    /// Answers a request. Its `path` is the full one; the mount's prefix is taken off, and the mount's fields are set.
    ///
    /// `timeout` is the longest the caller waits; the mount's own limit may be shorter.
    pub async fn handle(
        &self,
        _request: Request,
        _timeout: Option<Duration>,
    ) -> Result<Option<Response>, CallError> {
        todo!()
    }

    /// Whether the thing at the request's path exists.
    pub async fn exists(
        &self,
        _request: Request,
        _timeout: Option<Duration>,
    ) -> Result<Existence, CallError> {
        todo!()
    }

    /// Replaces the running instance of a mount by a new generation of what the catalog says now, without a gap.
    pub async fn reload_mount(&self, _path: &MountPath) -> Result<(), MountError> {
        todo!()
    }

    /// Reloads every mount of that plugin; gives their paths.
    pub async fn reload_plugin(&self, _name: &PluginName) -> Result<Vec<MountPath>, MountError> {
        todo!()
    }

    /// Closes every gate, drains, stops every plugin and reaps it. The runtime refuses everything afterwards.
    pub async fn shutdown(&self) {
        todo!()
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
    /// Whether something runs right now.
    pub running: bool,
    /// The operating system's process, for a native plugin that runs.
    pub process_id: Option<u32>,
    /// Bytes of memory it holds, as far as its driver can tell.
    pub memory_bytes: Option<u64>,
    /// Paths that the plugin asked to be treated specially; empty until it has run.
    pub special_paths: SpecialPaths,
}
