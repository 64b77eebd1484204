//! A runtime inside this process, with plugins mounted at their names.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use palisade_contract::{Json, Operation, PluginType, Request, Response};
use palisade_runtime::catalog::{Manifest, PluginDirectory};
use palisade_runtime::store::{MemoryStore, Store};
use palisade_runtime::{CallError, Isolation, NewMount, Runtime, Workers};
use sha2::{Digest as _, Sha256};

use palisade_demo::built;

/// One way to run a plugin.
pub struct Plugin<'a> {
    /// Its name, and where it is mounted.
    pub name: &'a str,
    /// What it is made of.
    pub file: PathBuf,
    /// How a component's requests are kept apart.
    pub isolation: Option<Isolation>,
    /// What it may use, where that is not the default.
    pub limits: &'a [(&'a str, &'a str)],
}

/// One way to run a component: its name, its isolation, and its limits.
pub type Way<'a> = (&'a str, Isolation, &'a [(&'a str, &'a str)]);

/// A runtime and its mounts.
pub struct Embedded(Runtime);

impl Embedded {
    /// One over a store in memory with its plugins in `directory`, and the hostile plugin linked in.
    ///
    /// # Errors
    ///
    /// When the directory is none of a plugin's, or the runtime does not open.
    pub async fn open(workers: Workers, directory: &Path) -> anyhow::Result<Self> {
        Self::over(Arc::new(MemoryStore::new()), workers, directory).await
    }

    async fn over(
        store: Arc<dyn Store>,
        workers: Workers,
        directory: &Path,
    ) -> anyhow::Result<Self> {
        let runtime = Runtime::builder()
            .workers(workers)
            .store(store)
            .plugin_directory(PluginDirectory::open(directory)?)
            .builtin("hostile".parse()?, palisade_hostile::plugin())
            .build()
            .await?;
        Ok(Self(runtime))
    }

    /// One over that store with the hostile component mounted in each of these ways.
    ///
    /// # Errors
    ///
    /// When it is not built, or does not start.
    pub async fn of_hostile(
        store: Arc<dyn Store>,
        workers: Workers,
        ways: &[Way<'_>],
    ) -> anyhow::Result<Self> {
        let directory = built::target_directory();
        let runtime = Self::over(store, workers, &directory).await?;
        for (name, isolation, limits) in ways {
            let plugin = Plugin {
                name,
                file: built::component("hostile"),
                isolation: Some(*isolation),
                limits,
            };
            runtime.mount(&directory, plugin).await?;
        }
        Ok(runtime)
    }

    /// The runtime itself.
    pub fn runtime(&self) -> &Runtime {
        &self.0
    }

    /// Registers a plugin and enables it.
    ///
    /// # Errors
    ///
    /// When it is not built, or refused.
    pub async fn mount(&self, directory: &Path, plugin: Plugin<'_>) -> anyhow::Result<()> {
        self.register(directory, &plugin).await?;
        self.enable(plugin.name, plugin.name).await
    }

    /// Registers a plugin.
    ///
    /// # Errors
    ///
    /// When it is not built, or refused.
    pub async fn register(&self, directory: &Path, plugin: &Plugin<'_>) -> anyhow::Result<()> {
        let bytes = std::fs::read(&plugin.file).with_context(|| {
            format!(
                "{} is not built: run `cargo xtask guests`",
                plugin.file.display()
            )
        })?;
        let command = plugin.file.strip_prefix(directory)?;
        let limit = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let digest = hex::encode(Sha256::digest(bytes));
        let manifest = Manifest {
            command: command.to_str().context("its path is text")?.to_owned(),
            isolation: plugin.isolation,
            limits: plugin.limits.iter().map(limit).collect::<BTreeMap<_, _>>(),
            ..Manifest::new(PluginType::Secret, plugin.name, &digest)
        };
        self.0.register(manifest).await?;
        Ok(())
    }

    /// Enables a plugin at a path.
    ///
    /// # Errors
    ///
    /// When it does not start.
    pub async fn enable(&self, path: &str, plugin: &str) -> anyhow::Result<()> {
        let mount = NewMount {
            plugin: plugin.to_owned(),
            ..NewMount::default()
        };
        self.0.enable(path.parse()?, mount).await?;
        Ok(())
    }

    /// Asks for a read.
    ///
    /// # Errors
    ///
    /// When it fails, or has no answer.
    pub async fn read(&self, path: &str) -> anyhow::Result<Json> {
        let answer = self.ask(Operation::Read, path, Json::null(), None).await?;
        let answer = answer.with_context(|| format!("{path} had nothing to say"))?;
        Ok(answer.data)
    }

    /// Asks anything.
    ///
    /// # Errors
    ///
    /// What became of the request.
    pub async fn ask(
        &self,
        operation: Operation,
        path: &str,
        data: Json,
        timeout: Option<Duration>,
    ) -> Result<Option<Response>, CallError> {
        let request = Request::new(operation, path, data);
        self.0.handle(request, timeout).await
    }
}
