//! Errors of every kind.

use palisade_plugin::{Answer, Call, Field, Path, PluginError, PluginErrorKind};

use crate::memory::Memory;

/// What Go's RPC says of a connection that is shut down. OpenBao takes a plugin that says it for dead.
const SHUT_DOWN: &str = "connection is shut down";

const NUMBER: Field<i64> = Field::int(
    "err_type",
    "The number of the kind, as OpenBao's protocol has it.",
);

pub(crate) fn paths() -> Vec<Path<Memory>> {
    let text = "Fails with the text of a connection that is shut down.";
    vec![
        Path::new("errors/rpc").read(shut_down).help("Fails.", text),
        Path::new("errors/kill")
            .read(shut_down)
            .help("Fails.", text),
        Path::new("errors/type")
            .field(&NUMBER)
            .write(fail)
            .help("Fails.", "Fails with the kind of error that is asked for."),
    ]
}

async fn shut_down(_: &Memory, _: Call<'_>) -> Answer {
    Err(PluginError::unknown(SHUT_DOWN).into())
}

async fn fail(_: &Memory, call: Call<'_>) -> Answer {
    let Some(number) = call.get(&NUMBER)? else {
        return Err(PluginError::unknown(SHUT_DOWN).into());
    };
    match kind(number) {
        Some(kind) => Err(PluginError::new(kind, "test").into()),
        None => Ok(None),
    }
}

fn kind(number: i64) -> Option<PluginErrorKind> {
    Some(match number {
        0 => PluginErrorKind::Unknown,
        1 => PluginErrorKind::User,
        2 => PluginErrorKind::Internal,
        3 => PluginErrorKind::Coded(403),
        4 => PluginErrorKind::BadRequest,
        5 => PluginErrorKind::UnsupportedOperation,
        6 => PluginErrorKind::UnsupportedPath,
        7 => PluginErrorKind::InvalidRequest,
        8 => PluginErrorKind::PermissionDenied,
        9 => PluginErrorKind::MultiAuthorizationPending,
        _ => return None,
    })
}
