//! `plugin register|inspect|list|info|deregister|reload`.

use palisade_runtime::Workers;
use serde_json::{Map, Value, json};

use super::{Failure, dry_run, exactly, inspect, say, wrong_count};
use crate::args::{Plugin, PluginDeregister, PluginInfo, PluginList, PluginRegister, PluginReload};
use crate::client::Client;
use crate::output::{Printer, go_text, table};

pub(super) async fn run(command: Plugin, workers: &Workers) -> Result<(), Failure> {
    match command {
        Plugin::Register(args) => register(&args).await,
        Plugin::Inspect(args) => inspect::run(&args, workers).await,
        Plugin::List(args) => list(&args).await,
        Plugin::Info(args) => info(&args).await,
        Plugin::Deregister(args) => deregister(&args).await,
        Plugin::Reload(args) => reload(&args).await,
    }
}

async fn register(args: &PluginRegister) -> Result<(), Failure> {
    let [plugin_type, name] = exactly(&args.names)?;
    let mut body = json!({
        "type": plugin_type,
        "command": args.command.as_deref().unwrap_or(name),
        "sha256": args.sha256.as_deref().unwrap_or_default(),
    });
    let optional = [
        ("version", &args.version),
        ("runtime", &args.runtime),
        ("isolation", &args.isolation),
        ("profile", &args.profile),
    ];
    for (key, value) in optional {
        if let Some(value) = value {
            body[key] = json!(value);
        }
    }
    if !args.args.is_empty() {
        body["args"] = json!(args.args);
    }
    if !args.env.is_empty() {
        body["env"] = json!(args.env);
    }
    for (key, words) in [("grants", &args.grant), ("required_layers", &args.require)] {
        if !words.is_empty() {
            body[key] = json!(words);
        }
    }
    for (key, is_set) in [
        ("re_executes", args.re_executes),
        ("dedicated", args.dedicated),
    ] {
        if is_set {
            body[key] = json!(true);
        }
    }
    if !args.limit.is_empty() {
        body["limits"] = limits(&args.limit)?;
    }
    if args.dry_run {
        body["dry_run"] = json!(true);
    }
    let answer = Client::new(&args.connection)?
        .put(&catalog_path(plugin_type, name), &body)
        .await
        .map_err(Failure::during(format_args!(
            "Error registering plugin {name}"
        )))?;
    if args.dry_run {
        let found = answer.map(|answer| answer.data()).unwrap_or_default();
        return dry_run::show(&Printer::new(&args.output)?, &found);
    }
    say(&format!("Success! Registered plugin: {name}"))
}

/// `-limit=NAME=VALUE`, each, as one object.
fn limits(stated: &[String]) -> Result<Value, Failure> {
    let pairs = stated.iter().map(|pair| match pair.split_once('=') {
        Some((name, value)) => Ok((name.to_owned(), json!(value))),
        None => Err(Failure::local(format!(
            "Invalid limit {pair:?}: it is NAME=VALUE, such as memory_bytes=16777216"
        ))),
    });
    pairs.collect::<Result<Map<_, _>, _>>().map(Value::Object)
}

async fn list(args: &PluginList) -> Result<(), Failure> {
    let wanted = match args.names.as_slice() {
        [] => None,
        [plugin_type] => Some(plugin_type.as_str()),
        more => return Err(wrong_count(more.len(), 1)),
    };
    let printer = Printer::new(&args.output)?;
    let data = Client::new(&args.connection)?
        .read("sys/plugins/catalog", &[])
        .await
        .map_err(Failure::during("Error listing available plugins"))?
        .map(|answer| answer.data())
        .unwrap_or_default();
    if let Some(plugin_type) = wanted.filter(|wanted| !data.contains_key(*wanted)) {
        return Err(Failure::server(format!(
            "Error listing available plugins: no plugins of type {plugin_type:?}"
        )));
    }
    if printer.is_json() {
        return Ok(printer.json(&wanted.map_or_else(|| json!(data), |word| data[word].clone()))?);
    }
    let lines = listed(&data, wanted);
    Ok(printer.text(&match args.detailed {
        true => table(&detailed_rows(&lines)),
        false => table(&simple_rows(&lines)),
    })?)
}

