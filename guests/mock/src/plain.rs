//! Answers that are always the same.

use palisade_plugin::{Answer, Call, Path, data};
use serde_json::json;

use crate::memory::Memory;

pub(crate) fn special_path() -> Path<Memory> {
    Path::new("special")
        .read(special)
        .help("Needs no token.", "Reads a constant.")
}

pub(crate) fn raw_path() -> Path<Memory> {
    Path::new("raw").read(raw).help(
        "An answer of its own.",
        "Answers with plain text, by the fields that the server takes for status, type and body.",
    )
}

async fn special(_: &Memory, _: Call<'_>) -> Answer {
    data(&json!({ "data": "foo" }))
}

async fn raw(_: &Memory, _: Call<'_>) -> Answer {
    data(&json!({
        "http_content_type": "text/plain",
        // `Response`, as bytes cross the wire.
        "http_raw_body": "UmVzcG9uc2U=",
        "http_status_code": 200,
    }))
}
