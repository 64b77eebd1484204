//! What an auth backend hands back for a successful login, and the identities behind it.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::{Json, LeaseOptions};

/// The identity a login proved (`pb.Auth`). The host honours it only from auth mounts.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Auth {
    /// The terms of the token to make.
    pub lease: LeaseOptions,
    /// What the plugin needs again to renew; the client never sees it.
    pub internal_data: Json,
    /// A name for people, shown in logs and lookups.
    pub display_name: String,
    /// Policies the plugin asks for; the host decides.
    pub policies: Vec<String>,
    /// Facts about the login that policies and audits may use.
    pub metadata: BTreeMap<String, String>,
    /// Set by the host on renewal; ignored when a plugin sets it.
    pub client_token: String,
    /// Set by the host.
    pub accessor: String,
    /// For periodic tokens, how long each renewal gives; zero for others.
    pub period: Duration,
    /// How often the token may be used; zero means without limit.
    pub num_uses: i64,
    /// The entity the host matched; set by the host.
    pub entity_id: String,
    /// Whom the login was for, in the plugin's own naming.
    pub alias: Option<Alias>,
    /// Groups the plugin knows the login belongs to.
    pub group_aliases: Vec<Alias>,
    /// Networks the token may be used from; empty means any.
    pub bound_cidrs: Vec<String>,
    /// The policies that ended up on the token; set by the host.
    pub token_policies: Vec<String>,
    /// The policies that came from the identity; set by the host.
    pub identity_policies: Vec<String>,
    /// The most the token can live; zero lets the host choose.
    pub explicit_max_ttl: Duration,
    /// The kind of token to make.
    pub token_type: TokenType,
    /// Whether the `default` policy is left out.
    pub no_default_policy: bool,
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auth")
            .field("display_name", &self.display_name)
            .field("policies", &self.policies)
            .finish_non_exhaustive()
    }
}

/// The kind of token a login gives; the numbers are those of the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TokenType {
    /// The mount's own setting.
    #[default]
    Default,
    /// A token kept in storage.
    Service,
    /// A token that stands for itself.
    Batch,
    /// Service, unless the role says otherwise.
    DefaultService,
    /// Batch, unless the role says otherwise.
    DefaultBatch,
}

impl TokenType {
    /// The wire's number.
    pub fn number(self) -> u32 {
        match self {
            Self::Default => 0,
            Self::Service => 1,
            Self::Batch => 2,
            Self::DefaultService => 3,
            Self::DefaultBatch => 4,
        }
    }

    /// The type with that number; unknown numbers are the default, as the SDK treats them.
    pub fn from_number(number: u32) -> Self {
        match number {
            1 => Self::Service,
            2 => Self::Batch,
            3 => Self::DefaultService,
            4 => Self::DefaultBatch,
            _ => Self::Default,
        }
    }
}

/// One name that a mount knows an entity by (`logical.Alias`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Alias {
    /// The type of the mount that knows the name.
    pub mount_type: String,
    /// The accessor of that mount.
    pub mount_accessor: String,
    /// The name itself.
    pub name: String,
    /// Facts the plugin attaches.
    pub metadata: BTreeMap<String, String>,
    /// The host's identifier.
    pub id: String,
    /// The namespace it lives in.
    pub namespace_id: String,
    /// Facts an operator attached.
    pub custom_metadata: BTreeMap<String, String>,
    /// Whether it is kept on this cluster only.
    pub local: bool,
}

/// A person or machine, over all mounts (`logical.Entity`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entity {
    /// The host's identifier.
    pub id: String,
    /// A name for people.
    pub name: String,
    /// The names that mounts know it by.
    pub aliases: Vec<Alias>,
    /// Facts an operator attached.
    pub metadata: BTreeMap<String, String>,
    /// Whether its tokens are refused.
    pub disabled: bool,
    /// The namespace it lives in.
    pub namespace_id: String,
}

/// A set of entities (`logical.Group`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// The host's identifier.
    pub id: String,
    /// A name for people.
    pub name: String,
    /// Facts an operator attached.
    pub metadata: BTreeMap<String, String>,
    /// The namespace it lives in.
    pub namespace_id: String,
}
