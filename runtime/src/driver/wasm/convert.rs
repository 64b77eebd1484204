//! The contract's messages in the encoding of the WIT package, and back. Nothing is parsed and nothing is copied: text
//! moves. What a guest says is taken as it is; the host above decides what of it counts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::bindings::exports::palisade::plugin::backend;
use super::bindings::palisade::plugin::{log, storage, system, types as wit};
use super::messages;
use palisade_contract as contract;
use palisade_contract::{Headers, Json, PluginErrorKind, Timestamp};

/// The last nanosecond of a second.
const NANOS_MAX: u32 = 999_999_999;

pub(super) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

pub(super) fn duration(nanoseconds: u64) -> Duration {
    Duration::from_nanos(nanoseconds)
}

pub(super) fn json(text: String) -> Json {
    Json::from_text(text)
}

/// The package has no empty text: "no data" is `null`.
fn text(json: Json) -> String {
    if json.as_str().is_empty() {
        return Json::null().into_string();
    }
    json.into_string()
}

pub(super) fn timestamp(at: Timestamp) -> wit::Timestamp {
    wit::Timestamp {
        seconds: at.seconds,
        nanos: at.nanos,
    }
}

fn point_in_time(at: wit::Timestamp) -> Timestamp {
    Timestamp {
        seconds: at.seconds,
        nanos: at.nanos.min(NANOS_MAX),
    }
}

fn string_map(map: BTreeMap<String, String>) -> Vec<(String, String)> {
    map.into_iter().collect()
}

fn header_list(headers: Headers) -> Vec<wit::Header> {
    let header = |(name, values)| wit::Header { name, values };
    headers.into_iter().map(header).collect()
}

/// A name that comes twice has the values of both.
fn headers(list: Vec<wit::Header>) -> Headers {
    let mut headers = Headers::new();
    for header in list {
        headers
            .entry(header.name)
            .or_default()
            .extend(header.values);
    }
    headers
}

pub(super) fn setup_config(config: &contract::SetupConfig) -> Arc<backend::SetupConfig> {
    let options = config.options.iter();
    Arc::new(backend::SetupConfig {
        options: options
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
        backend_uuid: config.backend_uuid.clone(),
    })
}

pub(super) fn request(request: Box<contract::Request>) -> Box<messages::Request> {
    Box::new(messages::Request {
        id: request.id,
        operation: operation(request.operation),
        path: request.path,
        data: text(request.data),
        secret: request.secret.map(|it| Box::new(wit_secret(*it))),
        auth: request.auth.map(|it| Box::new(wit_auth(*it))),
        headers: header_list(request.headers),
        client_token: request.client_token,
        client_token_accessor: request.client_token_accessor,
        display_name: request.display_name,
        mount_point: request.mount_point,
        mount_type: request.mount_type,
        mount_accessor: request.mount_accessor,
        wrap_info: request.wrap_info.map(|it| Box::new(wit_wrap_wish(*it))),
        client_token_remaining_uses: request.client_token_remaining_uses,
        entity_id: request.entity_id,
        policy_override: request.policy_override,
        unauthenticated: request.unauthenticated,
        connection: request.connection.map(|it| Box::new(wit_connection(*it))),
    })
}

fn operation(operation: contract::Operation) -> wit::Operation {
    use contract::Operation;
    match operation {
        Operation::AliasLookahead => wit::Operation::AliasLookahead,
        Operation::Create => wit::Operation::Create,
        Operation::Delete => wit::Operation::Delete,
        Operation::Header => wit::Operation::Header,
        Operation::Help => wit::Operation::Help,
        Operation::List => wit::Operation::List,
        Operation::Patch => wit::Operation::Patch,
        Operation::Read => wit::Operation::Read,
        Operation::Renew => wit::Operation::Renew,
        Operation::ResolveRole => wit::Operation::ResolveRole,
        Operation::Revoke => wit::Operation::Revoke,
        Operation::Rollback => wit::Operation::Rollback,
        Operation::Scan => wit::Operation::Scan,
        Operation::Update => wit::Operation::Update,
    }
}

