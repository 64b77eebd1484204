//! Disabling a mount: close its gate, drain, stop it, refuse its last writes, delete its storage, forget it.

use std::sync::Arc;

use super::Inner;
use super::record::Record;
use super::workshop::Workshop;
use crate::store::delete_prefix;
use crate::{MountError, MountPath};

/// Disables the mount at a path; a path without one is no error.
pub(super) async fn disable(inner: &Inner, path: &MountPath) -> Result<(), MountError> {
    let Some(mount) = inner.table.get(path) else {
        return Ok(());
    };
    // From here on a server that starts again finishes this.
    let record = Record {
        disabling: true,
        ..Record::clone(&mount.record())
    };
    record.update(&*inner.workshop.store).await?;
    let Some((mount, _reservation)) = inner.table.close(path) else {
        // Somebody else disables it already.
        return Ok(());
    };
    mount.services().taint();
    mount.stop().await;
    mount.services().close().await;
    erase(&inner.workshop, &record).await?;
    tracing::info!(%path, "disabled");
    Ok(())
}

/// Deletes a mount's storage, and then the mount.
pub(super) async fn erase(workshop: &Arc<Workshop>, record: &Record) -> Result<(), MountError> {
    let store = &*workshop.store;
    delete_prefix(store, record.storage_prefix()?.as_str()).await?;
    Ok(record.remove(store).await?)
}
