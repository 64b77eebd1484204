//! One request to a mount, with the prefix of the mount already taken off its path.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::{Auth, Json, Secret};

/// HTTP headers a mount let through, by name in Go's canonical case.
pub type Headers = BTreeMap<String, Vec<String>>;

/// What a client asked of a mount (`pb.Request`).
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// The request's UUID, for logs and audits.
    pub id: String,
    /// What to do.
    pub operation: Operation,
    /// Where, relative to the mount, without a leading slash.
    pub path: String,
    /// The body or query as a JSON object; `null` when there is none.
    pub data: Json,
    /// On renew and revoke, the secret in question.
    pub secret: Option<Box<Secret>>,
    /// On renewal of a login, the login in question.
    pub auth: Option<Box<Auth>>,
    /// The headers that the mount's settings let through.
    pub headers: Headers,
    /// A salted HMAC of the client's token, with a salt of the mount; never the token.
    pub client_token: String,
    /// The accessor of the client's token.
    pub client_token_accessor: String,
    /// The name that the client's token was given.
    pub display_name: String,
    /// The mount's path with its trailing slash, such as `kv/`.
    pub mount_point: String,
    /// The type that the mount was enabled with.
    pub mount_type: String,
    /// The mount's accessor.
    pub mount_accessor: String,
    /// Whether, and for how long, the client wants the answer wrapped.
    pub wrap_info: Option<Box<RequestWrapInfo>>,
    /// How often the token may still be used; the router zeroes it before plugins see it.
    pub client_token_remaining_uses: i64,
    /// The entity behind the token.
    pub entity_id: String,
    /// Unused in OpenBao; carried for compatibility.
    pub policy_override: bool,
    /// Whether the request came without a token.
    pub unauthenticated: bool,
    /// Where the client connects from; auth mounts only.
    pub connection: Option<Box<Connection>>,
}

impl Request {
    /// A request with these three and nothing else.
    pub fn new(operation: Operation, path: impl Into<String>, data: Json) -> Self {
        Self {
            id: String::new(),
            operation,
            path: path.into(),
            data,
            secret: None,
            auth: None,
            headers: Headers::new(),
            client_token: String::new(),
            client_token_accessor: String::new(),
            display_name: String::new(),
            mount_point: String::new(),
            mount_type: String::new(),
            mount_accessor: String::new(),
            wrap_info: None,
            client_token_remaining_uses: 0,
            entity_id: String::new(),
            policy_override: false,
            unauthenticated: false,
            connection: None,
        }
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("id", &self.id)
            .field("operation", &self.operation)
            .field("path", &self.path)
            .field("data", &self.data)
            .finish_non_exhaustive()
    }
}

/// What a request does. The words are those of the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// Ask for the alias a login would have, without logging in.
    AliasLookahead,
    /// Write where nothing was.
    Create,
    /// Remove.
    Delete,
    /// Read the headers only.
    Header,
    /// Ask a path for its help text.
    Help,
    /// List the direct children.
    List,
    /// Change part of what is there.
    Patch,
    /// Read.
    Read,
    /// Extend a lease.
    Renew,
    /// Ask which role a login would use.
    ResolveRole,
    /// End a lease.
    Revoke,
    /// Undo what was left half done; sent by the host now and then.
    Rollback,
    /// List everything beneath.
    Scan,
    /// Write.
    Update,
}

impl Operation {
    /// Every operation, for tables and tests.
    pub const ALL: [Self; 14] = [
        Self::AliasLookahead,
        Self::Create,
        Self::Delete,
        Self::Header,
        Self::Help,
        Self::List,
        Self::Patch,
        Self::Read,
        Self::Renew,
        Self::ResolveRole,
        Self::Revoke,
        Self::Rollback,
        Self::Scan,
        Self::Update,
    ];

    /// The wire's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AliasLookahead => "alias-lookahead",
            Self::Create => "create",
            Self::Delete => "delete",
            Self::Header => "header",
            Self::Help => "help",
            Self::List => "list",
            Self::Patch => "patch",
            Self::Read => "read",
            Self::Renew => "renew",
            Self::ResolveRole => "resolve-role",
            Self::Revoke => "revoke",
            Self::Rollback => "rollback",
            Self::Scan => "scan",
            Self::Update => "update",
        }
    }

    /// Whether sending it twice does no harm, whatever the plugin is. A read is not of this kind: reading a path may
    /// make a credential.
    pub fn is_idempotent(self) -> bool {
        matches!(self, Self::AliasLookahead | Self::Help | Self::ResolveRole)
    }

    /// Whether it asks for what is there: a plugin says for which of its paths that is all it does.
    pub fn is_read(self) -> bool {
        matches!(self, Self::Header | Self::List | Self::Read | Self::Scan)
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Operation {
    type Err = UnknownOperation;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|operation| operation.as_str() == word)
            .ok_or_else(|| UnknownOperation(word.to_owned()))
    }
}

/// A word that names no operation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown operation {0:?}")]
pub struct UnknownOperation(pub String);

/// A client's wish to get the answer wrapped (`pb.RequestWrapInfo`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestWrapInfo {
    /// How long the wrapping token lives.
    pub ttl: Duration,
    /// The wrapping token's form; empty for the host's own.
    pub format: String,
    /// Whether the wrapped data is sealed a second time.
    pub seal_wrap: bool,
}

/// Where a login comes from (`pb.Connection`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Connection {
    /// The client's address, without port.
    pub remote_addr: String,
    /// The client's port.
    pub remote_port: i32,
    /// What TLS agreed on, when the client used it.
    pub tls: Option<TlsConnectionState>,
    /// Certificates that a trusted proxy passed on, DER.
    pub proxied_certificates: Vec<Vec<u8>>,
}

/// What TLS agreed on (`pb.ConnectionState`), as far as a plugin can use it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsConnectionState {
    /// The version by its IANA number, such as `0x0304`.
    pub version: u32,
    /// The cipher suite by its IANA number.
    pub cipher_suite: u32,
    /// The protocol that ALPN chose.
    pub negotiated_protocol: String,
    /// The name that the client asked for.
    pub server_name: String,
    /// The client's certificates, DER, leaf first.
    pub peer_certificates: Vec<Vec<u8>>,
    /// Chains that were verified, each leaf first, DER.
    pub verified_chains: Vec<Vec<Vec<u8>>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_is_found_by_its_own_word() {
        for operation in Operation::ALL {
            assert_eq!(operation.as_str().parse(), Ok(operation));
        }
    }

    #[test]
    fn a_request_shows_no_data_when_printed() {
        let request = Request::new(
            Operation::Update,
            "a",
            Json::from_text(r#"{"k":"hunter2"}"#),
        );
        assert!(!format!("{request:?}").contains("hunter2"));
    }
}