fn wit_lease(lease: contract::LeaseOptions) -> wit::LeaseOptions {
    wit::LeaseOptions {
        ttl: nanoseconds(lease.ttl),
        renewable: lease.renewable,
        increment: nanoseconds(lease.increment),
        issue_time: lease.issue_time.map(timestamp),
        max_ttl: nanoseconds(lease.max_ttl),
    }
}

fn lease(lease: wit::LeaseOptions) -> contract::LeaseOptions {
    contract::LeaseOptions {
        ttl: duration(lease.ttl),
        renewable: lease.renewable,
        increment: duration(lease.increment),
        issue_time: lease.issue_time.map(point_in_time),
        max_ttl: duration(lease.max_ttl),
    }
}

fn wit_secret(secret: contract::Secret) -> wit::Secret {
    wit::Secret {
        lease: wit_lease(secret.lease),
        internal_data: text(secret.internal_data),
        lease_id: secret.lease_id,
    }
}

fn secret(secret: wit::Secret) -> contract::Secret {
    contract::Secret {
        lease: lease(secret.lease),
        internal_data: json(secret.internal_data),
        lease_id: secret.lease_id,
    }
}

fn wit_auth(auth: contract::Auth) -> wit::Auth {
    wit::Auth {
        lease: wit_lease(auth.lease),
        internal_data: text(auth.internal_data),
        display_name: auth.display_name,
        policies: auth.policies,
        metadata: string_map(auth.metadata),
        client_token: auth.client_token,
        accessor: auth.accessor,
        period: nanoseconds(auth.period),
        num_uses: auth.num_uses,
        entity_id: auth.entity_id,
        alias: auth.alias.map(wit_alias),
        group_aliases: auth.group_aliases.into_iter().map(wit_alias).collect(),
        bound_cidrs: auth.bound_cidrs,
        token_policies: auth.token_policies,
        identity_policies: auth.identity_policies,
        explicit_max_ttl: nanoseconds(auth.explicit_max_ttl),
        token_type: wit_token_type(auth.token_type),
        no_default_policy: auth.no_default_policy,
    }
}

fn auth(auth: wit::Auth) -> contract::Auth {
    contract::Auth {
        lease: lease(auth.lease),
        internal_data: json(auth.internal_data),
        display_name: auth.display_name,
        policies: auth.policies,
        metadata: auth.metadata.into_iter().collect(),
        client_token: auth.client_token,
        accessor: auth.accessor,
        period: duration(auth.period),
        num_uses: auth.num_uses,
        entity_id: auth.entity_id,
        alias: auth.alias.map(alias),
        group_aliases: auth.group_aliases.into_iter().map(alias).collect(),
        bound_cidrs: auth.bound_cidrs,
        token_policies: auth.token_policies,
        identity_policies: auth.identity_policies,
        explicit_max_ttl: duration(auth.explicit_max_ttl),
        token_type: token_type(auth.token_type),
        no_default_policy: auth.no_default_policy,
    }
}

fn wit_token_type(token_type: contract::TokenType) -> wit::TokenType {
    match token_type {
        contract::TokenType::Default => wit::TokenType::Default,
        contract::TokenType::Service => wit::TokenType::Service,
        contract::TokenType::Batch => wit::TokenType::Batch,
        contract::TokenType::DefaultService => wit::TokenType::DefaultService,
        contract::TokenType::DefaultBatch => wit::TokenType::DefaultBatch,
    }
}

fn token_type(token_type: wit::TokenType) -> contract::TokenType {
    match token_type {
        wit::TokenType::Default => contract::TokenType::Default,
        wit::TokenType::Service => contract::TokenType::Service,
        wit::TokenType::Batch => contract::TokenType::Batch,
        wit::TokenType::DefaultService => contract::TokenType::DefaultService,
        wit::TokenType::DefaultBatch => contract::TokenType::DefaultBatch,
    }
}

