//! A plugin's answers, and where wrapped ones are picked up.

use palisade_contract::{PluginError, PluginErrorKind, Response, ResponseWrapInfo};

use super::lease::{
    duration_from_nanos, duration_to_nanos, timestamp_from_wire, timestamp_to_wire,
};
use super::{ConvertError, headers_from_wire, headers_to_wire, json_from_wire, json_to_wire};
use crate::pb;

impl From<Response> for pb::Response {
    fn from(response: Response) -> Self {
        Self {
            secret: response.secret.map(|it| (*it).into()),
            auth: response.auth.map(|it| (*it).into()),
            data: json_to_wire(response.data),
            redirect: response.redirect,
            warnings: response.warnings,
            wrap_info: response.wrap_info.map(|it| (*it).into()),
            headers: headers_to_wire(response.headers),
            mount_type: String::new(),
        }
    }
}

impl TryFrom<pb::Response> for Response {
    type Error = ConvertError;

    fn try_from(response: pb::Response) -> Result<Self, ConvertError> {
        Ok(Self {
            secret: response
                .secret
                .map(TryInto::try_into)
                .transpose()?
                .map(Box::new),
            auth: response.auth.map(|it| Box::new(it.into())),
            data: json_from_wire(response.data, "response.data")?,
            redirect: response.redirect,
            warnings: response.warnings,
            wrap_info: response.wrap_info.map(|it| Box::new(it.into())),
            headers: headers_from_wire(response.headers),
        })
    }
}

impl From<ResponseWrapInfo> for pb::ResponseWrapInfo {
    fn from(wrap: ResponseWrapInfo) -> Self {
        let made = wrap
            .creation_time
            .unwrap_or(palisade_contract::Timestamp::GO_ZERO);
        Self {
            ttl: duration_to_nanos(wrap.ttl),
            token: wrap.token,
            accessor: wrap.accessor,
            creation_time: Some(timestamp_to_wire(made)),
            wrapped_accessor: wrap.wrapped_accessor,
            wrapped_entity_id: wrap.wrapped_entity_id,
            format: wrap.format,
            creation_path: wrap.creation_path,
            seal_wrap: wrap.seal_wrap,
        }
    }
}

impl From<pb::ResponseWrapInfo> for ResponseWrapInfo {
    fn from(wrap: pb::ResponseWrapInfo) -> Self {
        Self {
            ttl: duration_from_nanos(wrap.ttl),
            token: wrap.token,
            accessor: wrap.accessor,
            creation_time: timestamp_from_wire(wrap.creation_time),
            wrapped_accessor: wrap.wrapped_accessor,
            wrapped_entity_id: wrap.wrapped_entity_id,
            format: wrap.format,
            creation_path: wrap.creation_path,
            seal_wrap: wrap.seal_wrap,
        }
    }
}

/// The plugin's answer to a request.
pub fn response_to_reply(result: Result<Option<Response>, PluginError>) -> pb::HandleRequestReply {
    match result {
        Ok(response) => pb::HandleRequestReply {
            response: response.map(|response| Box::new(response.into())),
            err: None,
        },
        Err(error) => pb::HandleRequestReply {
            response: None,
            err: Some(error.into()),
        },
    }
}

/// What a plugin answered. As in Go's hosts, a response that cannot be read wins over an error beside it; of a readable
/// response beside an error only the text is kept, if it has one: plugins answer so to say in their own words why a request
/// is invalid, and Go's servers tell clients those words.
///
/// # Errors
///
/// The outer one when the response has no meaning, the inner one when it is the plugin's own.
pub fn response_from_reply(
    reply: pb::HandleRequestReply,
) -> Result<Result<Option<Response>, PluginError>, ConvertError> {
    let response = reply
        .response
        .map(|response| (*response).try_into())
        .transpose()?;
    let answer = super::plugin_error(reply.err);
    Ok(match (answer, response) {
        (Err(error), Some(response)) => Err(in_the_words_of(&response, error)),
        (answer, response) => answer.map(|()| response),
    })
}

/// The error with the text of the response beside it. With such a text even an error of no kind is the request's fault.
fn in_the_words_of(response: &Response, error: PluginError) -> PluginError {
    let Some(message) = response.error_text() else {
        return error;
    };
    let kind = match error.kind {
        PluginErrorKind::Unknown => PluginErrorKind::BadRequest,
        kind => kind,
    };
    PluginError { kind, message }
}
