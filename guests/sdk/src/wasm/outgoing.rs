//! From the contract's records to the WIT package's.

use std::collections::BTreeMap;
use std::time::Duration;

use palisade_contract as contract;
use palisade_contract::{Json, LogLevel, PluginErrorKind, PluginType};

use super::bindings::exports::palisade::plugin::backend;
use super::bindings::palisade::plugin::{log, storage, types};

/// JSON text for the wire, where "no data" is `null` and never empty.
pub(super) fn json(json: Json) -> String {
    match json.is_null() {
        true => "null".to_owned(),
        false => json.into_string(),
    }
}

/// Nanoseconds; about 584 years is the most that the wire can say.
pub(super) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn pairs(map: BTreeMap<String, String>) -> Vec<(String, String)> {
    map.into_iter().collect()
}

impl From<LogLevel> for log::Level {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Trace => Self::Trace,
            LogLevel::Debug => Self::Debug,
            LogLevel::Info => Self::Info,
            LogLevel::Warn => Self::Warn,
            LogLevel::Error => Self::Error,
        }
    }
}

impl From<contract::StorageEntry> for storage::Entry {
    fn from(entry: contract::StorageEntry) -> Self {
        Self {
            key: entry.key,
            value: entry.value,
            seal_wrap: entry.seal_wrap,
        }
    }
}

impl From<contract::Timestamp> for types::Timestamp {
    fn from(time: contract::Timestamp) -> Self {
        Self {
            seconds: time.seconds,
            nanos: time.nanos,
        }
    }
}

impl From<contract::Description> for backend::Description {
    fn from(description: contract::Description) -> Self {
        let paths = description.special_paths;
        Self {
            plugin_type: match description.plugin_type {
                PluginType::Auth => backend::PluginType::Auth,
                PluginType::Secret => backend::PluginType::Secret,
                PluginType::Database => {
                    unreachable!("`plugin!` takes no other type than secret and auth")
                }
            },
            version: description.version,
            contract_version: description.contract_version,
            special_paths: backend::SpecialPaths {
                root: paths.root,
                unauthenticated: paths.unauthenticated,
                local_storage: paths.local_storage,
                seal_wrap_storage: paths.seal_wrap_storage,
                write_forwarded_storage: paths.write_forwarded_storage,
                safe_reads: paths.safe_reads,
            },
        }
    }
}

impl From<contract::Existence> for backend::Existence {
    fn from(existence: contract::Existence) -> Self {
        match existence {
            contract::Existence::Unchecked => Self::Unchecked,
            contract::Existence::Absent => Self::Absent,
            contract::Existence::Present => Self::Present,
        }
    }
}

impl From<contract::PluginError> for types::PluginError {
    fn from(error: contract::PluginError) -> Self {
        Self {
            kind: error.kind.into(),
            message: error.message,
        }
    }
}

impl From<PluginErrorKind> for types::PluginErrorKind {
    fn from(kind: PluginErrorKind) -> Self {
        match kind {
            PluginErrorKind::Unknown => Self::Unknown,
            PluginErrorKind::User => Self::User,
            PluginErrorKind::Internal => Self::Internal,
            PluginErrorKind::Coded(code) => Self::Coded(code),
            PluginErrorKind::BadRequest => Self::BadRequest,
            PluginErrorKind::UnsupportedOperation => Self::UnsupportedOperation,
            PluginErrorKind::UnsupportedPath => Self::UnsupportedPath,
            PluginErrorKind::InvalidRequest => Self::InvalidRequest,
            PluginErrorKind::PermissionDenied => Self::PermissionDenied,
            PluginErrorKind::MultiAuthorizationPending => Self::MultiAuthorizationPending,
            PluginErrorKind::Unrecoverable => Self::Unrecoverable,
        }
    }
}

impl From<contract::Response> for types::Response {
    fn from(response: contract::Response) -> Self {
        let headers = response.headers.into_iter();
        Self {
            secret: response.secret.map(|it| (*it).into()),
            auth: response.auth.map(|it| (*it).into()),
            data: json(response.data),
            redirect: response.redirect,
            warnings: response.warnings,
            wrap_info: response.wrap_info.map(|it| (*it).into()),
            headers: headers
                .map(|(name, values)| types::Header { name, values })
                .collect(),
        }
    }
}

impl From<contract::ResponseWrapInfo> for types::ResponseWrapInfo {
    fn from(info: contract::ResponseWrapInfo) -> Self {
        Self {
            ttl: nanoseconds(info.ttl),
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

impl From<contract::LeaseOptions> for types::LeaseOptions {
    fn from(lease: contract::LeaseOptions) -> Self {
        Self {
            ttl: nanoseconds(lease.ttl),
            renewable: lease.renewable,
            increment: nanoseconds(lease.increment),
            issue_time: lease.issue_time.map(Into::into),
            max_ttl: nanoseconds(lease.max_ttl),
        }
    }
}

impl From<contract::Secret> for types::Secret {
    fn from(secret: contract::Secret) -> Self {
        Self {
            lease: secret.lease.into(),
            internal_data: json(secret.internal_data),
            lease_id: secret.lease_id,
        }
    }
}

impl From<contract::Auth> for types::Auth {
    fn from(auth: contract::Auth) -> Self {
        Self {
            lease: auth.lease.into(),
            internal_data: json(auth.internal_data),
            display_name: auth.display_name,
            policies: auth.policies,
            metadata: pairs(auth.metadata),
            client_token: auth.client_token,
            accessor: auth.accessor,
            period: nanoseconds(auth.period),
            num_uses: auth.num_uses,
            entity_id: auth.entity_id,
            alias: auth.alias.map(Into::into),
            group_aliases: auth.group_aliases.into_iter().map(Into::into).collect(),
            bound_cidrs: auth.bound_cidrs,
            token_policies: auth.token_policies,
            identity_policies: auth.identity_policies,
            explicit_max_ttl: nanoseconds(auth.explicit_max_ttl),
            token_type: auth.token_type.into(),
            no_default_policy: auth.no_default_policy,
        }
    }
}

impl From<contract::Alias> for types::Alias {
    fn from(alias: contract::Alias) -> Self {
        Self {
            mount_type: alias.mount_type,
            mount_accessor: alias.mount_accessor,
            name: alias.name,
            metadata: pairs(alias.metadata),
            id: alias.id,
            namespace_id: alias.namespace_id,
            custom_metadata: pairs(alias.custom_metadata),
            local: alias.local,
        }
    }
}

impl From<contract::TokenType> for types::TokenType {
    fn from(kind: contract::TokenType) -> Self {
        match kind {
            contract::TokenType::Default => Self::Default,
            contract::TokenType::Service => Self::Service,
            contract::TokenType::Batch => Self::Batch,
            contract::TokenType::DefaultService => Self::DefaultService,
            contract::TokenType::DefaultBatch => Self::DefaultBatch,
        }
    }
}