fn wit_alias(alias: contract::Alias) -> wit::Alias {
    wit::Alias {
        mount_type: alias.mount_type,
        mount_accessor: alias.mount_accessor,
        name: alias.name,
        metadata: string_map(alias.metadata),
        id: alias.id,
        namespace_id: alias.namespace_id,
        custom_metadata: string_map(alias.custom_metadata),
        local: alias.local,
    }
}

fn alias(alias: wit::Alias) -> contract::Alias {
    contract::Alias {
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

fn wit_wrap_wish(wish: contract::RequestWrapInfo) -> wit::RequestWrapInfo {
    wit::RequestWrapInfo {
        ttl: nanoseconds(wish.ttl),
        format: wish.format,
        seal_wrap: wish.seal_wrap,
    }
}

fn wit_connection(connection: contract::Connection) -> wit::Connection {
    wit::Connection {
        remote_addr: connection.remote_addr,
        remote_port: connection.remote_port,
        tls: connection.tls.map(wit_tls),
        proxied_certificates: connection.proxied_certificates,
    }
}

fn wit_tls(tls: contract::TlsConnectionState) -> wit::TlsConnectionState {
    wit::TlsConnectionState {
        version: tls.version,
        cipher_suite: tls.cipher_suite,
        negotiated_protocol: tls.negotiated_protocol,
        server_name: tls.server_name,
        peer_certificates: tls.peer_certificates,
        verified_chains: tls.verified_chains,
    }
}

pub(super) fn response(response: messages::Response) -> contract::Response {
    contract::Response {
        secret: response.secret.map(|it| Box::new(secret(it.into_inner()))),
        auth: response.auth.map(|it| Box::new(auth(it.into_inner()))),
        data: json(response.data),
        redirect: response.redirect,
        warnings: response.warnings,
        wrap_info: response
            .wrap_info
            .map(|it| Box::new(wrapped(it.into_inner()))),
        headers: headers(response.headers),
    }
}

pub(super) fn wrap_info(info: contract::ResponseWrapInfo) -> wit::ResponseWrapInfo {
    wit::ResponseWrapInfo {
        ttl: nanoseconds(info.ttl),
        token: info.token,
        accessor: info.accessor,
        creation_time: info.creation_time.map(timestamp),
        wrapped_accessor: info.wrapped_accessor,
        wrapped_entity_id: info.wrapped_entity_id,
        format: info.format,
        creation_path: info.creation_path,
        seal_wrap: info.seal_wrap,
    }
}

fn wrapped(info: wit::ResponseWrapInfo) -> contract::ResponseWrapInfo {
    contract::ResponseWrapInfo {
        ttl: duration(info.ttl),
        token: info.token,
        accessor: info.accessor,
        creation_time: info.creation_time.map(point_in_time),
        wrapped_accessor: info.wrapped_accessor,
        wrapped_entity_id: info.wrapped_entity_id,
        format: info.format,
        creation_path: info.creation_path,
        seal_wrap: info.seal_wrap,
    }
}

pub(super) fn plugin_error(error: wit::PluginError) -> contract::PluginError {
    contract::PluginError::new(plugin_error_kind(error.kind), error.message)
}

fn plugin_error_kind(kind: wit::PluginErrorKind) -> PluginErrorKind {
    match kind {
        wit::PluginErrorKind::Unknown => PluginErrorKind::Unknown,
        wit::PluginErrorKind::User => PluginErrorKind::User,
        wit::PluginErrorKind::Internal => PluginErrorKind::Internal,
        // Codes that are no HTTP status are not believed, as on the other wire.
        wit::PluginErrorKind::Coded(code) => {
            let (number, code) = PluginErrorKind::Coded(code).to_wire();
            PluginErrorKind::from_wire(number, code)
        }
        wit::PluginErrorKind::BadRequest => PluginErrorKind::BadRequest,
        wit::PluginErrorKind::UnsupportedOperation => PluginErrorKind::UnsupportedOperation,
        wit::PluginErrorKind::UnsupportedPath => PluginErrorKind::UnsupportedPath,
        wit::PluginErrorKind::InvalidRequest => PluginErrorKind::InvalidRequest,
        wit::PluginErrorKind::PermissionDenied => PluginErrorKind::PermissionDenied,
        wit::PluginErrorKind::MultiAuthorizationPending => {
            PluginErrorKind::MultiAuthorizationPending
        }
        wit::PluginErrorKind::Unrecoverable => PluginErrorKind::Unrecoverable,
    }
}

pub(super) fn host_error(error: contract::HostError) -> wit::HostError {
    use contract::HostErrorKind;
    let kind = match error.kind {
        HostErrorKind::ReadOnly => wit::HostErrorKind::ReadOnly,
        HostErrorKind::Denied => wit::HostErrorKind::Denied,
        HostErrorKind::Conflict => wit::HostErrorKind::Conflict,
        HostErrorKind::TooLarge => wit::HostErrorKind::TooLarge,
        HostErrorKind::Quota => wit::HostErrorKind::Quota,
        HostErrorKind::Sealed => wit::HostErrorKind::Sealed,
        HostErrorKind::Other => wit::HostErrorKind::Other,
    };
    wit::HostError {
        kind,
        message: error.message,
    }
}

pub(super) fn description(description: backend::Description) -> contract::Description {
    let paths = description.special_paths;
    contract::Description {
        plugin_type: match description.plugin_type {
            backend::PluginType::Auth => contract::PluginType::Auth,
            backend::PluginType::Secret => contract::PluginType::Secret,
        },
        version: description.version,
        contract_version: description.contract_version,
        special_paths: contract::SpecialPaths {
            root: paths.root,
            unauthenticated: paths.unauthenticated,
            local_storage: paths.local_storage,
            seal_wrap_storage: paths.seal_wrap_storage,
            write_forwarded_storage: paths.write_forwarded_storage,
            safe_reads: paths.safe_reads,
        },
    }
}

pub(super) fn existence(existence: backend::Existence) -> contract::Existence {
    match existence {
        backend::Existence::Unchecked => contract::Existence::Unchecked,
        backend::Existence::Absent => contract::Existence::Absent,
        backend::Existence::Present => contract::Existence::Present,
    }
}

pub(super) fn storage_entry(entry: storage::Entry) -> contract::StorageEntry {
    contract::StorageEntry {
        key: entry.key,
        value: entry.value,
        seal_wrap: entry.seal_wrap,
    }
}

pub(super) fn stored_entry(entry: contract::StorageEntry) -> storage::Entry {
    storage::Entry {
        key: entry.key,
        value: entry.value,
        seal_wrap: entry.seal_wrap,
    }
}

pub(super) fn transaction_mode(mode: storage::TransactionMode) -> contract::TransactionMode {
    match mode {
        storage::TransactionMode::ReadOnly => contract::TransactionMode::ReadOnly,
        storage::TransactionMode::ReadWrite => contract::TransactionMode::ReadWrite,
    }
}

pub(super) fn environment(environment: contract::PluginEnvironment) -> system::Environment {
    system::Environment {
        version: environment.version,
        prerelease: environment.prerelease,
        metadata: environment.metadata,
    }
}

pub(super) fn entity(entity: contract::Entity) -> system::Entity {
    system::Entity {
        id: entity.id,
        name: entity.name,
        aliases: entity.aliases.into_iter().map(wit_alias).collect(),
        metadata: string_map(entity.metadata),
        disabled: entity.disabled,
        namespace_id: entity.namespace_id,
    }
}

pub(super) fn group(group: contract::Group) -> system::Group {
    system::Group {
        id: group.id,
        name: group.name,
        metadata: string_map(group.metadata),
        namespace_id: group.namespace_id,
    }
}

pub(super) fn level(level: log::Level) -> contract::LogLevel {
    match level {
        log::Level::Trace => contract::LogLevel::Trace,
        log::Level::Debug => contract::LogLevel::Debug,
        log::Level::Info => contract::LogLevel::Info,
        log::Level::Warn => contract::LogLevel::Warn,
        log::Level::Error => contract::LogLevel::Error,
    }
}
