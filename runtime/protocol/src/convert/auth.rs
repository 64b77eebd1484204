//! Logins, and the identities behind them.

use palisade_contract::{Alias, Auth, Entity, Group, Json, TokenType};

use super::json_to_wire;
use super::lease::{duration_from_nanos, duration_to_nanos};
use crate::{logical, pb};

impl From<Auth> for pb::Auth {
    fn from(auth: Auth) -> Self {
        Self {
            lease_options: Some(auth.lease.into()),
            internal_data: json_to_wire(auth.internal_data),
            display_name: auth.display_name,
            policies: auth.policies,
            metadata: auth.metadata,
            client_token: auth.client_token,
            accessor: auth.accessor,
            period: duration_to_nanos(auth.period),
            num_uses: auth.num_uses,
            entity_id: auth.entity_id,
            alias: auth.alias.map(Into::into),
            group_aliases: auth.group_aliases.into_iter().map(Into::into).collect(),
            bound_cidrs: auth.bound_cidrs,
            token_policies: auth.token_policies,
            identity_policies: auth.identity_policies,
            explicit_max_ttl: duration_to_nanos(auth.explicit_max_ttl),
            token_type: auth.token_type.number(),
            no_default_policy: auth.no_default_policy,
        }
    }
}

impl From<pb::Auth> for Auth {
    fn from(auth: pb::Auth) -> Self {
        Self {
            lease: auth.lease_options.map(Into::into).unwrap_or_default(),
            internal_data: internal_data(auth.internal_data),
            display_name: auth.display_name,
            policies: auth.policies,
            metadata: auth.metadata,
            client_token: auth.client_token,
            accessor: auth.accessor,
            period: duration_from_nanos(auth.period),
            num_uses: auth.num_uses,
            entity_id: auth.entity_id,
            alias: auth.alias.map(Into::into),
            group_aliases: auth.group_aliases.into_iter().map(Into::into).collect(),
            bound_cidrs: auth.bound_cidrs,
            token_policies: auth.token_policies,
            identity_policies: auth.identity_policies,
            explicit_max_ttl: duration_from_nanos(auth.explicit_max_ttl),
            token_type: TokenType::from_number(auth.token_type),
            no_default_policy: auth.no_default_policy,
        }
    }
}

/// Here, and only here, peers take an empty text for `null`.
fn internal_data(text: String) -> Json {
    if text.is_empty() {
        Json::null()
    } else {
        Json::from_text(text)
    }
}

impl From<Alias> for logical::Alias {
    fn from(alias: Alias) -> Self {
        Self {
            mount_type: alias.mount_type,
            mount_accessor: alias.mount_accessor,
            name: alias.name,
            metadata: alias.metadata,
            id: alias.id,
            namespace_id: alias.namespace_id,
            custom_metadata: alias.custom_metadata,
            local: alias.local,
        }
    }
}

impl From<logical::Alias> for Alias {
    fn from(alias: logical::Alias) -> Self {
        Self {
            mount_type: alias.mount_type,
            mount_accessor: alias.mount_accessor,
            name: alias.name,
            metadata: alias.metadata,
            id: alias.id,
            namespace_id: alias.namespace_id,
            custom_metadata: alias.custom_metadata,
            local: alias.local,
        }
    }
}

impl From<Entity> for logical::Entity {
    fn from(entity: Entity) -> Self {
        Self {
            id: entity.id,
            name: entity.name,
            aliases: entity.aliases.into_iter().map(Into::into).collect(),
            metadata: entity.metadata,
            disabled: entity.disabled,
            namespace_id: entity.namespace_id,
        }
    }
}

impl From<logical::Entity> for Entity {
    fn from(entity: logical::Entity) -> Self {
        Self {
            id: entity.id,
            name: entity.name,
            aliases: entity.aliases.into_iter().map(Into::into).collect(),
            metadata: entity.metadata,
            disabled: entity.disabled,
            namespace_id: entity.namespace_id,
        }
    }
}

impl From<Group> for logical::Group {
    fn from(group: Group) -> Self {
        Self {
            id: group.id,
            name: group.name,
            metadata: group.metadata,
            namespace_id: group.namespace_id,
        }
    }
}

impl From<logical::Group> for Group {
    fn from(group: logical::Group) -> Self {
        Self {
            id: group.id,
            name: group.name,
            metadata: group.metadata,
            namespace_id: group.namespace_id,
        }
    }
}