/// The detailed lines of the wanted type, or of all.
fn listed(data: &Map<String, Value>, wanted: Option<&str>) -> Vec<Map<String, Value>> {
    let lines = data.get("detailed").and_then(Value::as_array).cloned();
    lines
        .unwrap_or_default()
        .into_iter()
        .filter_map(|line| match line {
            Value::Object(line) => Some(line),
            _ => None,
        })
        .filter(|line| wanted.is_none_or(|wanted| cell(line, "type") == wanted))
        .collect()
}

fn simple_rows(lines: &[Map<String, Value>]) -> Vec<[String; 3]> {
    let header = ["Name", "Type", "Version"].map(str::to_owned);
    let rows = lines
        .iter()
        .map(|line| [cell(line, "name"), cell(line, "type"), version(line)]);
    std::iter::once(header).chain(rows).collect()
}

fn detailed_rows(lines: &[Map<String, Value>]) -> Vec<[String; 5]> {
    let header = ["Name", "Type", "Version", "Runtime", "SHA-256"].map(str::to_owned);
    let rows = lines.iter().map(|line| {
        let [name, kind, digest] = ["name", "type", "sha256"].map(|key| cell(line, key));
        [name, kind, version(line), runtime(line), digest]
    });
    std::iter::once(header).chain(rows).collect()
}

/// The version, and whether another entry stands in front of this builtin.
fn version(line: &Map<String, Value>) -> String {
    let version = cell(line, "version");
    match line.get("shadowed").and_then(Value::as_bool) {
        Some(true) => format!("{version} (shadowed)"),
        _ => version,
    }
}

/// How it runs, and the profile where that is not the ordinary one.
fn runtime(line: &Map<String, Value>) -> String {
    let runtime = cell(line, "runtime");
    match line.get("profile").and_then(Value::as_str) {
        None | Some("ordinary") => runtime,
        Some(profile) => format!("{runtime} ({profile})"),
    }
}

fn cell(line: &Map<String, Value>, key: &str) -> String {
    line.get(key).map(go_text).unwrap_or_default()
}

async fn info(args: &PluginInfo) -> Result<(), Failure> {
    let [plugin_type, name] = exactly(&args.names)?;
    let printer = Printer::new(&args.output)?;
    let query: Vec<_> = args
        .version
        .iter()
        .map(|version| ("version", version.as_str()))
        .collect();
    let data = Client::new(&args.connection)?
        .read(&catalog_path(plugin_type, name), &query)
        .await
        .map_err(Failure::during(format_args!(
            "Error reading plugin named {name}"
        )))?
        .ok_or_else(|| Failure::server(format!("No value found for plugin {name:?}")))?
        .data();
    if printer.field().is_some() {
        return Ok(printer.one_field(&data)?);
    }
    Ok(printer.map(&data)?)
}

async fn deregister(args: &PluginDeregister) -> Result<(), Failure> {
    let [plugin_type, name] = exactly(&args.names)?;
    let version = args.version.as_deref().unwrap_or_default();
    Client::new(&args.connection)?
        .delete(&catalog_path(plugin_type, name), &[("version", version)])
        .await
        .map_err(Failure::during(format_args!(
            "Error deregistering plugin named {name}"
        )))?;
    say(&format!(
        "Success! Deregistered plugin (if it was registered): {name}"
    ))
}

async fn reload(args: &PluginReload) -> Result<(), Failure> {
    let (body, done) = match (&args.plugin, args.mounts.as_slice()) {
        (Some(plugin), []) => (json!({"plugin": plugin}), format!("plugin: {plugin}")),
        (None, mounts @ [_, ..]) => (
            json!({"mounts": mounts}),
            format!("mounts: [{}]", mounts.join(" ")),
        ),
        (None, []) => return Err(Failure::local("No plugins or mounts specified")),
        (Some(_), _) => {
            return Err(Failure::local(
                "Must specify exactly one of -plugin or -mounts",
            ));
        }
    };
    let answer = Client::new(&args.connection)?
        .put("sys/plugins/reload/backend", &body)
        .await
        .map_err(Failure::during("Error reloading plugin/mounts"))?;
    let printer = Printer::new(&args.output)?;
    match answer {
        Some(answer) if printer.is_json() => Ok(printer.answer(&answer)?),
        _ => say(&format!("Success! Reloaded {done}")),
    }
}

fn catalog_path(plugin_type: &str, name: &str) -> String {
    format!("sys/plugins/catalog/{plugin_type}/{name}")
}
