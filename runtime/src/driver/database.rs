//! The seam for database plugins: what any driver that runs them offers.
//!
//! A running plugin holds instances, each of which is connected to one database by one configuration. It is given no
//! storage and no view of the server, so nothing of a mount is here.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use palisade_contract::Json;

use super::Exit;
use crate::catalog::Program;
use crate::services::{Deadline, PluginLog};
use crate::{CallError, Grants, LaunchError, Limits, ProcessOptions};

/// Everything a driver needs to start a database plugin.
#[derive(Clone)]
pub struct DatabasePlan {
    /// The verified bytes.
    pub program: Program,
    /// The entry's name and version, for logs and errors.
    pub label: String,
    /// What it may use.
    pub limits: Limits,
    /// What it may do besides.
    pub grants: Grants,
    /// How its process is started.
    pub process: ProcessOptions,
    /// Where its output goes.
    pub log: Arc<PluginLog>,
    /// The version that the server calls itself by.
    pub server_version: String,
}

/// How to connect to a database.
#[derive(Clone, Debug)]
pub struct DatabaseConfig {
    /// What the plugin needs to know, as a JSON object; most of it is secret.
    pub config: Json,
    /// Whether the plugin has to connect at once, so that a wrong configuration is found out.
    pub verify: bool,
}

/// A database plugin that runs. Dropping the last handle, those of its instances included, ends it at once.
#[async_trait]
pub trait DatabasePlugin: Send + Sync {
    /// Whether it holds many instances; otherwise a process has one, once.
    fn multiplexes(&self) -> bool;

    /// Makes an instance: asks its type, hands over the configuration and, where that is asked for, has the connection
    /// verified. What fails leaves no instance behind.
    ///
    /// # Errors
    ///
    /// [`CallError::Plugin`] with the plugin's own words where it refuses the configuration or does not reach the
    /// database, [`CallError::Invalid`] for a configuration that is no JSON object, and for a
    /// second instance of a plugin that does not multiplex.
    async fn start(
        &self,
        config: DatabaseConfig,
        deadline: Deadline,
    ) -> Result<Arc<dyn Database>, CallError>;

    /// Asks whether it serves.
    ///
    /// # Errors
    ///
    /// [`CallError`] when it does not say that it does.
    async fn ping(&self, deadline: Deadline) -> Result<(), CallError>;

    /// Resolves once nothing runs any more, with the reason.
    async fn exited(&self) -> Exit;

    /// Asks it to end, and ends it after `grace`, whatever instances it holds.
    async fn stop(&self, grace: Duration);

    /// The operating system's process that runs it.
    fn process_id(&self) -> Option<u32> {
        None
    }
}

/// One instance of a database plugin. Dropping it closes it in the background.
#[async_trait]
pub trait Database: Send + Sync {
    /// What kind of database the plugin said it is for.
    fn kind(&self) -> &str;

    /// The configuration to keep, which the plugin may have changed; most of it is secret.
    fn config(&self) -> &Json;

    /// Asks again what kind of database it is for, which shows that this very instance answers.
    ///
    /// # Errors
    ///
    /// As any call, and [`CallError::Slow`] after a second.
    async fn ask_kind(&self, deadline: Deadline) -> Result<String, CallError>;

    /// Ends the instance, and leaves the plugin running. Closing what is closed does nothing.
    ///
    /// # Errors
    ///
    /// As any call, [`CallError::Slow`] after a second; the instance counts as closed either way.
    async fn close(&self) -> Result<(), CallError>;
}

/// What a driver says that runs no database plugins.
pub(super) fn not_run(label: &str) -> LaunchError {
    LaunchError::Failed {
        plugin: label.to_owned(),
        fault: "a database plugin runs as a process only".to_owned(),
    }
}
