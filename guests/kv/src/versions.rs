//! `delete/…`, `undelete/…` and `destroy/…`: what happens to versions by their numbers.

use palisade_plugin::{Answer, Call, Failure, Field, Path, pattern, retry_conflicts};

use crate::Kv;
use crate::config::Config;
use crate::fields::PATH;
use crate::record::{KeyRecord, destroy_data};

const VERSIONS: Field<Vec<i64>> = Field::comma_ints("versions", "The numbers of the versions.");

pub(crate) fn delete_path() -> Path<Kv> {
    path_of("delete").write(delete).help(
        "Marks one or more versions as deleted in the KV store.",
        "The data of these versions stays in storage, and is not read any more until it is restored.",
    )
}

pub(crate) fn undelete_path() -> Path<Kv> {
    path_of("undelete").write(undelete).help(
        "Undeletes one or more versions from the KV store.",
        "The data of these versions can be read again.",
    )
}

pub(crate) fn destroy_path() -> Path<Kv> {
    path_of("destroy").write(destroy).help(
        "Permanently removes one or more versions in the KV store",
        "The data of these versions is removed from storage, for good.",
    )
}

fn path_of(verb: &str) -> Path<Kv> {
    Path::new(format!("{verb}/{}", pattern::rest("path")))
        .field(&PATH)
        .field(&VERSIONS)
}

/// The numbers to act on. Those that no version can have are dropped, as those that no version has.
fn numbers(call: Call<'_>, missing: &str) -> Result<Vec<u64>, Failure> {
    match call.value(&VERSIONS)? {
        given if given.is_empty() => Err(Failure::refused(missing)),
        given => Ok(given
            .into_iter()
            .filter_map(|number| u64::try_from(number).ok())
            .collect()),
    }
}

async fn delete(_: &Kv, call: Call<'_>) -> Answer {
    let (key, numbers) = (
        call.value(&PATH)?,
        numbers(call, "No version number provided")?,
    );
    retry_conflicts(|| delete_once(call, &key, &numbers)).await
}

async fn delete_once(call: Call<'_>, key: &str, numbers: &[u64]) -> Answer {
    let transaction = call.transaction().await?;
    let Some(mut record) = KeyRecord::load(transaction.as_ref(), key).await? else {
        return Ok(None);
    };
    for number in numbers {
        match record.versions.get_mut(number) {
            Some(version) if version.is_live(call.now()) => {
                version.deleted = Some(call.now().into());
            }
            _ => {}
        }
    }
    record.save(transaction.as_ref(), key).await?;
    transaction.commit().await?;
    Ok(None)
}

async fn undelete(kv: &Kv, call: Call<'_>) -> Answer {
    let (key, numbers) = (
        call.value(&PATH)?,
        numbers(call, "No version number provided")?,
    );
    let config = kv.config.get(call).await?;
    retry_conflicts(|| undelete_once(call, &config, &key, &numbers)).await
}

async fn undelete_once(call: Call<'_>, config: &Config, key: &str, numbers: &[u64]) -> Answer {
    let transaction = call.transaction().await?;
    let Some(mut record) = KeyRecord::load(transaction.as_ref(), key).await? else {
        return Ok(None);
    };
    // A version that comes back is as good as new: its age counts from now.
    let deletion = record.deletion_of_new(call.now(), config);
    for number in numbers {
        match record.versions.get_mut(number) {
            Some(version) if !version.destroyed => version.deleted = deletion,
            _ => {}
        }
    }
    record.save(transaction.as_ref(), key).await?;
    transaction.commit().await?;
    Ok(None)
}

async fn destroy(_: &Kv, call: Call<'_>) -> Answer {
    let (key, numbers) = (
        call.value(&PATH)?,
        numbers(call, "no version number provided")?,
    );
    retry_conflicts(|| destroy_once(call, &key, &numbers)).await
}

async fn destroy_once(call: Call<'_>, key: &str, numbers: &[u64]) -> Answer {
    let transaction = call.transaction().await?;
    let Some(mut record) = KeyRecord::load(transaction.as_ref(), key).await? else {
        return Ok(None);
    };
    for number in numbers {
        if let Some(version) = record.versions.get_mut(number) {
            version.destroyed = true;
        }
    }
    record.save(transaction.as_ref(), key).await?;
    for number in numbers {
        destroy_data(transaction.as_ref(), key, *number).await?;
    }
    transaction.commit().await?;
    Ok(None)
}
