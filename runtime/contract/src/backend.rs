//! The one trait of a plugin, and the factory that makes its values.

use std::collections::BTreeMap;

use async_trait::async_trait;

use crate::{Description, Host, PluginError, Request, Response};

/// A plugin before it is mounted: it describes itself and makes one [`Backend`] per mount.
#[async_trait]
pub trait Plugin: Send + Sync {
    /// What it is. The same answer every time, and no side effects.
    fn describe(&self) -> Description;

    /// Makes the backend of one mount. Storage can be read and not yet written.
    ///
    /// # Errors
    ///
    /// Whatever is wrong with the configuration; the mount is then not enabled.
    async fn setup(
        &self,
        config: SetupConfig,
        host: &dyn Host,
    ) -> Result<Box<dyn Backend>, PluginError>;
}

/// One mount of a plugin.
///
/// Memory is a cache: a host may drop the value between any two calls and make a new one with `setup`. Only storage
/// outlives it. Calls may overlap.
#[async_trait]
pub trait Backend: Send + Sync {
    /// Called once per generation of a mount, before its first request; storage can be written.
    async fn initialize(&self, host: &dyn Host) -> Result<(), PluginError> {
        let _ = host;
        Ok(())
    }

    /// Answers one request. `None` is "nothing there", or "done, and nothing to say".
    async fn handle_request(
        &self,
        request: Request,
        host: &dyn Host,
    ) -> Result<Option<Response>, PluginError>;

    /// Whether the thing at the request's path exists, so that the host can tell create from update.
    async fn check_existence(
        &self,
        request: Request,
        host: &dyn Host,
    ) -> Result<Existence, PluginError> {
        let _ = (request, host);
        Ok(Existence::Unchecked)
    }

    /// Another instance wrote `key`: forget what was cached of it.
    async fn invalidate_key(&self, key: &str, host: &dyn Host) {
        let _ = (key, host);
    }

    /// The mount goes away, or this value of it does.
    async fn cleanup(&self, host: &dyn Host) {
        let _ = host;
    }
}

/// What a mount tells its backend (`pb.SetupArgs`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SetupConfig {
    /// The mount's options, and `plugin_name`, `plugin_type`, `plugin_version`.
    pub options: BTreeMap<String, String>,
    /// Stays the same for as long as the mount exists.
    pub backend_uuid: String,
}

/// The answer to an existence check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existence {
    /// The path has no check; the host takes the request for an update.
    Unchecked,
    /// Nothing is there: a write creates.
    Absent,
    /// Something is there: a write updates.
    Present,
}
