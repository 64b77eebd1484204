//! `metadata/…`: what is known of a key besides its data, and the list of keys.

use std::collections::BTreeMap;

use palisade_plugin::{
    Answer, Call, Failure, Field, FieldValue, Json, Path, Response, data, go_duration, keys,
    pattern, retry_conflicts,
};
use serde_json::{Map, Value, json};
use std::time::Duration;

use crate::Kv;
use crate::config::version_count;
use crate::custom_metadata;
use crate::data::{exists, not_found};
use crate::fields::{PATH, key_to_write};
use crate::moment::shown;
use crate::record::{KeyRecord, METADATA, destroy_data};

const CAS_REQUIRED: Field<bool> = Field::bool(
    "cas_required",
    "Whether every write of this key has to say which version it replaces. If false, the mount's\n\
     setting holds.",
);
const MAX_VERSIONS: Field<i64> = Field::int(
    "max_versions",
    "The number of versions to keep. If not set, the mount's setting holds.",
);
const DELETE_VERSION_AFTER: Field<Duration> = Field::duration(
    "delete_version_after",
    "How long after its creation a version is deleted, unless the mount deletes earlier. Zero clears\n\
     the setting.",
);
const CUSTOM_METADATA: Field<BTreeMap<String, Json>> = Field::map(
    "custom_metadata",
    "Names and texts that describe the secret.",
);
const AFTER: Field<String> = Field::string("after", "For lists: start behind this name.");
const LIMIT: Field<i64> = Field::int("limit", "For lists: give at most this many names.");

pub(crate) fn path() -> Path<Kv> {
    Path::new(format!("metadata/{}", pattern::rest("path")))
        .field(&PATH)
        .field(&CAS_REQUIRED)
        .field(&MAX_VERSIONS)
        .field(&DELETE_VERSION_AFTER)
        .field(&CUSTOM_METADATA)
        .field(&AFTER)
        .field(&LIMIT)
        .exists(exists)
        .list(list)
        .read(read)
        .write(write)
        .patch(patch)
        .delete(delete)
        .help(
            "Allows interaction with key metadata and settings in the KV store.",
            "Lists keys, reads what is known of one and all its versions, changes its settings, and\n\
             removes it with all its versions.",
        )
}

async fn list(_: &Kv, call: Call<'_>) -> Answer {
    let mut prefix = format!("{METADATA}{}", call.value(&PATH)?);
    if !prefix.ends_with('/') {
        prefix.push('/');
    }
    // Storage takes every limit below one for "all", and so does what is too large for it.
    let limit = i32::try_from(call.value(&LIMIT)?).unwrap_or(-1);
    let after = call.value(&AFTER)?;
    keys(&call.storage().list_page(&prefix, &after, limit).await?)
}

async fn read(_: &Kv, call: Call<'_>) -> Answer {
    let key = call.value(&PATH)?;
    let Some(record) = KeyRecord::load(call.storage(), &key).await? else {
        return Ok(None);
    };
    data(&json!({
        "versions": shown_versions(&record),
        "current_version": record.current_version,
        "oldest_version": record.oldest_version,
        "created_time": shown(Some(record.created)),
        "updated_time": shown(Some(record.updated)),
        "max_versions": record.max_versions,
        "cas_required": record.cas_required,
        "delete_version_after": go_duration(record.delete_version_after),
        "custom_metadata": record.shown_custom_metadata(),
    }))
}

fn shown_versions(record: &KeyRecord) -> Map<String, Value> {
    let versions = record.versions.iter().map(|(number, version)| {
        let shown = json!({
            "created_time": shown(Some(version.created)),
            "deletion_time": shown(version.deleted),
            "destroyed": version.destroyed,
        });
        (number.to_string(), shown)
    });
    versions.collect()
}

/// The settings that a request names; the others stay as they are.
struct Change {
    cas_required: Option<bool>,
    max_versions: Option<u32>,
    delete_version_after: Option<i64>,
    custom_metadata: Option<BTreeMap<String, Json>>,
}

impl Change {
    fn of_write(call: Call<'_>) -> Result<Self, Failure> {
        Self::read(
            call.get(&CAS_REQUIRED)?,
            call.get(&MAX_VERSIONS)?,
            call.get(&DELETE_VERSION_AFTER)?,
            call.get(&CUSTOM_METADATA)?,
        )
    }

    /// In a patch, `null` sets a setting back.
    fn of_patch(call: Call<'_>) -> Result<Self, Failure> {
        Self::read(
            or_reset(call, &CAS_REQUIRED)?,
            or_reset(call, &MAX_VERSIONS)?,
            or_reset(call, &DELETE_VERSION_AFTER)?,
            call.get(&CUSTOM_METADATA)?,
        )
    }

