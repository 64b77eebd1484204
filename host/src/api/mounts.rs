//! `sys/mounts`: what is enabled where. Also the question with which a client finds out about a mount.

use http::StatusCode;
use palisade_contract::PluginType;
use palisade_runtime::{ErrorKind, MountInfo, MountPath, NewMount, RuntimeKind};
use serde_json::{Map, Value, json};

use super::call::{Call, Verb};
use super::compilation;
use super::crash;
use super::error::ApiError;
use super::fields::Fields;
use super::reply::Reply;
use super::server::Server;

/// Paths that are the server's own, as in OpenBao.
const PROTECTED: [&str; 5] = ["audit", "auth", "cubbyhole", "identity", "sys"];

/// `rest` is what follows `sys/mounts`. Settings are fixed when a mount is enabled, so nothing is behind `:path/tune`, which
/// must not be taken for a mount's path.
pub(super) async fn route(server: &Server, call: &Call, rest: &str) -> Result<Reply, ApiError> {
    if rest.ends_with("/tune") {
        return Err(ApiError::no_handler(call.path.trim_end_matches('/')));
    }
    match (call.verb, rest) {
        (Verb::Read, "") => Ok(list(server, call)),
        (Verb::Read, path) => one(server, call, path),
        (Verb::Write, path) if !path.is_empty() => enable(server, call, path).await,
        (Verb::Delete, path) if !path.is_empty() => disable(server, path).await,
        _ => Err(ApiError::unsupported_operation()),
    }
}

fn list(server: &Server, call: &Call) -> Reply {
    let mounts = server.runtime.mounts();
    let secrets = mounts
        .iter()
        .filter(|mount| mount.plugin_type == PluginType::Secret);
    let data: Map<String, Value> = secrets
        .map(|mount| (mount.path.to_string(), object(server, mount)))
        .collect();
    Reply::data_twice(&call.id, &Value::Object(data))
}

fn one(server: &Server, call: &Call, path: &str) -> Result<Reply, ApiError> {
    let path: MountPath = path.parse()?;
    let found = server
        .runtime
        .mounts()
        .into_iter()
        .find(|mount| mount.path == path);
    match found {
        Some(mount) => {
            let mut data = object(server, &mount);
            if mount.runtime == RuntimeKind::Wasm {
                let crashes = mount.last_crashes.iter();
                data["last_crashes"] = crashes.map(|it| crash::object(it)).collect();
            }
            Ok(Reply::data_twice(&call.id, &data))
        }
        None => Err(ApiError::new(
            ErrorKind::MountNotFound,
            format!("No secret engine mount at {path}"),
        )
        .with_status(StatusCode::BAD_REQUEST)),
    }
}

/// `sys/internal/ui/mounts/:path`: the mount that serves a path, whatever lies beneath it.
pub(super) fn preflight(server: &Server, call: &Call, path: &str) -> Result<Reply, ApiError> {
    if call.verb != Verb::Read {
        return Err(ApiError::unsupported_operation());
    }
    // A mount's own path is asked for with and without its slash.
    let found = server
        .runtime
        .route(path)
        .or_else(|| server.runtime.route(&format!("{path}/")));
    let Some(mount) = found.map(|route| route.info()) else {
        let text = format!(
            "preflight capability check returned 403, please ensure client's policies grant access to path \"{path}/\""
        );
        return Err(
            ApiError::new(ErrorKind::MountNotFound, text).with_status(StatusCode::FORBIDDEN)
        );
    };
    let mut data = object(server, &mount);
    data["path"] = json!(mount.path.as_str());
    Ok(Reply::data(&call.id, &data))
}

async fn enable(server: &Server, call: &Call, path: &str) -> Result<Reply, ApiError> {
    refuse_protected(path)?;
    let mount = new_mount(&Fields::new(call.fields()?))?;
    server.runtime.enable(path.parse()?, mount).await?;
    Ok(Reply::Empty)
}

