//! From the WIT package's records to the contract's.

use std::time::Duration;

use palisade_contract as contract;
use palisade_contract::{HostErrorKind, Json, Operation};

use super::bindings::exports::palisade::plugin::backend;
use super::bindings::palisade::plugin::{storage, system, types};

impl From<types::Timestamp> for contract::Timestamp {
    fn from(time: types::Timestamp) -> Self {
        Self {
            seconds: time.seconds,
            nanos: time.nanos,
        }
    }
}

impl From<storage::Entry> for contract::StorageEntry {
    fn from(entry: storage::Entry) -> Self {
        Self {
            key: entry.key,
            value: entry.value,
            seal_wrap: entry.seal_wrap,
        }
    }
}

impl From<types::HostError> for contract::HostError {
    fn from(error: types::HostError) -> Self {
        let kind = match error.kind {
            types::HostErrorKind::ReadOnly => HostErrorKind::ReadOnly,
            types::HostErrorKind::Denied => HostErrorKind::Denied,
            types::HostErrorKind::Conflict => HostErrorKind::Conflict,
            types::HostErrorKind::TooLarge => HostErrorKind::TooLarge,
            types::HostErrorKind::Quota => HostErrorKind::Quota,
            types::HostErrorKind::Sealed => HostErrorKind::Sealed,
            types::HostErrorKind::Other => HostErrorKind::Other,
        };
        Self {
            kind,
            message: error.message,
        }
    }
}

impl From<system::Environment> for contract::PluginEnvironment {
    fn from(environment: system::Environment) -> Self {
        Self {
            version: environment.version,
            prerelease: environment.prerelease,
            metadata: environment.metadata,
        }
    }
}

impl From<system::Entity> for contract::Entity {
    fn from(entity: system::Entity) -> Self {
        Self {
            id: entity.id,
            name: entity.name,
            aliases: entity.aliases.into_iter().map(Into::into).collect(),
            metadata: entity.metadata.into_iter().collect(),
            disabled: entity.disabled,
            namespace_id: entity.namespace_id,
        }
    }
}

impl From<system::Group> for contract::Group {
    fn from(group: system::Group) -> Self {
        Self {
            id: group.id,
            name: group.name,
            metadata: group.metadata.into_iter().collect(),
            namespace_id: group.namespace_id,
        }
    }
}

impl From<types::ResponseWrapInfo> for contract::ResponseWrapInfo {
    fn from(info: types::ResponseWrapInfo) -> Self {
        Self {
            ttl: Duration::from_nanos(info.ttl),
            token: info.token,
            accessor: info.accessor,
            creation_time: info.creation_time.map(Into::into),
            wrapped_accessor: info.wrapped_accessor,
            wrapped_entity_id: info.wrapped_entity_id,
            format: info.format,
            creation_path: info.creation_path,
            seal_wrap: info.seal_wrap,
        }
    }
}

impl From<backend::SetupConfig> for contract::SetupConfig {
    fn from(config: backend::SetupConfig) -> Self {
        Self {
            options: config.options.into_iter().collect(),
            backend_uuid: config.backend_uuid,
        }
    }
}

impl From<types::Request> for contract::Request {
    fn from(request: types::Request) -> Self {
        let headers = request.headers.into_iter();
        Self {
            id: request.id,
            operation: request.operation.into(),
            path: request.path,
            data: Json::from_text(request.data),
            secret: request.secret.map(|it| Box::new(it.into())),
            auth: request.auth.map(|it| Box::new(it.into())),
            headers: headers.map(|header| (header.name, header.values)).collect(),
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
        }
    }
}

