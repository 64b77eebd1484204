//! `sys/plugins/catalog`: what is registered.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use palisade_contract::{PluginType, SectionError};
use palisade_runtime::catalog::{Entry, EntryKey, EntrySummary, Manifest};
use palisade_runtime::{Isolation, PluginName, PluginVersion, RuntimeKind};
use serde_json::{Map, Value, json};

use super::call::{Call, Verb};
use super::compilation;
use super::dry_run;
use super::error::ApiError;
use super::fields::Fields;
use super::reply::Reply;
use super::server::Server;

/// The types of the catalog.
const TYPES: [&str; 3] = ["auth", "database", "secret"];

/// `rest` is what follows the catalog's own path.
pub(super) async fn route(server: &Server, call: &Call, rest: &str) -> Result<Reply, ApiError> {
    let (word, name) = rest.split_once('/').unwrap_or((rest, ""));
    match (word, name) {
        ("", _) => all(server, call).await,
        (word, "") if TYPES.contains(&word) && matches!(call.verb, Verb::Write | Verb::Delete) => {
            Err(ApiError::invalid("missing plugin name"))
        }
        (word, "") if TYPES.contains(&word) => names(server, call, word).await,
        (word, name) if TYPES.contains(&word) => one(server, call, word, name).await,
        (name, "") => untyped(call, name),
        (word, _) => Err(ApiError::invalid(format!(
            "unknown plugin type {word:?}: it is one of {}",
            TYPES.join(", ")
        ))),
    }
}

async fn all(server: &Server, call: &Call) -> Result<Reply, ApiError> {
    if call.verb != Verb::Read {
        return Err(ApiError::unsupported_operation());
    }
    let entries = server.runtime.entries().await?;
    let mut by_type: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for entry in &entries {
        by_type
            .entry(entry.plugin_type.as_str())
            .or_default()
            .insert(&entry.name);
    }
    let mut data: Map<String, Value> = by_type
        .into_iter()
        .map(|(word, names)| (word.to_owned(), json!(names)))
        .collect();
    data.insert("detailed".to_owned(), entries.iter().map(detail).collect());
    Ok(Reply::data(&call.id, &Value::Object(data)))
}

fn detail(entry: &EntrySummary) -> Value {
    let builtin = entry.runtime == RuntimeKind::Builtin;
    let mut detail = json!({
        "type": entry.plugin_type.as_str(),
        "name": entry.name,
        "version": entry.version,
        "builtin": builtin,
        "runtime": entry.runtime.as_str(),
    });
    if let Some(profile) = entry.profile {
        detail["profile"] = json!(profile.as_str());
    }
    if let Some(digest) = &entry.sha256 {
        detail["sha256"] = json!(digest.to_string());
    }
    if builtin {
        detail["deprecation_status"] = json!("supported");
        detail["shadowed"] = json!(entry.shadowed);
    }
    detail
}

async fn names(server: &Server, call: &Call, word: &str) -> Result<Reply, ApiError> {
    if call.verb != Verb::List {
        return Err(ApiError::unsupported_operation());
    }
    let entries = server.runtime.entries().await?;
    let of_type = entries
        .iter()
        .filter(|entry| entry.plugin_type.as_str() == word);
    let names: BTreeSet<&str> = of_type.map(|entry| entry.name.as_str()).collect();
    match names.is_empty() {
        true => Err(ApiError::not_found()),
        false => Ok(Reply::data(&call.id, &json!({ "keys": names }))),
    }
}

/// OpenBao runs a plugin to find out its type. Nothing is run here before it is enabled.
fn untyped(call: &Call, name: &str) -> Result<Reply, ApiError> {
    match call.verb {
        Verb::List => Err(ApiError::unsupported_operation()),
        Verb::Write => Err(ApiError::invalid(format!(
            "unable to determine plugin type: register it as sys/plugins/catalog/auth/{name}, sys/plugins/catalog/database/{name} or sys/plugins/catalog/secret/{name}"
        ))),
        _ => Err(ApiError::not_found()),
    }
}

async fn one(server: &Server, call: &Call, word: &str, name: &str) -> Result<Reply, ApiError> {
    let plugin_type: PluginType = parsed(word)?;
    match call.verb {
        Verb::Read => info(server, call, plugin_type, name).await,
        Verb::Write => register(server, call, plugin_type, name).await,
        Verb::Delete => deregister(server, call, plugin_type, name).await,
        _ => Err(ApiError::unsupported_operation()),
    }
}

fn parsed(word: &str) -> Result<PluginType, ApiError> {
    word.parse()
        .map_err(|fault: SectionError| ApiError::invalid(fault.to_string()))
}

async fn register(
    server: &Server,
    call: &Call,
    plugin_type: PluginType,
    name: &str,
) -> Result<Reply, ApiError> {
    let fields = Fields::new(call.fields()?);
    if fields.flag("oci")? {
        return Err(ApiError::invalid(
            "plugins cannot be fetched from a registry yet: leave out oci",
        ));
    }
    let sha256 = match fields.text("sha256")? {
        Some(sha256) => sha256,
        None => fields.text("sha_256")?.unwrap_or_default(),
    };
    let command = fields
        .text("command")?
        .filter(|command| !command.trim().is_empty())
        .ok_or_else(|| ApiError::invalid("missing command value"))?;
    let manifest = Manifest {
        version: fields.text("version")?.unwrap_or_default(),
        command,
        args: fields.list("args")?,
        env: fields.list("env")?,
        runtime: word(&fields, "runtime")?,
        isolation: word(&fields, "isolation")?,
        profile: word(&fields, "profile")?,
        limits: fields.texts("limits")?,
        grants: fields.list("grants")?,
        re_executes: fields.flag("re_executes")?,
        dedicated: fields.flag("dedicated")?,
        required_layers: fields.list("required_layers")?,
        ..Manifest::new(plugin_type, name, &sha256)
    };
    if fields.flag("dry_run")? {
        let found = server.runtime.dry_run(manifest).await?;
        return Ok(Reply::data(&call.id, &dry_run::report(server, &found)));
    }
    server.runtime.register(manifest).await?;
    Ok(Reply::Empty)
}

