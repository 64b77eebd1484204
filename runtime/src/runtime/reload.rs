//! Moving mounts over to what the catalog says now, without a gap.

use std::sync::Arc;
use std::time::Instant;

use super::Inner;
use super::mount::Mount;
use crate::catalog::Choice;
use crate::{MountError, MountPath, PluginName, RegisterError};

/// Reloads the mount at a path.
pub(super) async fn reload_mount(inner: &Inner, path: &MountPath) -> Result<(), MountError> {
    match inner.table.get(path) {
        Some(mount) => reload(inner, &mount, Instant::now()).await,
        None => Err(MountError::NotFound { path: path.clone() }),
    }
}

/// Reloads every mount of a plugin. All are tried; the first failure is told.
pub(super) async fn reload_plugin(
    inner: &Inner,
    name: &PluginName,
) -> Result<Vec<MountPath>, MountError> {
    let of_plugin = |mount: &Arc<Mount>| mount.record().plugin == *name;
    let mounts: Vec<_> = inner.table.all().into_iter().filter(of_plugin).collect();
    if mounts.is_empty() && !is_known(inner, name).await? {
        let plugin = name.to_string();
        return Err(MountError::NoEntry { plugin });
    }
    // Those that share a process move over to one new process together.
    let asked = Instant::now();
    let mut paths = Vec::new();
    let mut failure = None;
    for mount in mounts {
        match reload(inner, &mount, asked).await {
            Ok(()) => paths.push(mount.record().path.clone()),
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    failure.map_or(Ok(paths), Err)
}

async fn is_known(inner: &Inner, name: &PluginName) -> Result<bool, MountError> {
    let known = inner.workshop.catalog.knows(name).await;
    known.map_err(|error| match error {
        RegisterError::Store(error) => MountError::Store(error),
        other => MountError::Invalid(other.to_string()),
    })
}

async fn reload(inner: &Inner, mount: &Mount, asked: Instant) -> Result<(), MountError> {
    let outcome = move_over(inner, mount, asked).await;
    if let Err(error) = &outcome {
        let path = &mount.record().path;
        tracing::warn!(%path, %error, "not reloaded; what ran goes on");
    }
    outcome
}

async fn move_over(inner: &Inner, mount: &Mount, asked: Instant) -> Result<(), MountError> {
    let record = mount.record();
    let workshop = &inner.workshop;
    let mut prepared = workshop
        .prepare(&record, mount.services(), Choice::Existing)
        .await?;
    prepared.plan.started_after = Some(asked);
    mount.reload(Arc::new(prepared)).await?;
    let record = mount.record();
    record.update(&*workshop.store).await?;
    tracing::info!(path = %record.path, version = record.running_version, "reloaded");
    Ok(())
}
