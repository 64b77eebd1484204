//! One text for each name.

use palisade_plugin::{Answer, Call, Failure, Field, Path, StorageEntry, data, keys, pattern};
use serde_json::json;

use crate::memory::Memory;

/// Where the texts are stored.
const PREFIX: &str = "kv/";

/// Lists everything.
const ALL: i32 = -1;

const KEY: Field<String> = Field::string("key", "The name.");
const VALUE: Field<String> = Field::string("value", "The text.");
const VERSION: Field<i64> = Field::int("version", "Comes back as it was sent.").default("0");

pub(crate) fn list_path() -> Path<Memory> {
    Path::new("kv/?")
        .list(list)
        .help("The names.", "Lists them.")
}

pub(crate) fn path() -> Path<Memory> {
    Path::new(format!("kv/{}", pattern::name("key")))
        .field(&KEY)
        .field(&VALUE)
        .field(&VERSION)
        .exists(exists)
        .read(read)
        .write(write)
        .delete(delete)
        .help("One text.", "Writes, reads and deletes it.")
}

fn key(call: &Call<'_>) -> Result<String, Failure> {
    Ok(format!("{PREFIX}{}", call.value(&KEY)?))
}

async fn exists(_: &Memory, call: Call<'_>) -> Result<bool, Failure> {
    Ok(call.storage().get(&key(&call)?).await?.is_some())
}

async fn read(_: &Memory, call: Call<'_>) -> Answer {
    let Some(entry) = call.storage().get(&key(&call)?).await? else {
        return Ok(None);
    };
    let value = String::from_utf8_lossy(&entry.value);
    data(&json!({ "value": value, "version": call.value(&VERSION)? }))
}

async fn write(_: &Memory, call: Call<'_>) -> Answer {
    let value = call.get(&VALUE)?.unwrap_or_default();
    let entry = StorageEntry::new(key(&call)?, value.clone());
    call.storage().put(entry).await?;
    data(&json!({ "value": value }))
}

async fn delete(_: &Memory, call: Call<'_>) -> Answer {
    call.storage().delete(&key(&call)?).await?;
    Ok(None)
}

async fn list(_: &Memory, call: Call<'_>) -> Answer {
    keys(&call.storage().list_page(PREFIX, "", ALL).await?)
}
