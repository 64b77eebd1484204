//! Enabling a mount: start it, set it up, store it, initialize it, open its route. What fails leaves nothing behind.

use std::sync::Arc;

use palisade_contract::PluginType;
use uuid::Uuid;

use super::mount::Mount;
use super::record::Record;
use super::{Inner, MountInfo, NewMount, disable};
use crate::catalog::Choice;
use crate::driver::Instance;
use crate::lifecycle::{self, Prepared, Started};
use crate::{LaunchError, MountError, MountPath, RuntimeKind};

/// Paths that belong to the server itself.
const RESERVED: [&str; 5] = ["sys/", "auth/", "audit/", "cubbyhole/", "identity/"];

/// Enables an entry at a path.
pub(super) async fn enable(
    inner: &Inner,
    path: MountPath,
    mount: NewMount,
) -> Result<MountInfo, MountError> {
    let mut record = new_record(path, mount)?;
    let reservation = inner.table.reserve(record.path.clone())?;
    let services = inner.workshop.services(&record)?;
    let prepared = inner
        .workshop
        .prepare(&record, &services, Choice::New)
        .await?;
    let started = start(inner, Arc::new(prepared)).await?;
    record = record.with_running(&started.prepared);
    record.running_version = lifecycle::running_version(&started.prepared, &*started.instance);
    record.special_paths = Arc::clone(&started.special_paths);
    if let Err(error) = keep(inner, &record, &started).await {
        undo(inner, &record, &*started.instance).await;
        return Err(error);
    }
    let mount = Arc::new(Mount::running(&inner.workshop, record, started));
    let info = mount.info();
    reservation.open(mount);
    tracing::info!(path = %info.path, plugin = %info.plugin, runtime = %info.runtime, "enabled");
    Ok(info)
}

fn new_record(path: MountPath, mount: NewMount) -> Result<Record, MountError> {
    let plugin_type = mount.plugin_type.unwrap_or(PluginType::Secret);
    check_type(plugin_type)?;
    check_path(&path, plugin_type)?;
    if mount.plugin.is_empty() {
        return Err(MountError::Invalid(
            "backend type must be specified as a string".to_owned(),
        ));
    }
    Ok(Record {
        accessor: accessor(plugin_type, &mount.plugin),
        path,
        plugin: mount.plugin.parse()?,
        plugin_type,
        uuid: Uuid::new_v4().to_string(),
        description: mount.description,
        options: mount.options,
        config: mount.config,
        local: mount.local,
        seal_wrap: mount.seal_wrap,
        version: mount.version,
        running_version: String::new(),
        running_sha256: None,
        runtime: RuntimeKind::Builtin,
        special_paths: Default::default(),
        limits: Default::default(),
        disabling: false,
    })
}

fn check_type(plugin_type: PluginType) -> Result<(), MountError> {
    match plugin_type {
        PluginType::Auth | PluginType::Secret => Ok(()),
        PluginType::Database => Err(MountError::Invalid(
            "a plugin of type database cannot be enabled at a path: it makes users of a database, and answers no requests".to_owned(),
        )),
    }
}

fn check_path(path: &MountPath, plugin_type: PluginType) -> Result<(), MountError> {
    let of_auth = plugin_type == PluginType::Auth && path.as_str().starts_with("auth/");
    let inside = RESERVED
        .iter()
        .find(|reserved| path.as_str().starts_with(**reserved));
    match inside {
        Some(_) if of_auth && path.as_str() != "auth/" => Ok(()),
        Some(reserved) => Err(MountError::Invalid(format!("cannot mount {reserved:?}"))),
        None => Ok(()),
    }
}

/// `<plugin>_<8 hex>`, and `auth_` in front for auth mounts.
fn accessor(plugin_type: PluginType, plugin: &str) -> String {
    let random = Uuid::new_v4().simple().to_string();
    let front = match plugin_type {
        PluginType::Auth => "auth_",
        PluginType::Database | PluginType::Secret => "",
    };
    format!("{front}{plugin}_{}", &random[..8])
}

async fn start(inner: &Inner, prepared: Arc<Prepared>) -> Result<Started, LaunchError> {
    let starting = lifecycle::launch(prepared, &inner.workshop.timeouts);
    inner.unless_stopping(starting).await
}

/// Stores the mount before `initialize`, which may write: nothing that it writes is without an owner.
async fn keep(inner: &Inner, record: &Record, started: &Started) -> Result<(), MountError> {
    record.insert(&*inner.workshop.store).await?;
    let initializing = lifecycle::initialize(started, &inner.workshop.timeouts);
    Ok(inner.unless_stopping(initializing).await?)
}

async fn undo(inner: &Inner, record: &Record, instance: &dyn Instance) {
    instance.stop(inner.workshop.timeouts.grace).await;
    if let Err(error) = disable::erase(&inner.workshop, record).await {
        tracing::error!(path = %record.path, %error, "a mount that did not start could not be erased");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(path: &str, plugin_type: PluginType) -> bool {
        check_path(&path.parse().expect("well-formed"), plugin_type).is_ok()
    }

    #[test]
    fn the_servers_own_paths_are_not_for_plugins() {
        for reserved in ["sys", "sys/x", "auth", "auth/x", "identity", "cubbyhole/a"] {
            assert!(!checked(reserved, PluginType::Secret), "{reserved}");
        }
        assert!(checked("auth/x", PluginType::Auth));
        assert!(!checked("auth", PluginType::Auth));
        assert!(checked("system", PluginType::Secret));
    }

    #[test]
    fn an_accessor_is_the_plugins_name_and_eight_hex_digits() {
        let accessor = accessor(PluginType::Auth, "userpass");
        let random = accessor.strip_prefix("auth_userpass_").expect("its front");
        assert_eq!(hex::decode(random).expect("hex").len(), 4);
    }
}