/// A field that is one of a few words.
fn word<T: std::str::FromStr<Err = palisade_runtime::GrammarError>>(
    fields: &Fields,
    name: &str,
) -> Result<Option<T>, ApiError> {
    let text = fields.text(name)?.filter(|text| !text.is_empty());
    Ok(text.map(|text| text.parse()).transpose()?)
}

async fn deregister(
    server: &Server,
    call: &Call,
    plugin_type: PluginType,
    name: &str,
) -> Result<Reply, ApiError> {
    let key = key(call, plugin_type, name)?;
    if key.version.as_ref().is_some_and(PluginVersion::is_builtin) {
        return Err(ApiError::invalid(
            "version has builtin metadata: a builtin plugin cannot be deregistered",
        ));
    }
    server.runtime.deregister(&key).await?;
    Ok(Reply::Empty)
}

async fn info(
    server: &Server,
    call: &Call,
    plugin_type: PluginType,
    name: &str,
) -> Result<Reply, ApiError> {
    let key = key(call, plugin_type, name)?;
    if let Some(entry) = server.runtime.entry(&key).await? {
        let mut info = entry_info(&entry);
        if let Some(state) = compilation::of_entry(&server.runtime, &entry) {
            info["compilation"] = state;
        }
        return Ok(Reply::data(&call.id, &info));
    }
    let wanted = key.version.as_ref().map(ToString::to_string);
    let builtin = server.runtime.builtin_version(plugin_type, &key.name);
    match builtin.filter(|version| wanted.as_ref().is_none_or(|wanted| wanted == version)) {
        Some(version) => Ok(Reply::data(&call.id, &builtin_info(name, &version))),
        None => Err(ApiError::not_found()),
    }
}

fn key(call: &Call, plugin_type: PluginType, name: &str) -> Result<EntryKey, ApiError> {
    let version = call.query("version").filter(|version| !version.is_empty());
    Ok(EntryKey {
        plugin_type,
        name: name.parse::<PluginName>()?,
        version: version.map(str::parse).transpose()?,
    })
}

/// An entry as it was registered.
pub(super) fn entry_info(entry: &Entry) -> Value {
    let isolation = match entry.limits.isolation {
        Isolation::Call => "call",
        Isolation::Mount => "mount",
    };
    let mut info = json!({
        "name": entry.key.name.as_str(),
        "args": entry.process.args,
        "command": entry.command,
        "sha256": entry.sha256.to_string(),
        "builtin": false,
        "version": entry.key.version.as_ref().map(ToString::to_string).unwrap_or_default(),
        "oci": false,
        "declarative": false,
        "runtime": entry.runtime.as_str(),
        "limits": limits_info(entry),
        "grants": entry.grants,
    });
    match entry.runtime {
        RuntimeKind::Wasm => {
            info["isolation"] = json!(isolation);
            info["profile"] = json!(entry.limits.profile.as_str());
        }
        RuntimeKind::Native => {
            info["re_executes"] = json!(entry.process.re_executes);
            info["dedicated"] = json!(entry.process.dedicated);
            info["required_layers"] = json!(entry.process.required_layers);
        }
        RuntimeKind::Builtin => {}
    }
    info
}

/// A time as it can be stated again: in seconds, or with its unit.
fn stated_time(time: Duration) -> Value {
    match time.subsec_millis() {
        0 => json!(time.as_secs()),
        _ => json!(format!("{}ms", time.as_millis())),
    }
}

/// What the entry may use, by the names with which it is stated.
fn limits_info(entry: &Entry) -> Value {
    let limits = &entry.limits;
    let mut info = json!({
        "request_timeout": stated_time(limits.request_timeout),
        "concurrency": limits.concurrency,
        "queue": limits.queue,
        "message_bytes": limits.message_bytes,
        "log_bytes": limits.log_bytes,
    });
    match entry.runtime {
        RuntimeKind::Wasm => {
            info["memory_bytes"] = json!(limits.memory_bytes);
            info["table_elements"] = json!(limits.table_elements);
            info["fuel"] = json!(limits.fuel);
            if let Some(fuel) = limits.fuel_per_minute {
                info["fuel_per_minute"] = json!(fuel);
            }
            info["stores"] = json!(limits.stores);
            info["folder_bytes"] = json!(limits.folder_bytes);
            info["folder_files"] = json!(limits.folder_files);
        }
        RuntimeKind::Native => {
            info["memory_bytes"] = json!(limits.memory_bytes);
            info["processes"] = json!(limits.processes);
            info["cpu_weight"] = json!(limits.cpu_weight);
        }
        RuntimeKind::Builtin => {}
    }
    if entry.runtime == RuntimeKind::Wasm && limits.isolation == Isolation::Mount {
        info["idle_stores"] = json!(limits.idle_stores);
        info["store_uses"] = json!(limits.store_uses);
        info["store_age"] = stated_time(limits.store_age);
    }
    info
}

fn builtin_info(name: &str, version: &str) -> Value {
    json!({
        "name": name,
        "args": [],
        "command": "",
        "sha256": "",
        "builtin": true,
        "version": version,
        "oci": false,
        "declarative": false,
        "deprecation_status": "supported",
        "runtime": RuntimeKind::Builtin.as_str(),
    })
}
