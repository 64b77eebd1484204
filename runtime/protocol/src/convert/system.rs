//! Facts about the server.

use palisade_contract::{PluginEnvironment, ReplicationState};

use crate::{logical, pb};

impl From<PluginEnvironment> for logical::PluginEnvironment {
    fn from(environment: PluginEnvironment) -> Self {
        Self {
            vault_version: environment.version,
            vault_version_prerelease: environment.prerelease,
            vault_version_metadata: environment.metadata,
        }
    }
}

impl From<logical::PluginEnvironment> for PluginEnvironment {
    fn from(environment: logical::PluginEnvironment) -> Self {
        Self {
            version: environment.vault_version,
            prerelease: environment.vault_version_prerelease,
            metadata: environment.vault_version_metadata,
        }
    }
}

impl From<ReplicationState> for pb::ReplicationStateReply {
    fn from(state: ReplicationState) -> Self {
        Self {
            state: state.0.cast_signed(),
        }
    }
}

impl From<pb::ReplicationStateReply> for ReplicationState {
    fn from(reply: pb::ReplicationStateReply) -> Self {
        Self(reply.state.cast_unsigned())
    }
}
