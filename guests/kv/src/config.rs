//! `config`: settings of the mount that hold for all its keys.
//!
//! Almost every request needs them, so they are cached. The cache is told when another instance of the mount changes
//! them, and it never holds what a request merely intends to write: a host may still refuse the commit.

use std::sync::{Mutex, MutexGuard};

use palisade_plugin::{
    Answer, Call, Failure, Field, Path, Storage, StorageEntry, data, go_duration, retry_conflicts,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::Kv;

const MAX_VERSIONS: Field<i64> = Field::int(
    "max_versions",
    "The number of versions that each key keeps. Without it, ten.",
);
const CAS_REQUIRED: Field<bool> = Field::bool(
    "cas_required",
    "Whether every write has to say which version it replaces.",
);
const DELETE_VERSION_AFTER: Field<i64> = Field::signed_seconds(
    "delete_version_after",
    "How long after its creation a version is deleted. Zero clears the setting; a negative time\n\
     switches deletion by age off for all keys.",
);

/// Where the settings are stored.
const CONFIG: &str = "config";

pub(crate) fn path() -> Path<Kv> {
    Path::new("config")
        .field(&MAX_VERSIONS)
        .field(&CAS_REQUIRED)
        .field(&DELETE_VERSION_AFTER)
        .read(read)
        .write(write)
        .help(
            "Configures settings for the KV store",
            "Settings that hold for every key of this mount. What a write does not name stays as it is.",
        )
}

/// The settings of a mount.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Config {
    /// How many versions a key keeps at least; zero when nobody said.
    pub(crate) max_versions: u32,
    pub(crate) cas_required: bool,
    /// In seconds; zero when nobody said, negative when nothing is deleted by age.
    pub(crate) delete_version_after: i64,
}

impl Config {
    pub(crate) fn never_deletes_by_age(&self) -> bool {
        self.delete_version_after < 0
    }

    async fn load(storage: &dyn Storage) -> Result<Self, Failure> {
        match storage.get(CONFIG).await? {
            Some(entry) => serde_json::from_slice(&entry.value)
                .map_err(|_| Failure::internal("the stored configuration is damaged")),
            None => Ok(Self::default()),
        }
    }
}

/// The settings as last read, and how often they were forgotten.
#[derive(Default)]
pub(crate) struct ConfigCache(Mutex<Cached>);

#[derive(Default)]
struct Cached {
    config: Option<Config>,
    forgotten: u64,
}

impl ConfigCache {
    /// The settings, from memory or from storage.
    pub(crate) async fn get(&self, call: Call<'_>) -> Result<Config, Failure> {
        let forgotten = {
            let cached = self.cached();
            if let Some(config) = &cached.config {
                return Ok(config.clone());
            }
            cached.forgotten
        };
        let config = Config::load(call.storage()).await?;
        let mut cached = self.cached();
        // A change that was made while we read would make what we read stale: then it is used once and not kept.
        if cached.forgotten == forgotten {
            cached.config = Some(config.clone());
        }
        Ok(config)
    }

    /// Another instance wrote this storage key.
    pub(crate) fn invalidate(&self, key: &str) {
        if key == CONFIG {
            self.forget();
        }
    }

    fn forget(&self) {
        let mut cached = self.cached();
        cached.config = None;
        cached.forgotten += 1;
    }

    fn cached(&self) -> MutexGuard<'_, Cached> {
        self.0
            .lock()
            .expect("nothing panics while it holds this lock")
    }
}

async fn read(kv: &Kv, call: Call<'_>) -> Answer {
    let config = kv.config.get(call).await?;
    data(&json!({
        "max_versions": config.max_versions,
        "cas_required": config.cas_required,
        "delete_version_after": go_duration(config.delete_version_after),
    }))
}

async fn write(kv: &Kv, call: Call<'_>) -> Answer {
    let outcome = retry_conflicts(|| change(call)).await;
    kv.config.forget();
    outcome
}

async fn change(call: Call<'_>) -> Answer {
    let transaction = call.transaction().await?;
    let mut config = Config::load(transaction.as_ref()).await?;
    if let Some(count) = call.get(&MAX_VERSIONS)? {
        config.max_versions = version_count(count)?;
    }
    if let Some(required) = call.get(&CAS_REQUIRED)? {
        config.cas_required = required;
    }
    if let Some(seconds) = call.get(&DELETE_VERSION_AFTER)? {
        // Every negative time means the same, and reads back as -1s.
        config.delete_version_after = seconds.max(-1);
    }
    let entry = StorageEntry::new(CONFIG, serde_json::to_vec(&config)?);
    transaction.put(entry).await?;
    transaction.commit().await?;
    Ok(None)
}

/// A number of versions to keep, as clients give it.
pub(crate) fn version_count(count: i64) -> Result<u32, Failure> {
    u32::try_from(count).map_err(|_| {
        Failure::refused(format!(
            "max_versions is {count}, and has to be from 0 to {}",
            u32::MAX
        ))
    })
}
