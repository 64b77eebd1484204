//! `secrets crashes`: what ended requests of a component, for people.

use serde_json::{Map, Value};

use super::{Failure, exactly, with_slash};
use crate::args::SecretsCrashes;
use crate::client::Client;
use crate::output::{Printer, go_text};

pub(super) async fn run(args: &SecretsCrashes) -> Result<(), Failure> {
    let [path] = exactly(&args.names)?;
    let path = with_slash(path);
    let printer = Printer::new(&args.output)?;
    let mount = Client::new(&args.connection)?
        .read(&format!("sys/mounts/{path}"), &[])
        .await
        .map_err(Failure::during(format_args!(
            "Error reading the mount at {path}"
        )))?
        .map(|answer| answer.data())
        .unwrap_or_default();
    if printer.field().is_some() {
        return Ok(printer.one_field(&mount)?);
    }
    let last = mount.get("last_crashes").cloned().unwrap_or_default();
    if printer.is_json() {
        return Ok(printer.json(&last)?);
    }
    Ok(printer.text(&report(&path, &mount))?)
}

/// One paragraph for each crash, the latest first.
fn report(path: &str, mount: &Map<String, Value>) -> String {
    let Some(count) = mount.get("crashes").and_then(Value::as_u64) else {
        let runtime = mount.get("runtime").map(go_text).unwrap_or_default();
        return format!("{path} is {runtime}; crashes are kept of components only");
    };
    let last = list(mount.get("last_crashes"));
    let head = format!("{path} crashed {count} times since the server started");
    let crashes = last.iter().rev().map(paragraph);
    let mut parts = vec![head];
    parts.extend(crashes);
    parts.join("\n\n")
}

fn paragraph(crash: &Value) -> String {
    let text = |key: &str| go_text(&crash[key]);
    let mut lines = vec![
        format!(
            "{}  {} in {} of {}",
            text("time"),
            text("kind"),
            text("step"),
            text("plugin")
        ),
        format!("  {}", text("fault")),
        format!(
            "  it used {} of fuel and {} bytes of memory, and ran {} µs",
            text("fuel_used"),
            text("memory_bytes"),
            text("ran_us")
        ),
    ];
    lines.extend(
        list(crash.get("backtrace"))
            .iter()
            .map(|name| format!("  in {}", go_text(name))),
    );
    let calls = list(crash.get("last_host_calls"));
    lines.push(format!(
        "  it called the host {} times; the last {}:",
        text("host_calls"),
        calls.len()
    ));
    lines.extend(calls.iter().map(call));
    lines.join("\n")
}

fn call(call: &Value) -> String {
    let text = |key: &str| go_text(&call[key]);
    let name = match text("function").as_str() {
        "" => text("interface"),
        function => format!("{}.{function}", text("interface")),
    };
    format!("    {name}  {}  {} µs", text("outcome"), text("micros"))
}

fn list(value: Option<&Value>) -> Vec<Value> {
    value.and_then(Value::as_array).cloned().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_latest_crash_comes_first() {
        let crash = |time: &str| {
            json!({
                "time": time, "kind": "trap", "step": "handle-request", "plugin": "notes",
                "fault": "it trapped", "backtrace": ["inner", "outer"], "fuel_used": 7,
                "memory_bytes": 65536, "ran_us": 12, "host_calls": 1,
                "last_host_calls": [{"interface": "i", "function": "f", "outcome": "ok", "micros": 3}],
            })
        };
        let mount = json!({"crashes": 2, "last_crashes": [crash("first"), crash("second")]});
        let text = report("notes/", mount.as_object().expect("it is an object"));
        assert!(text.starts_with("notes/ crashed 2 times"), "{text}");
        assert!(text.find("second") < text.find("first"), "{text}");
        assert!(
            text.contains("  in inner\n  in outer") && text.contains("i.f  ok  3 µs"),
            "{text}"
        );
    }

    #[test]
    fn of_a_process_it_is_said_that_nothing_is_kept() {
        let mount = json!({"runtime": "native"});
        let text = report("notes/", mount.as_object().expect("it is an object"));
        assert_eq!(
            text,
            "notes/ is native; crashes are kept of components only"
        );
    }
}