async fn disable(server: &Server, path: &str) -> Result<Reply, ApiError> {
    refuse_protected(path)?;
    server.runtime.disable(&path.parse()?).await?;
    Ok(Reply::Empty)
}

fn refuse_protected(path: &str) -> Result<(), ApiError> {
    let first = path.split('/').next().unwrap_or_default();
    if !PROTECTED.contains(&first) {
        return Ok(());
    }
    let text = format!("cannot mount \"{path}/\": {first}/ is the server's own");
    Err(ApiError::new(ErrorKind::InvalidInput, text).with_status(StatusCode::FORBIDDEN))
}

fn new_mount(fields: &Fields) -> Result<NewMount, ApiError> {
    let config = fields.object("config")?;
    let mut options = fields.texts("options")?;
    let plugin = plugin_name(fields, &config)?;
    let (plugin, versioned) = match plugin.as_str() {
        // OpenBao's other name for the second version of its key-value engine.
        "kv-v2" => ("kv".to_owned(), true),
        _ => (plugin.clone(), plugin == "kv"),
    };
    if versioned {
        // Clients choose the engine's paths by this option, and there is only this version of it.
        let version = options
            .entry("version".to_owned())
            .or_insert_with(|| "2".to_owned());
        if version != "2" {
            return Err(ApiError::invalid(format!(
                "the kv secrets engine has version 2 only, options.version asks for {version:?}"
            )));
        }
    }
    Ok(NewMount {
        plugin,
        plugin_type: Some(PluginType::Secret),
        version: plugin_version(fields, &config)?,
        description: fields.text("description")?.unwrap_or_default(),
        options,
        config: settings(&config)?,
        local: fields.flag("local")?,
        seal_wrap: fields.flag("seal_wrap")?,
    })
}

/// `type`, or the older form in which `type` is the word plugin and the name stands apart.
fn plugin_name(fields: &Fields, config: &Fields) -> Result<String, ApiError> {
    let word = fields.text("type")?.unwrap_or_default();
    let apart = match fields.text("plugin_name")? {
        Some(name) => Some(name),
        None => config.text("plugin_name")?,
    };
    match (word.as_str(), apart.filter(|name| !name.is_empty())) {
        ("" | "plugin", Some(name)) => Ok(name),
        ("", None) => Err(ApiError::invalid(
            "backend type must be specified as a string",
        )),
        ("plugin", None) => Err(ApiError::invalid(
            "plugin_name must be provided for plugin backend",
        )),
        (name, _) => Ok(name.to_owned()),
    }
}

fn plugin_version(
    fields: &Fields,
    config: &Fields,
) -> Result<Option<palisade_runtime::PluginVersion>, ApiError> {
    let text = match config.text("plugin_version")? {
        Some(text) => Some(text),
        None => fields.text("plugin_version")?,
    };
    let text = text.filter(|text| !text.is_empty());
    Ok(text.map(|text| text.parse()).transpose()?)
}

/// The settings that the server keeps with a mount, in the shape in which they are shown.
fn settings(config: &Fields) -> Result<Value, ApiError> {
    let default = config
        .duration("default_lease_ttl")?
        .unwrap_or_default()
        .as_secs();
    let max = config
        .duration("max_lease_ttl")?
        .unwrap_or_default()
        .as_secs();
    if max > 0 && default > max {
        return Err(ApiError::invalid(format!(
            "backend default lease TTL ({default} s) greater than backend max lease TTL ({max} s)"
        )));
    }
    let mut settings = json!({
        "default_lease_ttl": default,
        "max_lease_ttl": max,
        "force_no_cache": config.flag("force_no_cache")?,
    });
    if let Some(visibility) = config.text("listing_visibility")? {
        settings["listing_visibility"] = json!(visibility);
    }
    for name in ["passthrough_request_headers", "allowed_response_headers"] {
        let list = config.list(name)?;
        if !list.is_empty() {
            settings[name] = json!(list);
        }
    }
    Ok(settings)
}

