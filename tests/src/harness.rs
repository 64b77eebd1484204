//! A whole runtime on temporary directories, with the guests at hand in one mode.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use palisade_contract::{Json, Operation, Request};
use palisade_runtime::catalog::{Manifest, PluginDirectory};
use palisade_runtime::driver::wasm::WasmDriver;
use palisade_runtime::store::{MemoryStore, Store};
use palisade_runtime::{
    CallError, FolderRoot, MountInfo, MountPath, NewMount, RegisterError, Runtime, RuntimeKind,
    Timeouts, Workers,
};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::{Guest, Mode, Outcome};

/// What [`palisade_runtime::enter_worker`] yielded in `main`; one spawner serves all tests of a process.
static WORKERS: OnceLock<Workers> = OnceLock::new();

/// Keeps the workers for every harness of this process. `main` calls it once, first.
pub fn workers_for_all_tests(workers: Workers) {
    WORKERS.set(workers).ok();
}

/// How long a request may take that has no reason to take long. Generous, as tests share a machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a harness is made of, where that matters.
pub struct Setup {
    /// The mode that [`Harness::mount`] uses.
    pub mode: Mode,
    /// Where everything is kept.
    pub store: Arc<dyn Store>,
    /// Where artifacts are.
    pub plugins: Arc<TempDir>,
    /// How long the steps of a plugin's life may take.
    pub timeouts: Timeouts,
}

impl Setup {
    /// Everything new and empty, in memory.
    pub fn new(mode: Mode) -> Self {
        Self {
            mode,
            store: Arc::new(MemoryStore::new()),
            plugins: Arc::new(tempfile::tempdir().expect("a temporary directory can be made")),
            timeouts: Timeouts::default(),
        }
    }
}

/// A runtime and its surroundings. Cheap to clone; all clones are the same one.
#[derive(Clone)]
pub struct Harness {
    /// The mode that [`Harness::mount`] uses.
    pub mode: Mode,
    /// The runtime itself.
    pub runtime: Runtime,
    /// Where everything is kept.
    pub store: Arc<dyn Store>,
    plugins: Arc<TempDir>,
    folders: Arc<TempDir>,
}

impl Harness {
    /// A runtime in memory.
    pub async fn new(mode: Mode) -> Self {
        Self::start(Setup::new(mode)).await
    }

    /// A runtime of these parts.
    ///
    /// # Panics
    ///
    /// When it cannot be built.
    pub async fn start(setup: Setup) -> Self {
        let workers = WORKERS.get().expect("main hands over its workers first");
        let directory = PluginDirectory::open(&real_path(setup.plugins.path()))
            .expect("a temporary directory can be opened");
        let folders = Arc::new(tempfile::tempdir().expect("a temporary directory can be made"));
        let root = FolderRoot::open(&real_path(folders.path()));
        let root = root.expect("a temporary directory can be opened");
        let mut builder = Runtime::builder();
        if setup.timeouts == Timeouts::default() {
            let driver = compiling_once(workers).with_folders(Some(root.clone()));
            builder = builder.driver(RuntimeKind::Wasm, Arc::new(driver));
        }
        builder = builder
            .workers(workers.clone())
            .folders(root)
            .store(Arc::clone(&setup.store))
            .plugin_directory(directory)
            .timeouts(setup.timeouts);
        for guest in Guest::ALL {
            let name = guest.name().parse().expect("guests have good names");
            builder = builder.builtin(name, guest.plugin());
        }
        Self {
            mode: setup.mode,
            runtime: builder.build().await.expect("all parts are there"),
            store: setup.store,
            plugins: setup.plugins,
            folders,
        }
    }

    /// The folder beneath which plugins may be granted folders.
    pub fn folders(&self) -> PathBuf {
        real_path(self.folders.path())
    }

    /// The plugin directory.
    pub fn plugins(&self) -> PathBuf {
        real_path(self.plugins.path())
    }

    /// Puts bytes into the plugin directory and returns their digest.
    pub fn place(&self, file: &str, bytes: &[u8]) -> String {
        let path = self.plugins().join(file);
        // A file that is replaced, not one that is written over, as a package manager does it.
        fs::remove_file(&path).ok();
        fs::write(&path, bytes).expect("the plugin directory can be written");
        sha256(bytes)
    }

    /// Puts a guest's artifact into the plugin directory; a builtin has none.
    pub fn place_guest(&self, guest: Guest) -> Option<String> {
        let artifact = guest.artifact(self.mode)?;
        let path = self.plugins().join(guest.name());
        fs::remove_file(&path).ok();
        fs::copy(&artifact, &path).expect("an artifact can be copied");
        Some(sha256(&fs::read(&path).expect("it was just written")))
    }

