//! A plugin enabled on a host in memory.

use std::sync::Arc;

use palisade_contract::{
    Backend, Existence, Json, Operation, Plugin, PluginError, Request, Response, SetupConfig,
};
use serde_json::Value;

use super::{MemoryHost, ready};

/// What a plugin answers.
type Outcome = Result<Option<Response>, PluginError>;

/// A mount to send requests to.
pub struct Mount {
    plugin: Arc<dyn Plugin>,
    config: SetupConfig,
    host: MemoryHost,
    backend: Box<dyn Backend>,
}

impl Mount {
    /// Sets the plugin up with these mount options and initializes it.
    ///
    /// # Errors
    ///
    /// What the plugin says.
    pub fn enable(plugin: Arc<dyn Plugin>, options: &[(&str, &str)]) -> Result<Self, PluginError> {
        let options = options.iter();
        let config = SetupConfig {
            options: options
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            backend_uuid: "00000000-0000-4000-8000-000000000001".to_owned(),
        };
        let host = MemoryHost::new();
        let backend = set_up(plugin.as_ref(), &config, &host)?;
        ready(backend.initialize(&host))?;
        Ok(Self {
            plugin,
            config,
            host,
            backend,
        })
    }

    /// Drops the backend and makes a new one over the same storage, as a host may at any time.
    ///
    /// # Errors
    ///
    /// What the plugin says.
    pub fn renew_instance(&mut self) -> Result<(), PluginError> {
        self.backend = set_up(self.plugin.as_ref(), &self.config, &self.host)?;
        Ok(())
    }

    /// The host, to look at its storage and log and to move its clock.
    pub fn host(&self) -> &MemoryHost {
        &self.host
    }

    /// The backend itself.
    pub fn backend(&self) -> &dyn Backend {
        self.backend.as_ref()
    }

    /// Sends any request.
    ///
    /// # Errors
    ///
    /// What the plugin says.
    pub fn send(&self, request: Request) -> Outcome {
        ready(self.backend.handle_request(request, &self.host))
    }

    /// Reads.
    ///
    /// # Errors
    ///
    /// What the plugin says.
    pub fn read(&self, path: &str) -> Outcome {
        self.send(Request::new(Operation::Read, path, Json::null()))
    }

    /// Reads with query parameters.
    ///
    /// # Errors
    ///
    /// What the plugin says.
    pub fn read_with(&self, path: &str, query: Value) -> Outcome {
        self.send(with(Operation::Read, path, &query))
    }

    /// Lists.
    ///
    /// # Errors
    ///
    /// What the plugin says.
    pub fn list(&self, path: &str) -> Outcome {
        self.send(Request::new(Operation::List, path, Json::null()))
    }

    /// Writes, as a create or an update by what the existence check says.
    ///
    /// # Errors
    ///
    /// What the plugin says.
    pub fn write(&self, path: &str, body: Value) -> Outcome {
        let request = with(Operation::Update, path, &body);
        let existence = ready(self.backend.check_existence(request.clone(), &self.host))?;
        let operation = match existence {
            Existence::Absent => Operation::Create,
            Existence::Present | Existence::Unchecked => Operation::Update,
        };
        self.send(Request {
            operation,
            ..request
        })
    }

    /// Patches.
    ///
    /// # Errors
    ///
    /// What the plugin says.
    pub fn patch(&self, path: &str, body: Value) -> Outcome {
        self.send(with(Operation::Patch, path, &body))
    }

    /// Deletes.
    ///
    /// # Errors
    ///
    /// What the plugin says.
    pub fn delete(&self, path: &str) -> Outcome {
        self.send(Request::new(Operation::Delete, path, Json::null()))
    }
}

/// Nothing can be written while a plugin sets itself up.
fn set_up(
    plugin: &dyn Plugin,
    config: &SetupConfig,
    host: &MemoryHost,
) -> Result<Box<dyn Backend>, PluginError> {
    host.refuse_writes(true);
    let backend = ready(plugin.setup(config.clone(), host));
    host.refuse_writes(false);
    backend
}

fn with(operation: Operation, path: &str, body: &Value) -> Request {
    Request::new(operation, path, Json::from_text(body.to_string()))
}
