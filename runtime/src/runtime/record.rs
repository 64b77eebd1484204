//! A mount as it lies in the store, at `core/mounts/<uuid>`.

use std::collections::BTreeMap;
use std::sync::Arc;

use palisade_contract::{PluginType, SpecialPaths};
use serde::{Deserialize, Serialize};

use crate::lifecycle::Prepared;
use crate::services::MountPrefix;
use crate::store::{Check, Commit, Snapshot, Store, StoreError, Write};
use crate::{Digest, GrammarError, Limits, MountPath, PluginName, PluginVersion, RuntimeKind};

/// Where mounts are kept in the store.
const PREFIX: &str = "core/mounts/";

/// How many keys are asked for at a time.
const PAGE_KEYS: usize = 1000;

/// What the store knows of a mount.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Record {
    pub(super) path: MountPath,
    pub(super) plugin: PluginName,
    pub(super) plugin_type: PluginType,
    pub(super) uuid: String,
    pub(super) accessor: String,
    pub(super) description: String,
    pub(super) options: BTreeMap<String, String>,
    pub(super) config: serde_json::Value,
    pub(super) local: bool,
    pub(super) seal_wrap: bool,
    pub(super) version: Option<PluginVersion>,
    pub(super) running_version: String,
    pub(super) running_sha256: Option<Digest>,
    pub(super) runtime: RuntimeKind,
    /// As the plugin said when it last started: a restriction holds while nothing runs, too.
    pub(super) special_paths: Arc<SpecialPaths>,
    /// As its entry stated when it last started: they hold at the entrance before anything runs, too.
    pub(super) limits: Arc<Limits>,
    /// Whether it is being disabled: whoever finds it so finishes that.
    pub(super) disabling: bool,
}

impl Record {
    /// Takes over what runs now.
    pub(super) fn with_running(&self, prepared: &Prepared) -> Self {
        // The same bytes still have the version that they once said they have.
        let is_known = prepared.sha256.is_some() && prepared.sha256 == self.running_sha256;
        let running_version = match prepared.running_version.as_str() {
            "" if is_known => &self.running_version,
            stated => stated,
        };
        Self {
            version: prepared.version.clone(),
            running_version: running_version.to_owned(),
            running_sha256: prepared.sha256,
            runtime: prepared.runtime,
            limits: Arc::clone(&prepared.plan.limits),
            ..self.clone()
        }
    }

    /// The mount's part of the store.
    pub(super) fn storage_prefix(&self) -> Result<MountPrefix, GrammarError> {
        MountPrefix::new(self.plugin_type, &self.uuid)
    }

    fn key(&self) -> String {
        format!("{PREFIX}{}", self.uuid)
    }

    fn put(&self) -> Result<Write, StoreError> {
        let value = serde_json::to_vec(&Stored::of(self))
            .map_err(|fault| StoreError::Failed(fault.to_string()))?;
        Ok(Write::Put {
            key: self.key(),
            value,
        })
    }

    /// Writes a new mount.
    pub(super) async fn insert(&self, store: &dyn Store) -> Result<(), StoreError> {
        let absent = Check::Key {
            key: self.key(),
            revision: None,
        };
        let commit = Commit {
            checks: vec![absent],
            writes: vec![self.put()?],
        };
        store.commit(commit).await
    }

    /// Writes over a mount that is still there and not on its way out; does nothing otherwise.
    pub(super) async fn update(&self, store: &dyn Store) -> Result<(), StoreError> {
        let snapshot = store.snapshot().await?;
        let Some(found) = snapshot.get(&self.key()).await? else {
            return Ok(());
        };
        drop(snapshot);
        if decode(&found.value).is_ok_and(|record| record.disabling) {
            return Ok(());
        }
        let unchanged = Check::Key {
            key: self.key(),
            revision: Some(found.revision),
        };
        let commit = Commit {
            checks: vec![unchanged],
            writes: vec![self.put()?],
        };
        store.commit(commit).await
    }

    /// Forgets the mount.
    pub(super) async fn remove(&self, store: &dyn Store) -> Result<(), StoreError> {
        let delete = Write::Delete { key: self.key() };
        store.commit(Commit::of(vec![delete])).await
    }
}

/// Every mount that the store knows. What cannot be read is left out, and logged: one bad record stops no server.
pub(super) async fn load(store: &dyn Store) -> Result<Vec<Record>, StoreError> {
    let snapshot = store.snapshot().await?;
    let mut records = Vec::new();
    let mut after = String::new();
    loop {
        let page = snapshot.list_page(PREFIX, &after, PAGE_KEYS).await?;
        for uuid in &page {
            records.extend(read(snapshot.as_ref(), uuid).await?);
        }
        match page.last() {
            Some(last) if page.len() == PAGE_KEYS => after.clone_from(last),
            _ => return Ok(records),
        }
    }
}

async fn read(snapshot: &dyn Snapshot, uuid: &str) -> Result<Option<Record>, StoreError> {
    let Some(found) = snapshot.get(&format!("{PREFIX}{uuid}")).await? else {
        return Ok(None);
    };
    match decode(&found.value) {
        Ok(record) if record.uuid == uuid => Ok(Some(record)),
        Ok(_) => {
            tracing::error!(uuid, "a mount lies at another's place and is left out");
            Ok(None)
        }
        Err(fault) => {
            tracing::error!(uuid, fault, "a mount cannot be read and is left out");
            Ok(None)
        }
    }
}

fn decode(bytes: &[u8]) -> Result<Record, String> {
    let stored: Stored = serde_json::from_slice(bytes).map_err(|fault| fault.to_string())?;
    stored.into_record().map_err(|fault| fault.to_string())
}