    /// A registration of a guest in the harness's mode.
    pub fn manifest(&self, guest: Guest, sha256: String) -> Manifest {
        Manifest {
            isolation: self.mode.isolation(),
            ..Manifest::new(guest.plugin_type(), guest.name(), &sha256)
        }
    }

    /// As [`Harness::mount`], with these limits stated; a builtin has no registration to state them in.
    ///
    /// # Panics
    ///
    /// As [`Harness::mount`], or when the mode is builtin.
    pub async fn mount_with_limits(&self, guest: Guest, limits: &[(&str, &str)]) -> MountInfo {
        let digest = self.place_guest(guest).expect("a builtin states no limits");
        let mut manifest = self.manifest(guest, digest);
        manifest.limits = texts(limits);
        let registered = self.runtime.register(manifest).await;
        registered.expect("the guest can be registered");
        let mount = self.enable(guest.name(), guest, &[]).await;
        mount.expect("the guest can be enabled")
    }

    /// Registers a guest as that manifest says, and enables it at a path of its own name.
    ///
    /// # Errors
    ///
    /// Why it could not be enabled.
    ///
    /// # Panics
    ///
    /// When it cannot be registered, or the mode is builtin.
    pub async fn mount_changed(
        &self,
        guest: Guest,
        change: impl FnOnce(&mut Manifest),
    ) -> Result<MountInfo, palisade_runtime::MountError> {
        let digest = self
            .place_guest(guest)
            .expect("a builtin is not registered");
        let mut manifest = self.manifest(guest, digest);
        change(&mut manifest);
        let registered = self.runtime.register(manifest).await;
        registered.expect("the guest can be registered");
        self.enable(guest.name(), guest, &[]).await
    }

    /// Registers a guest, unless it is a builtin, so that each mount of it has a process of its own.
    ///
    /// # Panics
    ///
    /// When it cannot be registered.
    pub async fn register_apart(&self, guest: Guest) {
        let Some(digest) = self.place_guest(guest) else {
            return;
        };
        let manifest = Manifest {
            dedicated: self.mode == Mode::Native,
            ..self.manifest(guest, digest)
        };
        let registered = self.runtime.register(manifest).await;
        registered.expect("the guest can be registered");
    }

    /// Registers a guest, unless it is a builtin.
    ///
    /// # Errors
    ///
    /// As [`Runtime::register`].
    pub async fn register(&self, guest: Guest) -> Result<(), RegisterError> {
        if let Some(digest) = self.place_guest(guest) {
            self.runtime.register(self.manifest(guest, digest)).await?;
        }
        Ok(())
    }

    /// Registers a guest and enables it at a path of its own name.
    ///
    /// # Panics
    ///
    /// When that fails, or it does not run in the harness's mode.
    pub async fn mount(&self, guest: Guest) -> MountInfo {
        self.mount_at(guest.name(), guest, &[]).await
    }

    /// As [`Harness::mount`], at a path and with options.
    ///
    /// # Panics
    ///
    /// As [`Harness::mount`].
    pub async fn mount_at(&self, path: &str, guest: Guest, options: &[(&str, &str)]) -> MountInfo {
        self.register(guest)
            .await
            .expect("the guest can be registered");
        let mount = self.enable(path, guest, options).await;
        let mount = mount.expect("the guest can be enabled");
        assert_eq!(
            mount.runtime,
            self.mode.runtime(),
            "it runs in the wrong mode"
        );
        mount
    }

    /// Enables what is registered.
    ///
    /// # Errors
    ///
    /// As [`Runtime::enable`].
    pub async fn enable(
        &self,
        path: &str,
        guest: Guest,
        options: &[(&str, &str)],
    ) -> Result<MountInfo, palisade_runtime::MountError> {
        let mount = NewMount {
            plugin: guest.name().to_owned(),
            plugin_type: Some(guest.plugin_type()),
            options: texts(options),
            ..NewMount::default()
        };
        self.runtime.enable(mount_path(path), mount).await
    }