/// A mount as OpenBao shows it, and how it runs.
fn object(server: &Server, mount: &MountInfo) -> Value {
    let config = match &mount.config {
        Value::Object(config) => json!(config),
        _ => json!({ "default_lease_ttl": 0, "max_lease_ttl": 0, "force_no_cache": false }),
    };
    let options = match mount.options.is_empty() {
        true => Value::Null,
        false => json!(mount.options),
    };
    let mut object = json!({
        "type": mount.plugin.as_str(),
        "description": mount.description,
        "accessor": mount.accessor,
        "local": mount.local,
        "seal_wrap": mount.seal_wrap,
        "external_entropy_access": false,
        "options": options,
        "uuid": mount.uuid,
        "plugin_version": mount.version.as_ref().map(ToString::to_string).unwrap_or_default(),
        "running_plugin_version": mount.running_version,
        "running_sha256": mount.running_sha256.map(|digest| digest.to_string()).unwrap_or_default(),
        "config": config,
        "runtime": mount.runtime.as_str(),
        "running": mount.running,
    });
    if mount.runtime == RuntimeKind::Builtin {
        object["deprecation_status"] = json!("supported");
    }
    if mount.runtime == RuntimeKind::Wasm {
        object["crashes"] = json!(mount.crashes);
    }
    if let Some(process) = mount.process_id {
        object["process_id"] = json!(process);
    }
    if let Some(bytes) = mount.memory_bytes {
        object["memory_bytes"] = json!(bytes);
    }
    if let Some(state) = compilation::of_mount(&server.runtime, mount) {
        object["compilation"] = state;
    }
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(body: Value) -> Result<NewMount, ApiError> {
        let Value::Object(map) = body else {
            panic!("not an object")
        };
        new_mount(&Fields::new(map))
    }

    #[test]
    fn both_forms_name_the_same_plugin() {
        for body in [
            json!({"type": "p"}),
            json!({"type": "plugin", "plugin_name": "p"}),
            json!({"type": "plugin", "config": {"plugin_name": "p"}}),
        ] {
            assert_eq!(mount(body).unwrap().plugin, "p");
        }
        assert!(mount(json!({})).is_err());
        assert!(mount(json!({"type": "plugin"})).is_err());
    }

    #[test]
    fn a_key_value_engine_says_that_it_keeps_versions() {
        for body in [
            json!({"type": "kv"}),
            json!({"type": "kv-v2"}),
            json!({"type": "kv", "options": {"version": 2}}),
        ] {
            let mount = mount(body).unwrap();
            assert_eq!(
                (mount.plugin.as_str(), mount.options["version"].as_str()),
                ("kv", "2")
            );
        }
        assert!(mount(json!({"type": "kv", "options": {"version": "1"}})).is_err());
        assert!(mount(json!({"type": "other"})).unwrap().options.is_empty());
    }

    #[test]
    fn lease_times_are_kept_in_seconds_and_checked() {
        let mount = |default, max| {
            mount(
                json!({"type": "p", "config": {"default_lease_ttl": default, "max_lease_ttl": max}}),
            )
        };
        let config = mount("1h", "system").unwrap().config;
        assert_eq!(
            (
                config["default_lease_ttl"].as_u64(),
                config["max_lease_ttl"].as_u64()
            ),
            (Some(3600), Some(0))
        );
        assert!(mount("2h", "1h").is_err());
    }

    #[test]
    fn the_servers_own_paths_cannot_be_mounted_over() {
        for path in ["sys", "sys/x", "auth/x", "cubbyhole"] {
            assert_eq!(
                refuse_protected(path).unwrap_err().status(),
                StatusCode::FORBIDDEN
            );
        }
        assert!(refuse_protected("system").is_ok());
    }
}
