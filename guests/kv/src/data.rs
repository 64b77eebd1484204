//! `data/…`: the newest version of a key, or one by its number.

use std::collections::BTreeMap;

use palisade_plugin::{
    Answer, Call, Failure, Field, FieldType, FieldValue, Json, Path, Request, Response,
    Transaction, data, pattern, retry_conflicts, with_status,
};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::Kv;
use crate::config::Config;
use crate::fields::{PATH, VERSION, key_to_write, version_to_read};
use crate::merge;
use crate::record::{KeyRecord, VersionState, destroy_data, load_data, save_data};

const OPTIONS: Field<BTreeMap<String, Json>> = Field::map(
    "options",
    "Options of a write. With `cas` it is made only if that is the key's newest version; zero means\n\
     that there must be none yet.",
);
const DATA: Field<Json> = Field::object("data", "What to store, and what a read gives back.");

pub(crate) fn path() -> Path<Kv> {
    Path::new(format!("data/{}", pattern::rest("path")))
        .field(&PATH)
        .field(&VERSION)
        .field(&OPTIONS)
        .field(&DATA)
        .exists(exists)
        .read(read)
        .write(write)
        .patch(patch)
        .delete(delete)
        .help(
            "Write, Patch, Read, and Delete data in the Key-Value Store.",
            "A write makes a new version of the key. A patch makes one by changing part of the newest,\n\
             as a JSON merge patch. A read gives the newest version, or the one that `version` names.\n\
             A delete marks the newest version as deleted, which can be undone.",
        )
}

/// Whether the key is there at all, even with all its versions deleted.
pub(crate) async fn exists(_: &Kv, call: Call<'_>) -> Result<bool, Failure> {
    let key = call.value(&PATH)?;
    Ok(KeyRecord::load(call.storage(), &key).await?.is_some())
}

async fn read(_: &Kv, call: Call<'_>) -> Answer {
    let key = call.value(&PATH)?;
    match find(call, &key).await? {
        Found::Nothing => Ok(None),
        Found::Gone(shown) => {
            let body = json!({ "data": null, "metadata": shown });
            not_found(Some(body), call.request())
        }
        Found::Live(found, shown) => answer("data", &found, &shown),
    }
}

/// What a read found.
pub(crate) enum Found {
    /// No such key, or no such version.
    Nothing,
    /// The version is deleted or destroyed; what is known of it.
    Gone(Value),
    /// The version's data, and what is known of it.
    Live(Json, Value),
}

/// Reads the version that the call asks for.
///
/// The metadata and the data are two reads with no transaction around them. When the key changes in between, the
/// second shows it, and both are made again.
pub(crate) async fn find(call: Call<'_>, key: &str) -> Result<Found, Failure> {
    const ATTEMPTS_MAX: usize = 3;
    let wanted = version_to_read(call)?;
    for _ in 0..ATTEMPTS_MAX {
        let Some(record) = KeyRecord::load(call.storage(), key).await? else {
            return Ok(Found::Nothing);
        };
        let Some((number, version)) = record.version(wanted) else {
            return Ok(Found::Nothing);
        };
        let shown = record.shown(number, version);
        if !version.is_live(call.now()) {
            return Ok(Found::Gone(shown));
        }
        if let Some(data) = load_data(call.storage(), key, number, version).await? {
            return Ok(Found::Live(data, shown));
        }
    }
    Err(Failure::internal("could not find version data"))
}

/// An answer with two members, of which the first is text that is passed on unparsed.
pub(crate) fn answer(name: &str, found: &Json, metadata: &Value) -> Answer {
    let found: Box<RawValue> = found.parse()?;
    let metadata = serde_json::value::to_raw_value(metadata)?;
    data(&BTreeMap::from([(name, found), ("metadata", metadata)]))
}

/// A 404 with a body, as OpenBao tells of versions that are gone.
pub(crate) fn not_found(body: Option<Value>, request: &Request) -> Answer {
    let response = body.map(|body| Response::with_data(Json::from_text(body.to_string())));
    with_status(404, response, request)
}

async fn write(kv: &Kv, call: Call<'_>) -> Answer {
    let key = key_to_write(call)?;
    let data = data_to_write(call)?;
    let config = kv.config.get(call).await?;
    retry_conflicts(|| write_once(call, &config, &key, &data)).await
}

