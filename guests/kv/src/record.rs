//! What is stored: for each key its metadata, and for each of its versions the data.
//!
//! ```text
//! metadata/KEY       KeyRecord
//! versions/KEY/3     VersionRecord, written once and never changed
//! ```

use std::collections::BTreeMap;

use palisade_plugin::{Failure, Json, Storage, StorageEntry, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::config::Config;
use crate::moment::{Moment, shown};

/// Where the metadata of the keys is.
pub(crate) const METADATA: &str = "metadata/";

/// Where the data of the versions is.
pub(crate) const VERSIONS: &str = "versions/";

/// How many versions a key keeps when neither it nor the mount says.
const VERSIONS_KEPT: u32 = 10;

/// Everything that is known of a key but its data.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct KeyRecord {
    /// The newest version; zero before the first write.
    pub(crate) current_version: u64,
    /// The oldest version that is kept; zero while none was dropped.
    pub(crate) oldest_version: u64,
    pub(crate) created: Moment,
    pub(crate) updated: Moment,
    /// How many versions to keep; zero leaves it to the mount.
    pub(crate) max_versions: u32,
    pub(crate) cas_required: bool,
    /// How long after its creation a version is deleted, in seconds; zero leaves it to the mount.
    pub(crate) delete_version_after: i64,
    pub(crate) custom_metadata: BTreeMap<String, String>,
    pub(crate) versions: BTreeMap<u64, VersionState>,
}

/// What is known of one version.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct VersionState {
    pub(crate) created: Moment,
    /// When it is, or was, deleted. The data is still there and can be restored.
    pub(crate) deleted: Option<Moment>,
    /// Whether the data is gone for good.
    pub(crate) destroyed: bool,
}

/// The data of one version.
#[derive(Serialize, Deserialize)]
struct VersionRecord {
    created: Moment,
    data: Box<RawValue>,
}

impl KeyRecord {
    /// A key that nothing was written to yet.
    pub(crate) fn new(now: Timestamp) -> Self {
        Self {
            current_version: 0,
            oldest_version: 0,
            created: now.into(),
            updated: now.into(),
            max_versions: 0,
            cas_required: false,
            delete_version_after: 0,
            custom_metadata: BTreeMap::new(),
            versions: BTreeMap::new(),
        }
    }

    pub(crate) async fn load(storage: &dyn Storage, key: &str) -> Result<Option<Self>, Failure> {
        let entry = storage.get(&format!("{METADATA}{key}")).await?;
        entry.as_ref().map(|entry| parse(entry, key)).transpose()
    }

    pub(crate) async fn save(&self, storage: &dyn Storage, key: &str) -> Result<(), Failure> {
        let value = serde_json::to_vec(self)?;
        let entry = StorageEntry::new(format!("{METADATA}{key}"), value);
        Ok(storage.put(entry).await?)
    }

    /// Adds a version and gives back the numbers of those that are too many now.
    pub(crate) fn add_version(&mut self, now: Timestamp, config: &Config) -> Vec<u64> {
        let version = VersionState {
            created: now.into(),
            deleted: self.deletion_of_new(now, config),
            destroyed: false,
        };
        self.current_version += 1;
        self.updated = now.into();
        self.versions.insert(self.current_version, version);
        self.drop_old_versions(config)
    }

    /// When a version that appears now is going to be deleted: after the shorter of the key's and the mount's span.
    pub(crate) fn deletion_of_new(&self, now: Timestamp, config: &Config) -> Option<Moment> {
        let spans = [self.delete_version_after, config.delete_version_after];
        if config.never_deletes_by_age() {
            return None;
        }
        let seconds = spans.into_iter().filter(|seconds| *seconds > 0).min()?;
        let span = std::time::Duration::from_secs(seconds.unsigned_abs());
        Some(now.saturating_add(span).into())
    }

    fn drop_old_versions(&mut self, config: &Config) -> Vec<u64> {
        let kept = match self.max_versions.max(config.max_versions) {
            0 => u64::from(VERSIONS_KEPT),
            kept => u64::from(kept),
        };
        if self.current_version - self.oldest_version < kept {
            return Vec::new();
        }
        self.oldest_version = self.current_version - kept + 1;
        let newer = self.versions.split_off(&self.oldest_version);
        let older = std::mem::replace(&mut self.versions, newer);
        older.into_keys().collect()
    }

    /// The state of that version, or of the newest.
    pub(crate) fn version(&self, number: Option<u64>) -> Option<(u64, &VersionState)> {
        let number = number.unwrap_or(self.current_version);
        Some((number, self.versions.get(&number)?))
    }

    /// One version as clients see it.
    pub(crate) fn shown(&self, number: u64, version: &VersionState) -> Value {
        json!({
            "version": number,
            "created_time": shown(Some(version.created)),
            "deletion_time": shown(version.deleted),
            "destroyed": version.destroyed,
            "custom_metadata": self.shown_custom_metadata(),
        })
    }

    /// `null` when there is none, as in OpenBao.
    pub(crate) fn shown_custom_metadata(&self) -> Option<&BTreeMap<String, String>> {
        Some(&self.custom_metadata).filter(|metadata| !metadata.is_empty())
    }
}

impl VersionState {
    /// Whether the data can be read: it is neither destroyed nor deleted by now.
    pub(crate) fn is_live(&self, now: Timestamp) -> bool {
        !self.destroyed && !self.is_deleted(now)
    }

    /// From that very moment on: a clock may be coarse.
    pub(crate) fn is_deleted(&self, now: Timestamp) -> bool {
        self.deleted.is_some_and(|deleted| deleted <= now.into())
    }
}

/// Reads a version's data, as the text that the client once sent.
///
/// `None` when it is not the version that `state` speaks of: somebody changed the key between the two reads.
pub(crate) async fn load_data(
    storage: &dyn Storage,
    key: &str,
    number: u64,
    state: &VersionState,
) -> Result<Option<Json>, Failure> {
    let Some(entry) = storage.get(&version_key(key, number)).await? else {
        return Ok(None);
    };
    let record: VersionRecord = parse(&entry, key)?;
    let same = record.created == state.created;
    Ok(same.then(|| Json::from_text(record.data.get())))
}

/// Writes a version's data.
pub(crate) async fn save_data(
    storage: &dyn Storage,
    key: &str,
    number: u64,
    now: Timestamp,
    data: &Json,
) -> Result<(), Failure> {
    let record = VersionRecord {
        created: now.into(),
        data: data.parse()?,
    };
    let entry = StorageEntry::new(version_key(key, number), serde_json::to_vec(&record)?);
    Ok(storage.put(entry).await?)
}

/// Removes a version's data for good.
pub(crate) async fn destroy_data(
    storage: &dyn Storage,
    key: &str,
    number: u64,
) -> Result<(), Failure> {
    Ok(storage.delete(&version_key(key, number)).await?)
}

/// The last segment is the number and everything before it the key, so no two pairs share a storage key.
fn version_key(key: &str, number: u64) -> String {
    format!("{VERSIONS}{key}/{number}")
}

/// What does not parse was not written by this plugin; its content is not repeated.
fn parse<T: serde::de::DeserializeOwned>(entry: &StorageEntry, key: &str) -> Result<T, Failure> {
    serde_json::from_slice(&entry.value)
        .map_err(|_| Failure::internal(format!("what is stored for the key {key:?} is damaged")))
}
