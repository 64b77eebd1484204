//! Transactions, step by step, and one that is bound to meet a newer write.

use std::time::Duration;

use palisade_plugin::{
    Answer, Call, Failure, Field, HostError, Json, Path, Storage, StorageEntry, TransactionMode,
    data, pattern,
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::Hostile;
use crate::store::{KEY, VALUE, text};

const MODE: Field<String> =
    Field::string("mode", "read-only or read-write.").default("\"read-write\"");
const STEPS: Field<Json> = Field::any(
    "steps",
    "A list of {op, key, value}; op is get, put, delete, list, or wait with milliseconds as value.",
);
const COMMIT: Field<bool> =
    Field::bool("commit", "Whether to commit or to roll back.").default("true");

const PAUSE: Field<i64> =
    Field::int("pause", "How long to wait after the end, in milliseconds.").default("0");

pub(crate) fn path() -> Path<Hostile> {
    Path::new("tx")
        .field(&MODE)
        .field(&STEPS)
        .field(&COMMIT)
        .field(&PAUSE)
        .write(run)
        .help(
            "One transaction.",
            "Runs the steps in one transaction and gives back what each said.",
        )
}

pub(crate) fn race_path() -> Path<Hostile> {
    Path::new(format!("tx-race/{}", pattern::rest("key")))
        .field(&KEY)
        .field(&VALUE)
        .write(race)
        .help(
            "A transaction that conflicts.",
            "Reads a key in a transaction, writes it outside of it, writes it inside, and commits.",
        )
}

#[derive(Deserialize)]
struct Step {
    op: Op,
    #[serde(default)]
    key: String,
    #[serde(default)]
    value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Op {
    Get,
    Put,
    Delete,
    List,
    Wait,
}

async fn run(_: &Hostile, call: Call<'_>) -> Answer {
    let mode = match call.value(&MODE)?.as_str() {
        "read-only" => TransactionMode::ReadOnly,
        "read-write" => TransactionMode::ReadWrite,
        _ => return Err(Failure::refused("mode is read-only or read-write")),
    };
    let steps: Vec<Step> = match call.get(&STEPS)? {
        Some(steps) => steps.parse()?,
        None => Vec::new(),
    };
    let transaction = call.storage().begin(mode).await?;
    let mut results = Vec::new();
    for step in steps {
        let outcome = match step.op {
            Op::Wait => wait(&call, step.value.parse().unwrap_or(0)).await,
            _ => take(transaction.as_ref(), step).await,
        };
        results.push(outcome.unwrap_or_else(|error| failed(&error)));
    }
    let commit = call.value(&COMMIT)?;
    let end = match commit {
        true => transaction.commit().await,
        false => transaction.rollback().await,
    };
    wait(&call, u64::try_from(call.value(&PAUSE)?).unwrap_or(0)).await?;
    data(&json!({
        "results": results,
        "committed": commit && end.is_ok(),
        "end_error": end.err().map(|error| failed(&error)),
    }))
}

async fn take(storage: &dyn Storage, step: Step) -> Result<Value, HostError> {
    match step.op {
        Op::Get => {
            let entry = storage.get(&step.key).await?;
            Ok(json!({ "value": entry.as_ref().map(text) }))
        }
        Op::Put => {
            storage.put(StorageEntry::new(step.key, step.value)).await?;
            Ok(json!({}))
        }
        Op::Delete => {
            storage.delete(&step.key).await?;
            Ok(json!({}))
        }
        Op::List => Ok(json!({ "keys": storage.list(&step.key).await? })),
        Op::Wait => Ok(json!({})),
    }
}

/// Passes the time with reads that are no part of the transaction.
async fn wait(call: &Call<'_>, milliseconds: u64) -> Result<Value, HostError> {
    let time = Duration::from_millis(milliseconds);
    let end = call.now().saturating_add(time);
    while call.now() < end {
        call.storage().get("wait").await?;
    }
    Ok(json!({}))
}

/// The error as the plugin sees it: its kind and its text.
fn failed(error: &HostError) -> Value {
    json!({ "error": error.message, "kind": format!("{:?}", error.kind) })
}

async fn race(_: &Hostile, call: Call<'_>) -> Answer {
    let (key, value) = (call.value(&KEY)?, call.value(&VALUE)?);
    let transaction = call.storage().begin(TransactionMode::ReadWrite).await?;
    transaction.get(&key).await?;
    call.storage()
        .put(StorageEntry::new(key.clone(), format!("{value} (outside)")))
        .await?;
    transaction.put(StorageEntry::new(key, value)).await?;
    transaction.commit().await?;
    Ok(None)
}
