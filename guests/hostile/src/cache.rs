//! A cache in memory, which is stale when the host forgets to say that a key changed.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use palisade_plugin::{Answer, Call, Path, StorageEntry, data, pattern};
use serde_json::json;

use crate::Hostile;
use crate::store::{KEY, VALUE, text};

/// What was read of storage, by key; `None` is known to be missing.
#[derive(Default)]
pub(crate) struct Cache(Mutex<BTreeMap<String, Option<String>>>);

impl Cache {
    fn values(&self) -> MutexGuard<'_, BTreeMap<String, Option<String>>> {
        self.0
            .lock()
            .expect("nothing panics while it holds this lock")
    }

    pub(crate) fn forget(&self, key: &str) {
        self.values().remove(key);
    }
}

pub(crate) fn path() -> Path<Hostile> {
    Path::new(format!("cache/{}", pattern::rest("key")))
        .field(&KEY)
        .field(&VALUE)
        .read(read)
        .write(write)
        .help(
            "One storage key through a cache.",
            "Keeps the value in memory at the first read, and answers from there until the key is invalidated.",
        )
}

async fn read(hostile: &Hostile, call: Call<'_>) -> Answer {
    let key = call.value(&KEY)?;
    let known = hostile.cache.values().get(&key).cloned();
    if let Some(value) = known {
        return data(&json!({ "value": value, "cached": true }));
    }
    let value = call.storage().get(&key).await?.as_ref().map(text);
    hostile.cache.values().insert(key, value.clone());
    data(&json!({ "value": value, "cached": false }))
}

/// Writes through: this instance forgets the key, the others are told by the host.
async fn write(hostile: &Hostile, call: Call<'_>) -> Answer {
    let key = call.value(&KEY)?;
    let entry = StorageEntry::new(key.clone(), call.value(&VALUE)?);
    call.storage().put(entry).await?;
    hostile.cache.forget(&key);
    Ok(None)
}
