//! `sys/plugins/reload/backend`: what the catalog says now replaces what runs.

use palisade_runtime::{MountPath, PluginName};
use serde_json::json;

use super::call::{Call, Verb};
use super::error::ApiError;
use super::fields::Fields;
use super::reply::Reply;
use super::server::Server;

pub(super) async fn backend(server: &Server, call: &Call) -> Result<Reply, ApiError> {
    if call.verb != Verb::Write {
        return Err(ApiError::unsupported_operation());
    }
    let fields = Fields::new(call.fields()?);
    let plugin = fields.text("plugin")?.filter(|plugin| !plugin.is_empty());
    let mounts = fields.list("mounts")?;
    match (plugin, mounts.as_slice()) {
        (Some(plugin), []) => by_name(server, &plugin).await?,
        (None, [_, ..]) => by_mounts(server, &mounts).await?,
        (None, []) => return Err(ApiError::invalid("plugin or mounts must be provided")),
        (Some(_), _) => {
            return Err(ApiError::invalid(
                "plugin and mounts cannot be set at the same time",
            ));
        }
    }
    Ok(Reply::data(&call.id, &json!({ "reload_id": call.id })))
}

async fn by_name(server: &Server, plugin: &str) -> Result<(), ApiError> {
    let name: PluginName = plugin.parse()?;
    server.runtime.reload_plugin(&name).await?;
    Ok(())
}

/// Reloads as many as can be; the first failure is told, with its mount.
async fn by_mounts(server: &Server, mounts: &[String]) -> Result<(), ApiError> {
    let paths: Vec<MountPath> = mounts
        .iter()
        .map(|mount| mount.parse())
        .collect::<Result<_, _>>()?;
    let mut outcome = Ok(());
    for path in &paths {
        if let Err(error) = server.runtime.reload_mount(path).await {
            outcome = outcome.and(Err(ApiError::from(error)));
        }
    }
    outcome
}
