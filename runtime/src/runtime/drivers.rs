//! The runtime's own drivers and inspector, made from the workers.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;

use crate::catalog::{ComponentInspector, Survey, Verified};
use crate::driver::builtin::BuiltinDriver;
use crate::driver::native::NativeDriver;
use crate::driver::wasm::{self, WasmDriver};
use crate::driver::{CodeCache, Driver};
use crate::{
    FolderRoot, LaunchError, Layer, Profile, RegisterError, RuntimeKind, Timeouts, Workers,
};

/// The driver for plugins of that kind. Builtins need no workers; processes stand behind the `required` walls, and
/// components use the folders that they are granted.
pub(super) fn driver_of(
    kind: RuntimeKind,
    workers: Option<&Workers>,
    timeouts: &Timeouts,
    required: &BTreeSet<Layer>,
    folders: Option<&FolderRoot>,
    cache: Option<&CodeCache>,
) -> Result<Option<Arc<dyn Driver>>, LaunchError> {
    Ok(match (kind, workers) {
        (RuntimeKind::Builtin, _) => Some(Arc::new(BuiltinDriver::new(timeouts))),
        (RuntimeKind::Wasm, Some(workers)) => {
            let driver = WasmDriver::new(workers.clone(), timeouts.clone())?;
            let driver = driver.with_folders(folders.cloned());
            Some(match cache {
                Some(cache) => Arc::new(driver.caching(cache.clone())),
                None => Arc::new(driver),
            })
        }
        (RuntimeKind::Native, Some(workers)) => Some(Arc::new(NativeDriver::new(
            workers.clone(),
            timeouts.clone(),
            required.clone(),
        ))),
        (_, None) => None,
    })
}

/// Looks at components in a worker process.
pub(super) struct WorkerInspector {
    pub(super) workers: Workers,
    pub(super) timeouts: Timeouts,
}

#[async_trait]
impl ComponentInspector for WorkerInspector {
    async fn inspect(
        &self,
        artifact: &Verified,
        profile: Profile,
    ) -> Result<Survey, RegisterError> {
        let limit = self.timeouts.inspect;
        wasm::inspect_artifact(&self.workers, artifact.artifact(), profile, limit).await
    }
}
