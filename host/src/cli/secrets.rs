//! `secrets enable|list|disable`; what crashed is shown by a module of its own.

use serde_json::{Map, Value, json};

use super::{Failure, clean, crashes, exactly, say, with_slash, wrong_count};
use crate::args::{Secrets, SecretsDisable, SecretsEnable, SecretsList, pairs};
use crate::client::Client;
use crate::config::duration;
use crate::output::{Printer, go_text, table};

pub(super) async fn run(command: Secrets) -> Result<(), Failure> {
    match command {
        Secrets::Enable(args) => enable(&args).await,
        Secrets::List(args) => list(&args).await,
        Secrets::Crashes(args) => crashes::run(&args).await,
        Secrets::Disable(args) => disable(&args).await,
    }
}

async fn enable(args: &SecretsEnable) -> Result<(), Failure> {
    let [word] = exactly(&args.names)?;
    let plugin = match (word, &args.plugin_name) {
        ("plugin", Some(name)) => name.as_str(),
        ("plugin", None) => return Err(Failure::local("The word plugin needs -plugin-name=NAME")),
        (name, _) => name,
    };
    let path = with_slash(mount_path(args.path.as_deref(), plugin));
    Client::new(&args.connection)?
        .post(&format!("sys/mounts/{path}"), &mount(args, plugin)?)
        .await
        .map_err(Failure::during("Error enabling"))?;
    say(&format!(
        "Success! Enabled the {plugin} secrets engine at: {path}"
    ))
}

/// The flag, else the type. An empty flag counts as none.
fn mount_path<'a>(flag: Option<&'a str>, plugin: &'a str) -> &'a str {
    flag.filter(|path| !clean(path).is_empty())
        .unwrap_or(plugin)
}

fn mount(args: &SecretsEnable, plugin: &str) -> Result<Value, Failure> {
    let mut options: Map<String, Value> = pairs::strings(&args.options, std::io::stdin())
        .map_err(|fault| Failure::local(format!("Invalid option: {fault}")))?
        .into_iter()
        .map(|(key, value)| (key, Value::String(value)))
        .collect();
    if let Some(version) = &args.version {
        options.insert("version".to_owned(), json!(version));
    }
    let mut config = Map::new();
    if let Some(ttl) = args.default_lease_ttl {
        config.insert("default_lease_ttl".to_owned(), json!(ttl.as_secs()));
    }
    if let Some(ttl) = args.max_lease_ttl {
        config.insert("max_lease_ttl".to_owned(), json!(ttl.as_secs()));
    }
    if let Some(version) = &args.plugin_version {
        config.insert("plugin_version".to_owned(), json!(version));
    }
    Ok(json!({
        "type": plugin,
        "description": args.description.as_deref().unwrap_or_default(),
        "local": args.local,
        "seal_wrap": args.seal_wrap,
        "options": options,
        "config": config,
    }))
}

async fn list(args: &SecretsList) -> Result<(), Failure> {
    if !args.names.is_empty() {
        return Err(wrong_count(args.names.len(), 0));
    }
    let printer = Printer::new(&args.output)?;
    let mounts = Client::new(&args.connection)?
        .read("sys/mounts", &[])
        .await
        .map_err(Failure::during("Error listing secrets engines"))?
        .map(|answer| answer.data())
        .unwrap_or_default();
    if printer.field().is_some() {
        return Ok(printer.one_field(&mounts)?);
    }
    if printer.is_json() {
        return Ok(printer.json(&mounts)?);
    }
    Ok(printer.text(&match args.detailed {
        true => table(&detailed_rows(&mounts)),
        false => table(&simple_rows(&mounts)),
    })?)
}

fn simple_rows(mounts: &Map<String, Value>) -> Vec<[String; 4]> {
    let header = ["Path", "Type", "Accessor", "Description"].map(str::to_owned);
    let rows = mounts.iter().map(|(path, mount)| {
        [
            path.clone(),
            cell(mount, "type"),
            cell(mount, "accessor"),
            cell(mount, "description"),
        ]
    });
    std::iter::once(header).chain(rows).collect()
}

fn detailed_rows(mounts: &Map<String, Value>) -> Vec<[String; 12]> {
    let header = [
        "Path",
        "Plugin",
        "Accessor",
        "Default TTL",
        "Max TTL",
        "Replication",
        "Seal Wrap",
        "Options",
        "Description",
        "UUID",
        "Running Version",
        "Runtime",
    ];
    let rows = mounts.iter().map(|(path, mount)| {
        [
            path.clone(),
            cell(mount, "type"),
            cell(mount, "accessor"),
            ttl(mount, "default_lease_ttl"),
            ttl(mount, "max_lease_ttl"),
            replication(mount),
            cell(mount, "seal_wrap"),
            mount
                .get("options")
                .filter(|options| !options.is_null())
                .map_or_else(|| "map[]".to_owned(), go_text),
            cell(mount, "description"),
            cell(mount, "uuid"),
            cell(mount, "running_plugin_version"),
            cell(mount, "runtime"),
        ]
    });
    std::iter::once(header.map(str::to_owned))
        .chain(rows)
        .collect()
}

fn cell(mount: &Value, key: &str) -> String {
    mount.get(key).map(go_text).unwrap_or_default()
}

fn ttl(mount: &Value, key: &str) -> String {
    match mount["config"][key].as_u64() {
        None | Some(0) => "system".to_owned(),
        Some(seconds) => duration::show(seconds),
    }
}

fn replication(mount: &Value) -> String {
    let local = mount.get("local") == Some(&Value::Bool(true));
    if local { "local" } else { "replicated" }.to_owned()
}

async fn disable(args: &SecretsDisable) -> Result<(), Failure> {
    let [path] = exactly(&args.names)?;
    let path = with_slash(path);
    Client::new(&args.connection)?
        .delete(&format!("sys/mounts/{path}"), &[])
        .await
        .map_err(Failure::during(format_args!(
            "Error disabling secrets engine at {path}"
        )))?;
    say(&format!(
        "Success! Disabled the secrets engine (if it existed) at: {path}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_path_falls_back_to_the_type() {
        for flag in [None, Some(""), Some("/")] {
            assert_eq!(mount_path(flag, "kv"), "kv", "{flag:?}");
        }
        assert_eq!(mount_path(Some("team/kv"), "kv"), "team/kv");
    }
}