/// The JSON of a mount.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    path: String,
    plugin: String,
    #[serde(rename = "type")]
    plugin_type: PluginType,
    uuid: String,
    accessor: String,
    description: String,
    options: BTreeMap<String, String>,
    config: serde_json::Value,
    local: bool,
    seal_wrap: bool,
    version: Option<String>,
    running_version: String,
    running_sha256: Option<String>,
    runtime: RuntimeKind,
    special_paths: StoredPaths,
    #[serde(default)]
    limits: Limits,
    disabling: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredPaths {
    root: Vec<String>,
    unauthenticated: Vec<String>,
    local_storage: Vec<String>,
    seal_wrap_storage: Vec<String>,
    write_forwarded_storage: Vec<String>,
    #[serde(default)]
    safe_reads: Vec<String>,
}

impl From<SpecialPaths> for StoredPaths {
    fn from(paths: SpecialPaths) -> Self {
        Self {
            root: paths.root,
            unauthenticated: paths.unauthenticated,
            local_storage: paths.local_storage,
            seal_wrap_storage: paths.seal_wrap_storage,
            write_forwarded_storage: paths.write_forwarded_storage,
            safe_reads: paths.safe_reads,
        }
    }
}

impl From<StoredPaths> for SpecialPaths {
    fn from(paths: StoredPaths) -> Self {
        Self {
            root: paths.root,
            unauthenticated: paths.unauthenticated,
            local_storage: paths.local_storage,
            seal_wrap_storage: paths.seal_wrap_storage,
            write_forwarded_storage: paths.write_forwarded_storage,
            safe_reads: paths.safe_reads,
        }
    }
}

impl Stored {
    fn of(record: &Record) -> Self {
        let record = record.clone();
        Self {
            path: record.path.to_string(),
            plugin: record.plugin.to_string(),
            plugin_type: record.plugin_type,
            uuid: record.uuid,
            accessor: record.accessor,
            description: record.description,
            options: record.options,
            config: record.config,
            local: record.local,
            seal_wrap: record.seal_wrap,
            version: record.version.map(|version| version.to_string()),
            running_version: record.running_version,
            running_sha256: record.running_sha256.map(|digest| digest.to_string()),
            runtime: record.runtime,
            special_paths: SpecialPaths::clone(&record.special_paths).into(),
            limits: Limits::clone(&record.limits),
            disabling: record.disabling,
        }
    }

    fn into_record(self) -> Result<Record, GrammarError> {
        let record = Record {
            path: self.path.parse()?,
            plugin: self.plugin.parse()?,
            plugin_type: self.plugin_type,
            uuid: self.uuid,
            accessor: self.accessor,
            description: self.description,
            options: self.options,
            config: self.config,
            local: self.local,
            seal_wrap: self.seal_wrap,
            version: self.version.as_deref().map(str::parse).transpose()?,
            running_version: self.running_version,
            running_sha256: self.running_sha256.as_deref().map(str::parse).transpose()?,
            runtime: self.runtime,
            special_paths: Arc::new(self.special_paths.into()),
            limits: Arc::new(self.limits),
            disabling: self.disabling,
        };
        record.storage_prefix()?;
        Ok(record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;

    fn record() -> Record {
        Record {
            path: "team/kv".parse().expect("well-formed"),
            plugin: "kv".parse().expect("well-formed"),
            plugin_type: PluginType::Secret,
            uuid: uuid::Uuid::new_v4().to_string(),
            accessor: "kv_01234567".to_owned(),
            description: "d".to_owned(),
            options: BTreeMap::from([("version".to_owned(), "2".to_owned())]),
            config: serde_json::json!({"max_lease_ttl": 5}),
            local: false,
            seal_wrap: true,
            version: Some("v1.0.0".parse().expect("well-formed")),
            running_version: "v1.0.0".to_owned(),
            running_sha256: Some(Digest::new([7; 32])),
            runtime: RuntimeKind::Wasm,
            special_paths: Arc::new(SpecialPaths {
                root: vec!["config".to_owned()],
                ..SpecialPaths::default()
            }),
            limits: Arc::new(Limits {
                concurrency: 3,
                ..Limits::default()
            }),
            disabling: false,
        }
    }

    #[tokio::test]
    async fn a_mount_reads_back_as_it_was_written() {
        let store = MemoryStore::new();
        let record = record();
        record.insert(&store).await.unwrap();
        assert_eq!(load(&store).await.unwrap(), [record]);
    }

    #[tokio::test]
    async fn an_update_does_not_bring_back_a_mount_that_is_gone_or_going() {
        let store = MemoryStore::new();
        let mut record = record();
        record.update(&store).await.unwrap();
        assert!(load(&store).await.unwrap().is_empty());
        record.disabling = true;
        record.insert(&store).await.unwrap();
        let going = Record {
            disabling: false,
            ..record.clone()
        };
        going.update(&store).await.unwrap();
        assert!(load(&store).await.unwrap()[0].disabling);
    }

    #[tokio::test]
    async fn a_record_that_cannot_be_read_harms_no_other() {
        let store = MemoryStore::new();
        record().insert(&store).await.unwrap();
        let put = |key: &str, value: &[u8]| Write::Put {
            key: format!("{PREFIX}{key}"),
            value: value.to_vec(),
        };
        let mut misplaced = serde_json::to_value(Stored::of(&record())).unwrap();
        misplaced["uuid"] = "../../x".into();
        let odd = vec![put("a", b"{}"), put("b", misplaced.to_string().as_bytes())];
        store.commit(Commit::of(odd)).await.unwrap();
        assert_eq!(load(&store).await.unwrap().len(), 1);
    }
}
