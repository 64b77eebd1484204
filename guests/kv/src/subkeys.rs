//! `subkeys/…`: the names inside a secret, without the values.

use palisade_plugin::{Answer, Call, Field, Json, Path, pattern};
use serde_json::{Map, Value, json};

use crate::Kv;
use crate::data::{Found, answer, find, not_found};
use crate::fields::{PATH, VERSION};

const DEPTH: Field<i64> = Field::int(
    "depth",
    "How deep to look; what lies deeper shows as null. Zero or nothing means all the way.",
);

pub(crate) fn path() -> Path<Kv> {
    Path::new(format!("subkeys/{}", pattern::rest("path")))
        .field(&PATH)
        .field(&VERSION)
        .field(&DEPTH)
        .read(read)
        .help(
            "Read the structure of a secret entry from the Key-Value store with the values removed.",
            "Every value that is not an object with members shows as null, so that a policy can let\n\
             people see what is there and not what it says.",
        )
}

async fn read(_: &Kv, call: Call<'_>) -> Answer {
    let (key, depth) = (call.value(&PATH)?, call.value(&DEPTH)?);
    match find(call, &key).await? {
        Found::Nothing => Ok(None),
        Found::Gone(shown) => {
            let body = json!({ "subkeys": null, "metadata": shown });
            not_found(Some(body), call.request())
        }
        Found::Live(found, shown) => {
            let mut members: Map<String, Value> = found.parse()?;
            remove_values(&mut members, 1, depth);
            answer("subkeys", &Json::of(&members)?, &shown)
        }
    }
}

/// Replaces everything but objects with members, and those too below the depth. The depth of what a client can send
/// is bounded by the JSON parser, at 128.
fn remove_values(members: &mut Map<String, Value>, depth: i64, depth_max: i64) {
    for value in members.values_mut() {
        match value {
            Value::Object(inner) if !inner.is_empty() && (depth_max == 0 || depth < depth_max) => {
                remove_values(inner, depth + 1, depth_max);
            }
            other => *other = Value::Null,
        }
    }
}
