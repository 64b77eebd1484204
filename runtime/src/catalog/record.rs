//! An entry as it lies in the store. Whoever can write there could write anything: it is checked again when read.

use std::collections::{BTreeMap, BTreeSet};

use palisade_contract::PluginType;
use serde::{Deserialize, Serialize};

use super::{Entry, EntryKey, Manifest, PREFIX};
use crate::store::StoreError;
use crate::{Grants, Layer, Limits, RegisterError, RuntimeKind};

/// The JSON of an entry.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    #[serde(rename = "type")]
    plugin_type: PluginType,
    name: String,
    version: String,
    command: String,
    args: Vec<String>,
    env: Vec<String>,
    sha256: String,
    runtime: RuntimeKind,
    limits: Limits,
    #[serde(default)]
    grants: Grants,
    #[serde(default)]
    re_executes: bool,
    #[serde(default)]
    dedicated: bool,
    #[serde(default)]
    required_layers: BTreeSet<Layer>,
}

impl EntryKey {
    /// Where the entry lies in the store.
    pub(super) fn path(&self) -> String {
        let unversioned = format!("{PREFIX}{}/{}", self.plugin_type, self.name);
        match &self.version {
            Some(version) => format!("{unversioned}/{version}"),
            None => unversioned,
        }
    }
}

/// Writes an entry as bytes for the store.
pub(super) fn encode(entry: &Entry) -> Result<Vec<u8>, RegisterError> {
    let record = Record {
        plugin_type: entry.key.plugin_type,
        name: entry.key.name.to_string(),
        version: version_text(&entry.key),
        command: entry.command.clone(),
        args: entry.process.args.clone(),
        env: entry.process.env.clone(),
        sha256: entry.sha256.to_string(),
        runtime: entry.runtime,
        limits: entry.limits.clone(),
        grants: entry.grants.clone(),
        re_executes: entry.process.re_executes,
        dedicated: entry.process.dedicated,
        required_layers: entry.process.required_layers.clone(),
    };
    serde_json::to_vec(&record).map_err(|fault| malformed(&entry.key.path(), &fault.to_string()))
}

/// Reads what lies at `path` in the store, and checks it as if it were being registered.
pub(super) fn decode(path: &str, bytes: &[u8]) -> Result<Entry, RegisterError> {
    let record: Record =
        serde_json::from_slice(bytes).map_err(|fault| malformed(path, &fault.to_string()))?;
    let (runtime, limits) = (record.runtime, record.limits.clone());
    let draft = record
        .into_manifest()
        .check()
        .map_err(|fault| malformed(path, &fault.to_string()))?;
    if draft.key.path() != path {
        return Err(malformed(path, "it belongs elsewhere"));
    }
    let entry = draft.into_entry(runtime)?;
    Ok(Entry { limits, ..entry })
}

impl Record {
    fn into_manifest(self) -> Manifest {
        Manifest {
            plugin_type: self.plugin_type,
            name: self.name,
            version: self.version,
            command: self.command,
            args: self.args,
            env: self.env,
            sha256: self.sha256,
            runtime: Some(self.runtime),
            isolation: None,
            profile: None,
            limits: BTreeMap::new(),
            grants: self.grants.iter().map(|grant| grant.to_string()).collect(),
            re_executes: self.re_executes,
            dedicated: self.dedicated,
            required_layers: names(&self.required_layers),
        }
    }
}

fn names(layers: &BTreeSet<Layer>) -> Vec<String> {
    layers.iter().map(ToString::to_string).collect()
}

/// The version as listings show it: empty for none.
pub(super) fn version_text(key: &EntryKey) -> String {
    key.version
        .as_ref()
        .map(ToString::to_string)
        .unwrap_or_default()
}

fn malformed(path: &str, fault: &str) -> RegisterError {
    StoreError::Failed(format!("the entry at {path:?} is malformed: {fault}")).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::testing::manifest;
    use crate::{Isolation, Profile};

    fn entry() -> Entry {
        let draft = manifest("team/kv").check().expect("it is well-formed");
        let mut entry = draft
            .into_entry(RuntimeKind::Wasm)
            .expect("nothing contradicts it");
        entry.limits.isolation = Isolation::Mount;
        entry.limits.profile = Profile::Large;
        entry
    }

    #[test]
    fn an_entry_reads_back_as_it_was_written() {
        let entry = entry();
        let bytes = encode(&entry).expect("it has only string keys");
        let read = decode(&entry.key.path(), &bytes).expect("it is whole");
        assert_eq!(read, entry);
    }

    #[test]
    fn an_entry_that_was_edited_in_the_store_is_refused() {
        let (path, bytes) = (entry().key.path(), encode(&entry()).expect("string keys"));
        let text = String::from_utf8(bytes).expect("JSON is text");
        let edits = [
            ("\"command\":\"team/kv\"", "\"command\":\"../../bin/sh\""),
            ("\"env\":[]", "\"env\":[\"LD_PRELOAD=x\"]"),
            ("\"name\":\"team/kv\"", "\"name\":\"other\""),
            ("\"args\"", "\"argv\""),
        ];
        for (whole, edited) in edits {
            let changed = text.replace(whole, edited);
            assert_ne!(changed, text, "{whole}");
            assert!(decode(&path, changed.as_bytes()).is_err(), "{edited}");
        }
    }
}
