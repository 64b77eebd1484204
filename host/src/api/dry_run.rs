//! `dry_run` of a registration: what would be registered, in what it differs from what there is, and what runs.

use palisade_runtime::MountInfo;
use palisade_runtime::catalog::{Candidate, DryRun};
use serde_json::{Map, Value, json};

use super::catalog::entry_info;
use super::server::Server;

/// The data of the answer.
pub(super) fn report(server: &Server, found: &DryRun) -> Value {
    let candidate = facts(&found.candidate);
    let current = found.current.as_ref().map(facts);
    let key = &found.candidate.entry.key;
    let mounts = server.runtime.mounts();
    let of_plugin = mounts
        .iter()
        .filter(|mount| (mount.plugin_type, &mount.plugin) == (key.plugin_type, &key.name));
    json!({
        "dry_run": true,
        "difference": difference(current.as_ref(), &candidate),
        "candidate": candidate,
        "current": current,
        "mounts": of_plugin.map(running).collect::<Vec<_>>(),
    })
}

/// An entry as it is listed, and what is known of its artifact.
fn facts(candidate: &Candidate) -> Value {
    let mut facts = entry_info(&candidate.entry);
    facts["size_bytes"] = json!(candidate.size_bytes);
    if let Some(survey) = &candidate.survey {
        let imports = survey.imports.iter();
        let imports = imports.map(|import| (import.name.clone(), json!(import.verdict)));
        facts["imports"] = Value::Object(imports.collect());
        facts["world"] = json!(survey.world());
        facts["languages"] = json!(survey.languages());
    }
    facts
}

fn running(mount: &MountInfo) -> Value {
    json!({
        "path": mount.path.as_str(),
        "running_version": mount.running_version,
        "running_sha256": mount.running_sha256.map(|digest| digest.to_string()),
        "runtime": mount.runtime.as_str(),
    })
}

/// What changes, by name: from what and to what. Without a current entry there is nothing to differ from.
fn difference(current: Option<&Value>, candidate: &Value) -> Value {
    let Some(current) = current else {
        return Value::Null;
    };
    let (from, to) = (flat(current), flat(candidate));
    let names = from.keys().chain(to.keys());
    let changed = names.filter(|name| from.get(*name) != to.get(*name));
    let change = |name: &String| json!({ "from": from.get(name), "to": to.get(name) });
    Value::Object(changed.map(|name| (name.clone(), change(name))).collect())
}

/// Fields, and the fields of those that are objects, as `limits.fuel`.
fn flat(facts: &Value) -> Map<String, Value> {
    let mut flat = Map::new();
    for (name, value) in facts.as_object().into_iter().flatten() {
        match value {
            Value::Object(inner) => {
                let inner = inner.iter();
                flat.extend(inner.map(|(key, value)| (format!("{name}.{key}"), value.clone())));
            }
            value => drop(flat.insert(name.clone(), value.clone())),
        }
    }
    flat
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_is_told_by_name_with_both_sides() {
        let current = json!({"version": "v1", "limits": {"fuel": 1, "queue": 2}, "imports": {"a": "granted"}});
        let candidate = json!({"version": "v2", "limits": {"fuel": 1, "queue": 3}, "imports": {"b": "stubbed"}});
        let expected = json!({
            "version": {"from": "v1", "to": "v2"},
            "limits.queue": {"from": 2, "to": 3},
            "imports.a": {"from": "granted", "to": null},
            "imports.b": {"from": null, "to": "stubbed"},
        });
        assert_eq!(difference(Some(&current), &candidate), expected);
        assert_eq!(difference(Some(&current), &current), json!({}));
        assert_eq!(difference(None, &candidate), Value::Null);
    }
}
