//! `users/…`: who can log in, with what, and as what.

use std::time::Duration;

use palisade_plugin::{
    Answer, Call, Failure, Field, Path, Storage, StorageEntry, data, keys, pattern, retry_conflicts,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::Passcode;
use crate::code::HashedCode;

pub(crate) const NAME: Field<String> = Field::lower_case_string("name", "The user's name.");
pub(crate) const CODE: Field<String> = Field::string("code", "The passcode.");
const POLICIES: Field<Vec<String>> = Field::comma_strings(
    "policies",
    "The policies of a login, with commas in between.",
);
const TTL: Field<Duration> = Field::duration(
    "ttl",
    "How long a login lasts. Zero or nothing leaves it to the mount.",
);

/// A user as stored at `users/NAME`.
#[derive(Serialize, Deserialize)]
pub(crate) struct User {
    pub(crate) code: HashedCode,
    pub(crate) policies: Vec<String>,
    ttl_seconds: u64,
}

impl User {
    pub(crate) fn ttl(&self) -> Duration {
        Duration::from_secs(self.ttl_seconds)
    }

    pub(crate) async fn load(storage: &dyn Storage, name: &str) -> Result<Option<Self>, Failure> {
        let entry = storage.get(&storage_key(name)).await?;
        let user = entry.map(|entry| serde_json::from_slice(&entry.value));
        user.transpose()
            .map_err(|_| Failure::internal("what is stored of the user is damaged"))
    }

    async fn save(&self, storage: &dyn Storage, name: &str) -> Result<(), Failure> {
        let entry = StorageEntry::new(storage_key(name), serde_json::to_vec(self)?);
        Ok(storage.put(entry).await?)
    }
}

fn storage_key(name: &str) -> String {
    format!("users/{name}")
}

pub(crate) fn list_path() -> Path<Passcode> {
    Path::new("users/?")
        .list(list)
        .help("Lists the users.", "Gives the names of all users.")
}

pub(crate) fn path() -> Path<Passcode> {
    Path::new(format!("users/{}", pattern::name_with_at("name")))
        .field(&NAME)
        .field(&CODE)
        .field(&POLICIES)
        .field(&TTL)
        .exists(exists)
        .read(read)
        .write(write)
        .delete(delete)
        .help(
            "One user.",
            "Writes, reads and removes a user. What a write does not name stays as it is; a new user needs\n\
             a code. The code is never given back.",
        )
}

async fn list(_: &Passcode, call: Call<'_>) -> Answer {
    keys(&call.storage().list("users/").await?)
}

async fn exists(_: &Passcode, call: Call<'_>) -> Result<bool, Failure> {
    let name = call.value(&NAME)?;
    Ok(User::load(call.storage(), &name).await?.is_some())
}

async fn read(_: &Passcode, call: Call<'_>) -> Answer {
    let name = call.value(&NAME)?;
    match User::load(call.storage(), &name).await? {
        Some(user) => data(&json!({ "policies": user.policies, "ttl": user.ttl_seconds })),
        None => Ok(None),
    }
}

async fn write(_: &Passcode, call: Call<'_>) -> Answer {
    retry_conflicts(|| write_once(call)).await
}

async fn write_once(call: Call<'_>) -> Answer {
    let name = call.value(&NAME)?;
    let transaction = call.transaction().await?;
    let known = User::load(transaction.as_ref(), &name).await?;
    let user = changed(call, known)?;
    user.save(transaction.as_ref(), &name).await?;
    transaction.commit().await?;
    Ok(None)
}

/// The user with what the request names changed.
fn changed(call: Call<'_>, known: Option<User>) -> Result<User, Failure> {
    let given = call.get(&CODE)?.filter(|code| !code.is_empty());
    let code = match (given, &known) {
        (Some(code), _) => HashedCode::of(&code, call.host()),
        (None, Some(user)) => user.code.clone(),
        (None, None) => return Err(Failure::refused("a new user needs a code")),
    };
    let (policies, ttl_seconds) = match known {
        Some(user) => (user.policies, user.ttl_seconds),
        None => (Vec::new(), 0),
    };
    Ok(User {
        code,
        policies: call.get(&POLICIES)?.unwrap_or(policies),
        ttl_seconds: call.get(&TTL)?.map_or(ttl_seconds, |ttl| ttl.as_secs()),
    })
}

async fn delete(_: &Passcode, call: Call<'_>) -> Answer {
    let name = call.value(&NAME)?;
    call.storage().delete(&storage_key(&name)).await?;
    Ok(None)
}