    /// What is known of the mount at a path now.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub fn info(&self, path: &str) -> MountInfo {
        let path = mount_path(path);
        let mounts = self.runtime.mounts();
        mounts
            .into_iter()
            .find(|mount| mount.path == path)
            .expect("the mount is there")
    }

    /// Reloads a mount.
    ///
    /// # Errors
    ///
    /// As [`Runtime::reload_mount`].
    pub async fn reload(&self, path: &str) -> Result<(), palisade_runtime::MountError> {
        self.runtime.reload_mount(&mount_path(path)).await
    }

    /// Disables a mount.
    ///
    /// # Errors
    ///
    /// As [`Runtime::disable`].
    pub async fn disable(&self, path: &str) -> Result<(), palisade_runtime::MountError> {
        self.runtime.disable(&mount_path(path)).await
    }

    /// Sends a request and waits as long as a request without trouble may take.
    ///
    /// # Errors
    ///
    /// As [`Runtime::handle`].
    pub async fn request(&self, operation: Operation, path: &str, data: Value) -> Outcome {
        self.request_within(PATIENCE, operation, path, data).await
    }

    /// Sends a request whose caller waits no longer than that.
    ///
    /// # Errors
    ///
    /// As [`Runtime::handle`].
    pub async fn request_within(
        &self,
        timeout: Duration,
        operation: Operation,
        path: &str,
        data: Value,
    ) -> Outcome {
        self.request_text(timeout, operation, path, data.to_string())
            .await
    }

    /// Sends a request with this very text as its data.
    ///
    /// # Errors
    ///
    /// As [`Runtime::handle`].
    pub async fn request_text(
        &self,
        timeout: Duration,
        operation: Operation,
        path: &str,
        data: String,
    ) -> Outcome {
        let request = Request::new(operation, path, Json::from_text(data));
        self.runtime.handle(request, Some(timeout)).await
    }

    /// Reads, and gives the data of the answer; `Null` when nothing is there.
    ///
    /// # Errors
    ///
    /// As [`Runtime::handle`].
    pub async fn read(&self, path: &str) -> Result<Value, CallError> {
        data(self.request(Operation::Read, path, Value::Null).await)
    }

    /// Writes, and gives the data of the answer.
    ///
    /// # Errors
    ///
    /// As [`Runtime::handle`].
    pub async fn write(&self, path: &str, body: Value) -> Result<Value, CallError> {
        data(self.request(Operation::Update, path, body).await)
    }

    /// Deletes.
    ///
    /// # Errors
    ///
    /// As [`Runtime::handle`].
    pub async fn delete(&self, path: &str) -> Result<Value, CallError> {
        data(self.request(Operation::Delete, path, Value::Null).await)
    }

    /// Lists the names beneath a path.
    ///
    /// # Errors
    ///
    /// As [`Runtime::handle`].
    pub async fn list(&self, path: &str, body: Value) -> Result<Vec<String>, CallError> {
        let answer = data(self.request(Operation::List, path, body).await)?;
        let keys = answer["keys"].as_array().cloned().unwrap_or_default();
        Ok(keys
            .iter()
            .filter_map(|key| key.as_str().map(str::to_owned))
            .collect())
    }

    /// Sends a write that must be refused, and gives the text, whichever of the two ways it takes.
    ///
    /// # Panics
    ///
    /// When it is not refused.
    pub async fn said_no(&self, path: &str, body: Value) -> String {
        match self.request(Operation::Update, path, body).await {
            Ok(answer) => answer
                .and_then(|answer| answer.error_text())
                .expect("it is refused"),
            Err(error) => error.to_string(),
        }
    }

    /// Stops everything.
    pub async fn shutdown(&self) {
        self.runtime.shutdown().await;
    }

    /// Stops everything and lets go of the store, as the end of a server does; its plugin directory stays.
    pub async fn shut_down_and_keep_plugins(self) -> Arc<TempDir> {
        self.shutdown().await;
        self.plugins
    }
}

/// The driver that all harnesses of ordinary timeouts share, so that each component is compiled once for all tests.
fn compiling_once(workers: &Workers) -> WasmDriver {
    static DRIVER: OnceLock<WasmDriver> = OnceLock::new();
    let driver = DRIVER.get_or_init(|| {
        let driver = WasmDriver::new(workers.clone(), Timeouts::default());
        driver.expect("threads can be started")
    });
    driver.clone()
}

/// Names and values as the runtime takes them.
pub fn texts(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let owned = pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    owned.collect()
}

/// The data of an answer.
fn data(outcome: Outcome) -> Result<Value, CallError> {
    let response = outcome?.unwrap_or_default();
    Ok(response
        .data
        .parse()
        .expect("answers to these tests are JSON"))
}

fn mount_path(path: &str) -> MountPath {
    path.parse().expect("tests use good paths")
}

/// The SHA-256 of bytes, in hexadecimal.
fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// Temporary directories may be reached through symlinks, which a plugin directory must not.
fn real_path(path: &Path) -> PathBuf {
    path.canonicalize().expect("the directory exists")
}