    fn read(
        cas_required: Option<bool>,
        max_versions: Option<i64>,
        delete_version_after: Option<Duration>,
        custom_metadata: Option<BTreeMap<String, Json>>,
    ) -> Result<Self, Failure> {
        let seconds = |span: Duration| i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
        Ok(Self {
            cas_required,
            max_versions: max_versions.map(version_count).transpose()?,
            delete_version_after: delete_version_after.map(seconds),
            custom_metadata,
        })
    }

    fn is_empty(&self) -> bool {
        self.cas_required.is_none()
            && self.max_versions.is_none()
            && self.delete_version_after.is_none()
            && self.custom_metadata.is_none()
    }

    fn apply_settings(&self, record: &mut KeyRecord) {
        if let Some(required) = self.cas_required {
            record.cas_required = required;
        }
        if let Some(count) = self.max_versions {
            record.max_versions = count;
        }
        if let Some(seconds) = self.delete_version_after {
            record.delete_version_after = seconds;
        }
    }

    /// A remark when the mount asks for check-and-set whatever this key says.
    fn answer(&self, cas_required_by_mount: bool) -> Answer {
        if self.cas_required != Some(false) || !cas_required_by_mount {
            return Ok(None);
        }
        let warning = "\"cas_required\" set to false, but is mandated by backend config. \
                       This value will be ignored.";
        Ok(Some(Response {
            warnings: vec![warning.to_owned()],
            ..Response::default()
        }))
    }
}

fn or_reset<T: FieldValue + Default>(
    call: Call<'_>,
    field: &Field<T>,
) -> Result<Option<T>, Failure> {
    match call.raw(field.name()) {
        Some(json) if json.is_null() => Ok(Some(T::default())),
        _ => call.get(field),
    }
}

async fn write(kv: &Kv, call: Call<'_>) -> Answer {
    let (key, change) = (key_to_write(call)?, Change::of_write(call)?);
    if change.is_empty() {
        return Ok(None);
    }
    let config = kv.config.get(call).await?;
    retry_conflicts(|| write_once(call, &key, &change)).await?;
    change.answer(config.cas_required)
}

async fn write_once(call: Call<'_>, key: &str, change: &Change) -> Result<(), Failure> {
    let transaction = call.transaction().await?;
    let known = KeyRecord::load(transaction.as_ref(), key).await?;
    let mut record = known.unwrap_or_else(|| KeyRecord::new(call.now()));
    change.apply_settings(&mut record);
    if let Some(given) = &change.custom_metadata {
        record.custom_metadata = custom_metadata::replaced(given)?;
    }
    record.save(transaction.as_ref(), key).await?;
    transaction.commit().await?;
    Ok(())
}

async fn patch(kv: &Kv, call: Call<'_>) -> Answer {
    let (key, change) = (key_to_write(call)?, Change::of_patch(call)?);
    let config = kv.config.get(call).await?;
    match retry_conflicts(|| patch_once(call, &key, &change)).await? {
        true => change.answer(config.cas_required),
        false => not_found(None, call.request()),
    }
}

/// Tells whether there is such a key.
async fn patch_once(call: Call<'_>, key: &str, change: &Change) -> Result<bool, Failure> {
    let transaction = call.transaction().await?;
    let Some(mut record) = KeyRecord::load(transaction.as_ref(), key).await? else {
        return Ok(false);
    };
    change.apply_settings(&mut record);
    let clears_texts = call
        .raw(CUSTOM_METADATA.name())
        .is_some_and(|json| json.is_null());
    if clears_texts {
        record.custom_metadata.clear();
    }
    if let Some(given) = &change.custom_metadata {
        let texts = std::mem::take(&mut record.custom_metadata);
        record.custom_metadata = custom_metadata::patched(texts, given)?;
    }
    record.save(transaction.as_ref(), key).await?;
    transaction.commit().await?;
    Ok(true)
}

async fn delete(_: &Kv, call: Call<'_>) -> Answer {
    let key = call.value(&PATH)?;
    retry_conflicts(|| delete_once(call, &key)).await
}

async fn delete_once(call: Call<'_>, key: &str) -> Answer {
    let transaction = call.transaction().await?;
    let Some(record) = KeyRecord::load(transaction.as_ref(), key).await? else {
        return Ok(None);
    };
    for number in record.versions.keys() {
        destroy_data(transaction.as_ref(), key, *number).await?;
    }
    transaction.delete(&format!("{METADATA}{key}")).await?;
    transaction.commit().await?;
    Ok(None)
}
