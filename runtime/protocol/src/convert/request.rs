//! Requests, and what goes with them.

use palisade_contract::{Existence, PluginError, Request, RequestWrapInfo, SetupConfig};

use super::lease::{duration_from_nanos, duration_to_nanos};
use super::{ConvertError, headers_from_wire, headers_to_wire, json_from_wire, json_to_wire};
use crate::pb;

impl From<Request> for pb::Request {
    fn from(request: Request) -> Self {
        Self {
            id: request.id,
            replication_cluster: String::new(),
            operation: request.operation.as_str().to_owned(),
            path: request.path,
            data: json_to_wire(request.data),
            secret: request.secret.map(|it| (*it).into()),
            auth: request.auth.map(|it| (*it).into()),
            headers: headers_to_wire(request.headers),
            client_token: request.client_token,
            client_token_accessor: request.client_token_accessor,
            display_name: request.display_name,
            mount_point: request.mount_point,
            mount_type: request.mount_type,
            mount_accessor: request.mount_accessor,
            wrap_info: request.wrap_info.map(|it| (*it).into()),
            client_token_remaining_uses: request.client_token_remaining_uses,
            entity_id: request.entity_id,
            policy_override: request.policy_override,
            unauthenticated: request.unauthenticated,
            connection: request.connection.map(|it| (*it).into()),
            requires_snapshot_id: String::new(),
        }
    }
}

impl TryFrom<pb::Request> for Request {
    type Error = ConvertError;

    fn try_from(request: pb::Request) -> Result<Self, ConvertError> {
        Ok(Self {
            id: request.id,
            operation: request.operation.parse()?,
            path: request.path,
            data: json_from_wire(request.data, "request.data")?,
            secret: request
                .secret
                .map(TryInto::try_into)
                .transpose()?
                .map(Box::new),
            auth: request.auth.map(|it| Box::new(it.into())),
            headers: headers_from_wire(request.headers),
            client_token: request.client_token,
            client_token_accessor: request.client_token_accessor,
            display_name: request.display_name,
            mount_point: request.mount_point,
            mount_type: request.mount_type,
            mount_accessor: request.mount_accessor,
            wrap_info: request.wrap_info.map(|it| Box::new(it.into())),
            client_token_remaining_uses: request.client_token_remaining_uses,
            entity_id: request.entity_id,
            policy_override: request.policy_override,
            unauthenticated: request.unauthenticated,
            connection: request.connection.map(|it| Box::new(it.into())),
        })
    }
}

impl From<Request> for pb::HandleRequestArgs {
    fn from(request: Request) -> Self {
        Self {
            storage_id: 0,
            request: Some(Box::new(request.into())),
        }
    }
}

impl TryFrom<pb::HandleRequestArgs> for Request {
    type Error = ConvertError;

    fn try_from(args: pb::HandleRequestArgs) -> Result<Self, ConvertError> {
        let request = args.request.ok_or(ConvertError::Missing("request"))?;
        (*request).try_into()
    }
}

impl From<Request> for pb::HandleExistenceCheckArgs {
    fn from(request: Request) -> Self {
        Self {
            storage_id: 0,
            request: Some(Box::new(request.into())),
        }
    }
}

impl TryFrom<pb::HandleExistenceCheckArgs> for Request {
    type Error = ConvertError;

    fn try_from(args: pb::HandleExistenceCheckArgs) -> Result<Self, ConvertError> {
        let request = args.request.ok_or(ConvertError::Missing("request"))?;
        (*request).try_into()
    }
}

impl From<RequestWrapInfo> for pb::RequestWrapInfo {
    fn from(wrap: RequestWrapInfo) -> Self {
        Self {
            ttl: duration_to_nanos(wrap.ttl),
            format: wrap.format,
            seal_wrap: wrap.seal_wrap,
        }
    }
}

impl From<pb::RequestWrapInfo> for RequestWrapInfo {
    fn from(wrap: pb::RequestWrapInfo) -> Self {
        Self {
            ttl: duration_from_nanos(wrap.ttl),
            format: wrap.format,
            seal_wrap: wrap.seal_wrap,
        }
    }
}

/// The plugin's answer to an existence check.
pub fn existence_to_reply(result: Result<Existence, PluginError>) -> pb::HandleExistenceCheckReply {
    let (check_found, exists) = match result {
        Ok(Existence::Unchecked) | Err(_) => (false, false),
        Ok(Existence::Absent) => (true, false),
        Ok(Existence::Present) => (true, true),
    };
    pb::HandleExistenceCheckReply {
        check_found,
        exists,
        err: result.err().map(Into::into),
    }
}

/// What a plugin answered to an existence check.
///
/// # Errors
///
/// What the plugin returned.
pub fn existence_from_reply(
    reply: pb::HandleExistenceCheckReply,
) -> Result<Existence, PluginError> {
    super::plugin_error(reply.err)?;
    Ok(match (reply.check_found, reply.exists) {
        (false, _) => Existence::Unchecked,
        (true, false) => Existence::Absent,
        (true, true) => Existence::Present,
    })
}

impl pb::SetupArgs {
    /// What a mount tells its backend, and the brokered connection on which the host serves it.
    pub fn new(config: SetupConfig, broker_id: u32) -> Self {
        Self {
            broker_id,
            config: config.options,
            backend_uuid: config.backend_uuid,
        }
    }
}

impl From<pb::SetupArgs> for SetupConfig {
    fn from(args: pb::SetupArgs) -> Self {
        Self {
            options: args.config,
            backend_uuid: args.backend_uuid,
        }
    }
}
