//! `kv put|get|list|delete`: asks the server which version a mount has, and then speaks that version's paths.

use serde_json::{Map, Value, json};

use super::path::print_keys;
use super::{Failure, clean, exactly, say, wrong_count};
use crate::args::{Kv, KvDelete, KvGet, KvList, KvPut, pairs};
use crate::client::Client;
use crate::output::{Printer, warn};

pub(super) async fn run(command: Kv) -> Result<(), Failure> {
    match command {
        Kv::Put(args) => put(&args).await,
        Kv::Get(args) => get(&args).await,
        Kv::List(args) => list(&args).await,
        Kv::Delete(args) => delete(&args).await,
    }
}

/// Where a secret is: its mount, the rest of its path, and whether the mount keeps versions.
struct Place {
    mount: String,
    rest: String,
    versioned: bool,
}

impl Place {
    /// Finds the mount that serves `path`, or `mount` and `path` beneath it.
    async fn find(client: &Client, mount: Option<&str>, path: &str) -> Result<Self, Failure> {
        let whole = match mount {
            Some(mount) => format!("{}/{}", clean(mount), clean(path)),
            None => clean(path),
        };
        let info = client
            .read(&format!("sys/internal/ui/mounts/{whole}"), &[])
            .await
            .map_err(Failure::during("Error checking the version of the mount"))?
            .map(|answer| answer.data())
            .unwrap_or_default();
        let found = info.get("path").and_then(Value::as_str).unwrap_or_default();
        let version = info
            .get("options")
            .and_then(|options| options["version"].as_str());
        Ok(Self {
            mount: found.to_owned(),
            rest: whole.get(found.len()..).unwrap_or_default().to_owned(),
            versioned: version == Some("2"),
        })
    }

    /// The path of the API: with `area` between mount and rest where versions are kept.
    fn path(&self, area: &str) -> String {
        match self.versioned {
            true => format!("{}{area}/{}", self.mount, self.rest),
            false => format!("{}{}", self.mount, self.rest),
        }
    }
}

async fn put(args: &KvPut) -> Result<(), Failure> {
    let (path, words) = match args.words.split_first() {
        None => return Err(wrong_count(0, 1)),
        Some((_, [])) => return Err(Failure::local("Must supply data")),
        Some(split) => split,
    };
    let data = pairs::object(words, std::io::stdin())
        .map_err(|fault| Failure::local(format!("Failed to parse K=V data: {fault}")))?;
    let printer = Printer::new(&args.output)?;
    let client = Client::new(&args.connection)?;
    let place = Place::find(&client, args.mount.as_deref(), path).await?;
    let full = place.path("data");
    let answer = client
        .put(&full, &put_body(&place, data, args.cas))
        .await
        .map_err(Failure::during(format_args!(
            "Error writing data to {full}"
        )))?;
    match answer {
        None if printer.is_json() => Ok(()),
        None => say(&format!("Success! Data written to: {full}")),
        Some(answer) if printer.is_json() || printer.field().is_some() => {
            Ok(printer.answer(&answer)?)
        }
        Some(answer) => {
            warn(&answer)?;
            say(&headed("Secret Path", &full, &full))?;
            show(&printer, "Metadata", &answer.data())
        }
    }
}

fn put_body(place: &Place, data: Map<String, Value>, cas: Option<i64>) -> Value {
    if !place.versioned {
        return Value::Object(data);
    }
    let options = cas.map_or_else(|| json!({}), |cas| json!({ "cas": cas }));
    json!({ "data": data, "options": options })
}

async fn get(args: &KvGet) -> Result<(), Failure> {
    let [path] = exactly(&args.words)?;
    let printer = Printer::new(&args.output)?;
    let client = Client::new(&args.connection)?;
    let place = Place::find(&client, args.mount.as_deref(), path).await?;
    let full = place.path("data");
    let version = args
        .version
        .filter(|_| place.versioned)
        .map(|version| version.to_string());
    let query: Vec<_> = version
        .iter()
        .map(|version| ("version", version.as_str()))
        .collect();
    let answer = client
        .read(&full, &query)
        .await
        .map_err(Failure::during(format_args!("Error reading {full}")))?
        .ok_or_else(|| Failure::server(format!("No value found at {full}")))?;
    let (data, metadata) = taken_apart(&place, answer.data());
    if printer.field().is_some() {
        return Ok(printer.one_field(&data.unwrap_or_default())?);
    }
    if printer.is_json() {
        return Ok(printer.json(&answer)?);
    }
    warn(&answer)?;
    if place.versioned {
        say(&headed("Secret Path", &full, &full))?;
    }
    if let Some(metadata) = metadata {
        show(&printer, "Metadata", &metadata)?;
        say("")?;
    }
    data.map_or(Ok(()), |data| show(&printer, "Data", &data))
}

