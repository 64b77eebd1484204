//! Answers with what was asked.

use palisade_plugin::{Answer, Call, Operation, Path, data};
use serde_json::json;
use serde_json::value::RawValue;

use crate::Hostile;

pub(crate) fn path() -> Path<Hostile> {
    Path::new("echo(?:/.*)?")
        .read(echo)
        .list(echo)
        .write(echo)
        .patch(echo)
        .delete(echo)
        .on(Operation::Scan, echo)
        .help(
            "Answers with the request.",
            "Gives back the operation, the path, the data and the mount as the plugin saw them.",
        )
}

async fn echo(_: &Hostile, call: Call<'_>) -> Answer {
    let request = call.request();
    let body: Box<RawValue> = match request.data.is_null() {
        true => RawValue::NULL.to_owned(),
        false => request.data.parse()?,
    };
    data(&json!({
        "id": request.id,
        "operation": request.operation.as_str(),
        "path": request.path,
        "data": body,
        "headers": request.headers,
        "client_token": request.client_token,
        "client_token_accessor": request.client_token_accessor,
        "display_name": request.display_name,
        "entity_id": request.entity_id,
        "unauthenticated": request.unauthenticated,
        "mount_point": request.mount_point,
        "mount_type": request.mount_type,
        "mount_accessor": request.mount_accessor,
    }))
}
