//! Storage as it is: one key read, written, deleted, or listed page by page.

use palisade_plugin::{Answer, Call, Failure, Field, Path, StorageEntry, data, keys, pattern};
use serde_json::json;

use crate::Hostile;

pub(crate) const KEY: Field<String> = Field::string("key", "The storage key.");
pub(crate) const VALUE: Field<String> = Field::string("value", "What to store.");
const AFTER: Field<String> = Field::string("after", "List what sorts after this name.");
const LIMIT: Field<i64> = Field::int("limit", "List at most this many names.").default("-1");

const TIMES: Field<i64> = Field::int("times", "How often to read.").default("1");

pub(crate) fn path() -> Path<Hostile> {
    Path::new(format!("store/{}", pattern::rest("key")))
        .field(&KEY)
        .field(&VALUE)
        .field(&AFTER)
        .field(&LIMIT)
        .exists(exists)
        .read(read)
        .write(write)
        .delete(delete)
        .list(list)
        .help(
            "One storage key.",
            "Reads, writes, deletes or lists storage keys.",
        )
}

/// Reads one key as often as it is told.
pub(crate) fn reads_path() -> Path<Hostile> {
    Path::new(format!("reads/{}", pattern::rest("key")))
        .field(&KEY)
        .field(&TIMES)
        .write(read_often)
        .help(
            "One storage key, read many times.",
            "Reads the key as often as the field `times` says, and tells how often it was there.",
        )
}

/// Takes the key from the body or query, where no router and no host has cleaned it.
pub(crate) fn raw_path() -> Path<Hostile> {
    Path::new("key(?:/.*)?")
        .field(&KEY)
        .read(read)
        .write(read)
        .help(
            "Any storage key.",
            "Reads the storage key that the field `key` names, whatever it is.",
        )
}

async fn exists(_: &Hostile, call: Call<'_>) -> Result<bool, Failure> {
    Ok(call.storage().get(&call.value(&KEY)?).await?.is_some())
}

async fn read(_: &Hostile, call: Call<'_>) -> Answer {
    match call.storage().get(&call.value(&KEY)?).await? {
        Some(entry) => data(&json!({ "value": text(&entry) })),
        None => Ok(None),
    }
}

async fn read_often(_: &Hostile, call: Call<'_>) -> Answer {
    let key = call.value(&KEY)?;
    let mut found = 0;
    for _ in 0..call.value(&TIMES)? {
        found += u64::from(call.storage().get(&key).await?.is_some());
    }
    data(&json!({ "found": found }))
}

/// The value as text; bytes that are none are replaced.
pub(crate) fn text(entry: &StorageEntry) -> String {
    String::from_utf8_lossy(&entry.value).into_owned()
}

// The host tells the other instances of a mount what this one wrote, and leaves this one to know it.

async fn write(hostile: &Hostile, call: Call<'_>) -> Answer {
    let key = call.value(&KEY)?;
    let entry = StorageEntry::new(key.clone(), call.value(&VALUE)?);
    call.storage().put(entry).await?;
    hostile.cache.forget(&key);
    Ok(None)
}

async fn delete(hostile: &Hostile, call: Call<'_>) -> Answer {
    let key = call.value(&KEY)?;
    call.storage().delete(&key).await?;
    hostile.cache.forget(&key);
    Ok(None)
}

async fn list(_: &Hostile, call: Call<'_>) -> Answer {
    let (prefix, after) = (call.value(&KEY)?, call.value(&AFTER)?);
    // The host takes every number below one for "all"; what does not fit says the same.
    let limit = i32::try_from(call.value(&LIMIT)?).unwrap_or(-1);
    keys(&call.storage().list_page(&prefix, &after, limit).await?)
}
