//! Every kind of error that a plugin can return.

use palisade_plugin::{
    Answer, Call, Failure, Field, Operation, Path, PluginError, PluginErrorKind, pattern,
};

use crate::Hostile;

const KIND: Field<String> = Field::string("kind", "The kind of error, such as invalid-request.");
const MESSAGE: Field<String> =
    Field::string("message", "The error's text.").default("\"failed on purpose\"");
const CODE: Field<i64> = Field::int("code", "The HTTP status of a coded error.").default("418");

pub(crate) fn path() -> Path<Hostile> {
    Path::new(format!("fail/{}", pattern::name("kind")))
        .field(&KIND)
        .field(&MESSAGE)
        .field(&CODE)
        .read(fail)
        .list(fail)
        .write(fail)
        .patch(fail)
        .delete(fail)
        .on(Operation::Scan, fail)
        .help(
            "Fails.",
            "Returns an error of that kind with that text; `response` is an error response.",
        )
}

async fn fail(_: &Hostile, call: Call<'_>) -> Answer {
    let message = call.value(&MESSAGE)?;
    let code = u16::try_from(call.value(&CODE)?).unwrap_or(0);
    match kind(&call.value(&KIND)?, code) {
        Some(kind) => Err(PluginError::new(kind, message).into()),
        // The way that most refusals take: an answer whose only field is `error`.
        None => Err(Failure::refused(message)),
    }
}

fn kind(word: &str, code: u16) -> Option<PluginErrorKind> {
    Some(match word {
        "unknown" => PluginErrorKind::Unknown,
        "user" => PluginErrorKind::User,
        "internal" => PluginErrorKind::Internal,
        "coded" => PluginErrorKind::Coded(code),
        "bad-request" => PluginErrorKind::BadRequest,
        "unsupported-operation" => PluginErrorKind::UnsupportedOperation,
        "unsupported-path" => PluginErrorKind::UnsupportedPath,
        "invalid-request" => PluginErrorKind::InvalidRequest,
        "permission-denied" => PluginErrorKind::PermissionDenied,
        "multi-authorization-pending" => PluginErrorKind::MultiAuthorizationPending,
        "unrecoverable" => PluginErrorKind::Unrecoverable,
        _ => return None,
    })
}