impl From<types::Operation> for Operation {
    fn from(operation: types::Operation) -> Self {
        match operation {
            types::Operation::AliasLookahead => Self::AliasLookahead,
            types::Operation::Create => Self::Create,
            types::Operation::Delete => Self::Delete,
            types::Operation::Header => Self::Header,
            types::Operation::Help => Self::Help,
            types::Operation::List => Self::List,
            types::Operation::Patch => Self::Patch,
            types::Operation::Read => Self::Read,
            types::Operation::Renew => Self::Renew,
            types::Operation::ResolveRole => Self::ResolveRole,
            types::Operation::Revoke => Self::Revoke,
            types::Operation::Rollback => Self::Rollback,
            types::Operation::Scan => Self::Scan,
            types::Operation::Update => Self::Update,
        }
    }
}

impl From<types::RequestWrapInfo> for contract::RequestWrapInfo {
    fn from(info: types::RequestWrapInfo) -> Self {
        Self {
            ttl: Duration::from_nanos(info.ttl),
            format: info.format,
            seal_wrap: info.seal_wrap,
        }
    }
}

impl From<types::Connection> for contract::Connection {
    fn from(connection: types::Connection) -> Self {
        Self {
            remote_addr: connection.remote_addr,
            remote_port: connection.remote_port,
            tls: connection.tls.map(Into::into),
            proxied_certificates: connection.proxied_certificates,
        }
    }
}

impl From<types::TlsConnectionState> for contract::TlsConnectionState {
    fn from(state: types::TlsConnectionState) -> Self {
        Self {
            version: state.version,
            cipher_suite: state.cipher_suite,
            negotiated_protocol: state.negotiated_protocol,
            server_name: state.server_name,
            peer_certificates: state.peer_certificates,
            verified_chains: state.verified_chains,
        }
    }
}

impl From<types::LeaseOptions> for contract::LeaseOptions {
    fn from(lease: types::LeaseOptions) -> Self {
        Self {
            ttl: Duration::from_nanos(lease.ttl),
            renewable: lease.renewable,
            increment: Duration::from_nanos(lease.increment),
            issue_time: lease.issue_time.map(Into::into),
            max_ttl: Duration::from_nanos(lease.max_ttl),
        }
    }
}

impl From<types::Secret> for contract::Secret {
    fn from(secret: types::Secret) -> Self {
        Self {
            lease: secret.lease.into(),
            internal_data: Json::from_text(secret.internal_data),
            lease_id: secret.lease_id,
        }
    }
}

impl From<types::Auth> for contract::Auth {
    fn from(auth: types::Auth) -> Self {
        Self {
            lease: auth.lease.into(),
            internal_data: Json::from_text(auth.internal_data),
            display_name: auth.display_name,
            policies: auth.policies,
            metadata: auth.metadata.into_iter().collect(),
            client_token: auth.client_token,
            accessor: auth.accessor,
            period: Duration::from_nanos(auth.period),
            num_uses: auth.num_uses,
            entity_id: auth.entity_id,
            alias: auth.alias.map(Into::into),
            group_aliases: auth.group_aliases.into_iter().map(Into::into).collect(),
            bound_cidrs: auth.bound_cidrs,
            token_policies: auth.token_policies,
            identity_policies: auth.identity_policies,
            explicit_max_ttl: Duration::from_nanos(auth.explicit_max_ttl),
            token_type: auth.token_type.into(),
            no_default_policy: auth.no_default_policy,
        }
    }
}

impl From<types::Alias> for contract::Alias {
    fn from(alias: types::Alias) -> Self {
        Self {
            mount_type: alias.mount_type,
            mount_accessor: alias.mount_accessor,
            name: alias.name,
            metadata: alias.metadata.into_iter().collect(),
            id: alias.id,
            namespace_id: alias.namespace_id,
            custom_metadata: alias.custom_metadata.into_iter().collect(),
            local: alias.local,
        }
    }
}

impl From<types::TokenType> for contract::TokenType {
    fn from(kind: types::TokenType) -> Self {
        match kind {
            types::TokenType::Default => Self::Default,
            types::TokenType::Service => Self::Service,
            types::TokenType::Batch => Self::Batch,
            types::TokenType::DefaultService => Self::DefaultService,
            types::TokenType::DefaultBatch => Self::DefaultBatch,
        }
    }
}
