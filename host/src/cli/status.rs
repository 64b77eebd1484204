//! `status`: whether the server is sealed, and a little more. The exit code is the answer for scripts.

use std::process::ExitCode;

use serde_json::{Map, Value};

use super::{Failure, report};
use crate::args::Status;
use crate::client::Client;
use crate::output::{Printer, go_text, table};

/// What `status` exits with when the server is sealed.
const SEALED: u8 = 2;

/// Where the server's health tells what stands around the processes of plugins.
const PROTECTIONS: &str = "process_protections";

/// Where it tells how compilations of components go.
const COMPILATIONS: &str = "compilations";

pub(super) async fn run(args: &Status) -> ExitCode {
    match show(args).await {
        Ok(false) => ExitCode::SUCCESS,
        Ok(true) => ExitCode::from(SEALED),
        Err(failure) => report(Err(failure)),
    }
}

/// Prints the status and tells whether the server is sealed. Every error is exit code 1 here, because 2 means sealed.
async fn show(args: &Status) -> Result<bool, Failure> {
    let printer = Printer::new(&args.output)?;
    let client = Client::new(&args.connection)?;
    let failed = |error| Failure::local(format!("Error checking seal status: {error}"));
    let mut status = object(client.plain("sys/seal-status").await.map_err(failed)?);
    status.extend(object(client.plain("sys/leader").await.map_err(failed)?));
    // Of a server that is not well, its state above is what counts.
    let health = client.plain("sys/health").await.map(object);
    let health = health.unwrap_or_default().into_iter();
    status.extend(health.filter(|(key, _)| key == PROTECTIONS || key == COMPILATIONS));
    let sealed = status.get("sealed") != Some(&Value::Bool(false));
    if printer.field().is_some() {
        printer.one_field(&status)?;
    } else if printer.is_json() {
        printer.json(&status)?;
    } else {
        printer.text(&table(&rows(&status)))?;
    }
    Ok(sealed)
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// The rows of `bao status`, in its order; what the server does not say is left out.
fn rows(status: &Map<String, Value>) -> Vec<[String; 2]> {
    const ROWS: [(&str, &str); 12] = [
        ("Seal Type", "type"),
        ("Recovery Seal Type", "recovery_seal_type"),
        ("Initialized", "initialized"),
        ("Sealed", "sealed"),
        ("Total Shares", "n"),
        ("Threshold", "t"),
        ("Version", "version"),
        ("Build Date", "build_date"),
        ("Storage Type", "storage_type"),
        ("Cluster Name", "cluster_name"),
        ("Cluster ID", "cluster_id"),
        ("HA Enabled", "ha_enabled"),
    ];
    let recovery = status.get("recovery_seal") == Some(&Value::Bool(true));
    let title = |title: &str| match title {
        "Total Shares" if recovery => "Total Recovery Shares".to_owned(),
        other => other.to_owned(),
    };
    let known = ROWS.iter().filter_map(|(name, key)| {
        let value = status.get(*key)?;
        Some([title(name), go_text(value)])
    });
    let header = ["Key".to_owned(), "Value".to_owned()];
    std::iter::once(header)
        .chain(known)
        .chain(protections(status.get(PROTECTIONS)))
        .chain(compilations(status.get(COMPILATIONS)))
        .collect()
}

/// Two lines that `bao status` does not have: what stands around the processes of native plugins, and what should.
fn protections(found: Option<&Value>) -> Vec<[String; 2]> {
    let list = |key: &str| {
        let names = found?.get(key)?.as_array()?.iter().map(go_text);
        Some(names.collect::<Vec<_>>().join(" "))
    };
    let row = |title: &str, names: String| [title.to_owned(), names];
    let active = list("active").map(|names| row("Process Protections", names));
    let lacking = list("lacking").filter(|names| !names.is_empty());
    let lacking = lacking.map(|names| row("Process Lacks", names));
    active.into_iter().chain(lacking).collect()
}

/// One more line: how many components are being compiled, and how it went with others.
fn compilations(found: Option<&Value>) -> Option<[String; 2]> {
    let counts = found?.as_object()?;
    let words = counts
        .iter()
        .filter(|(_, count)| count.as_u64() != Some(0))
        .map(|(name, count)| format!("{count} {}", name.replace('_', " ")));
    let words: Vec<_> = words.collect();
    let text = match words.is_empty() {
        true => "none".to_owned(),
        false => words.join(", "),
    };
    Some(["Compilations".to_owned(), text])
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn rows_keep_the_order_of_bao_and_leave_out_what_is_not_said() {
        let status = object(json!({"sealed": false, "type": "shamir", "n": 1, "odd": 1}));
        let rows = rows(&status);
        let titles: Vec<_> = rows.iter().map(|[title, _]| title.as_str()).collect();
        assert_eq!(titles, ["Key", "Seal Type", "Sealed", "Total Shares"]);
    }

    #[test]
    fn compilations_are_told_as_far_as_there_are_any() {
        let counts = json!({"compiling": 1, "waiting": 0, "turned_away": 2});
        let [_, text] = compilations(Some(&counts)).unwrap();
        assert_eq!(text, "1 compiling, 2 turned away");
        let [_, text] = compilations(Some(&json!({"compiling": 0}))).unwrap();
        assert_eq!(text, "none");
    }

    #[test]
    fn what_processes_lack_has_a_row_of_its_own() {
        let status = object(json!({PROTECTIONS: {
            "active": ["seccomp", "user"],
            "lacking": ["cgroup.memory", "cgroup.pids"],
        }}));
        let rows = rows(&status);
        let expected = [
            ["Process Protections", "seccomp user"],
            ["Process Lacks", "cgroup.memory cgroup.pids"],
        ];
        assert_eq!(rows[1..], expected.map(|row| row.map(str::to_owned)));
    }
}