async fn write_once(call: Call<'_>, config: &Config, key: &str, data: &Json) -> Answer {
    let transaction = call.transaction().await?;
    let known = KeyRecord::load(transaction.as_ref(), key).await?;
    let record = known.unwrap_or_else(|| KeyRecord::new(call.now()));
    check_and_set(call, config, &record)?;
    add_version(call, transaction, config, key, record, data).await
}

fn data_to_write(call: Call<'_>) -> Result<Json, Failure> {
    let given = call.get(&DATA)?;
    given.ok_or_else(|| Failure::refused("no data provided"))
}

/// Refuses a write that expects another version to be the newest, or that has to say which and does not.
fn check_and_set(call: Call<'_>, config: &Config, record: &KeyRecord) -> Result<(), Failure> {
    let options = call.value(&OPTIONS)?;
    match options.get("cas") {
        Some(cas) if cas_version(cas)? == Some(record.current_version) => Ok(()),
        Some(_) => Err(Failure::refused(
            "check-and-set parameter did not match the current version",
        )),
        None if config.cas_required || record.cas_required => Err(Failure::refused(
            "check-and-set parameter required for this call",
        )),
        None => Ok(()),
    }
}

/// The version that a client names, or `None` when it is a negative number, which no version has.
fn cas_version(cas: &Json) -> Result<Option<u64>, Failure> {
    if cas.is_null() {
        return Ok(Some(0));
    }
    let number = i64::read(FieldType::Int, cas.as_str())
        .map_err(|_| Failure::refused("error parsing check-and-set parameter"))?;
    Ok(u64::try_from(number).ok())
}

/// Writes the data as the newest version, drops what is too old, commits, and tells what was made.
async fn add_version(
    call: Call<'_>,
    transaction: Box<dyn Transaction>,
    config: &Config,
    key: &str,
    mut record: KeyRecord,
    data: &Json,
) -> Answer {
    let now = call.now();
    let too_old = record.add_version(now, config);
    let number = record.current_version;
    save_data(transaction.as_ref(), key, number, now, data).await?;
    record.save(transaction.as_ref(), key).await?;
    for version in too_old {
        destroy_data(transaction.as_ref(), key, version).await?;
    }
    transaction.commit().await?;
    let made = record.version(Some(number));
    let (_, version) = made.ok_or_else(|| Failure::internal("the new version is missing"))?;
    palisade_plugin::data(&record.shown(number, version))
}

async fn patch(kv: &Kv, call: Call<'_>) -> Answer {
    let key = key_to_write(call)?;
    let change = data_to_write(call)?;
    let config = kv.config.get(call).await?;
    retry_conflicts(|| patch_once(call, &config, &key, &change)).await
}

async fn patch_once(call: Call<'_>, config: &Config, key: &str, change: &Json) -> Answer {
    let transaction = call.transaction().await?;
    let Some(record) = KeyRecord::load(transaction.as_ref(), key).await? else {
        return not_found(None, call.request());
    };
    check_and_set(call, config, &record)?;
    let Some((number, version)) = record.version(None) else {
        return not_found(None, call.request());
    };
    if !version.is_live(call.now()) {
        return not_found(Some(record.shown(number, version)), call.request());
    }
    let old = load_data(transaction.as_ref(), key, number, version).await?;
    let old = old.ok_or_else(|| Failure::internal("could not find version data"))?;
    let new = merge::patched(&old, change)?;
    add_version(call, transaction, config, key, record, &new).await
}

async fn delete(_: &Kv, call: Call<'_>) -> Answer {
    let key = call.value(&PATH)?;
    retry_conflicts(|| delete_once(call, &key)).await
}

async fn delete_once(call: Call<'_>, key: &str) -> Answer {
    let transaction = call.transaction().await?;
    let Some(mut record) = KeyRecord::load(transaction.as_ref(), key).await? else {
        return Ok(None);
    };
    let live = |version: &&mut VersionState| version.is_live(call.now());
    let newest = record.versions.get_mut(&record.current_version);
    let Some(version) = newest.filter(live) else {
        return Ok(None);
    };
    version.deleted = Some(call.now().into());
    record.save(transaction.as_ref(), key).await?;
    transaction.commit().await?;
    Ok(None)
}
