//! What a server needs to know of a mount for each request: without a look at the process behind it.

use std::sync::Arc;

use super::MountInfo;
use super::mount::Mount;
use super::record::Record;

/// The mount that serves a path, as it was when it was asked for.
pub struct Route {
    mount: Arc<Mount>,
    record: Arc<Record>,
}

impl Route {
    pub(super) fn to(mount: Arc<Mount>) -> Self {
        Self {
            record: mount.record(),
            mount,
        }
    }

    /// `<plugin>_<8 hex>`.
    pub fn accessor(&self) -> &str {
        &self.record.accessor
    }

    /// The mount's settings, as enabled.
    pub fn config(&self) -> &serde_json::Value {
        &self.record.config
    }

    /// Everything that there is to see of it, which takes a look at its process.
    pub fn info(&self) -> MountInfo {
        self.mount.info()
    }
}