/// The fields of something that may not be there.
type Fields = Option<Map<String, Value>>;

/// The secret itself and what is known of its version. A deleted version has only the latter.
fn taken_apart(place: &Place, mut data: Map<String, Value>) -> (Fields, Fields) {
    let object = |value| match value {
        Some(Value::Object(map)) => Some(map),
        _ => None,
    };
    match place.versioned {
        true => (object(data.remove("data")), object(data.remove("metadata"))),
        false => (Some(data), None),
    }
}

async fn list(args: &KvList) -> Result<(), Failure> {
    let path = match (args.words.as_slice(), &args.mount) {
        ([path], _) => path.as_str(),
        ([], Some(_)) => "",
        (words, _) => return Err(wrong_count(words.len(), 1)),
    };
    let printer = Printer::new(&args.output)?;
    let client = Client::new(&args.connection)?;
    let place = Place::find(&client, args.mount.as_deref(), path).await?;
    let full = place.path("metadata");
    let answer = client
        .list(&full)
        .await
        .map_err(Failure::during(format_args!("Error listing {full}")))?;
    print_keys(&printer, &full, answer)
}

async fn delete(args: &KvDelete) -> Result<(), Failure> {
    let [path] = exactly(&args.words)?;
    let printer = Printer::new(&args.output)?;
    let client = Client::new(&args.connection)?;
    let place = Place::find(&client, args.mount.as_deref(), path).await?;
    if !args.versions.is_empty() && !place.versioned {
        return Err(Failure::local(
            "This mount keeps no versions; leave out -versions",
        ));
    }
    let full = place.path("data");
    let failed = Failure::during(format!("Error deleting {full}"));
    let answer = match args.versions.as_slice() {
        [] => client.delete(&full, &[]).await.map_err(failed)?,
        versions => client
            .post(&place.path("delete"), &json!({ "versions": versions }))
            .await
            .map_err(failed)?,
    };
    match answer {
        Some(answer) => Ok(printer.answer(&answer)?),
        None if printer.is_json() => Ok(()),
        None => say(&format!("Success! Data deleted (if it existed) at: {full}")),
    }
}

fn show(printer: &Printer, title: &str, data: &Map<String, Value>) -> Result<(), Failure> {
    // The header is as wide as the widest key, the gap and the word `Value`.
    let width = data.keys().map(|key| key.len()).max().unwrap_or_default() + 9;
    say(&ruled(title, width))?;
    Ok(printer.map(data)?)
}

/// A ruled title, a line, and an empty line.
fn headed(title: &str, line: &str, width_of: &str) -> String {
    format!("{}\n{line}\n", ruled(title, width_of.len()))
}

/// A title between equal signs, as wide as what is under it and at least two signs on both sides.
fn ruled(title: &str, width: usize) -> String {
    let signs = match width.saturating_sub(title.len() + 2) {
        0 => 4,
        room => room.next_multiple_of(2),
    };
    let rule = "=".repeat(signs / 2);
    format!("{rule} {title} {rule}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_is_ruled_as_wide_as_its_table() {
        assert_eq!(ruled("Data", 12), "=== Data ===");
        assert_eq!(ruled("Metadata", 24), "======= Metadata =======");
        assert_eq!(ruled("Secret Path", 3), "== Secret Path ==");
    }

    #[test]
    fn only_a_mount_with_versions_has_areas() {
        let place = |versioned| Place {
            mount: "kv/".to_owned(),
            rest: "a/b".to_owned(),
            versioned,
        };
        assert_eq!(place(true).path("data"), "kv/data/a/b");
        assert_eq!(place(false).path("data"), "kv/a/b");
        assert_eq!(put_body(&place(false), Map::new(), Some(1)), json!({}));
        assert_eq!(
            put_body(&place(true), Map::new(), Some(0)),
            json!({"data": {}, "options": {"cas": 0}})
        );
    }
}
