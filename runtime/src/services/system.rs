//! Facts about the server and the mount, as a plugin may ask for them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use palisade_contract::{
    Entity, Group, HostError, Json, PluginEnvironment, ReplicationState, ResponseWrapInfo,
    SystemView,
};

use super::password;

/// The lease that a secret gets, and the longest there is, unless a mount says otherwise: 768 hours, as in OpenBao.
const LEASE_TTL: Duration = Duration::from_secs(768 * 3600);

/// What the server knows of itself, and of any mount that says nothing else.
#[derive(Clone, Debug)]
pub struct SystemFacts {
    /// The lease that a secret gets when nobody says otherwise.
    pub default_lease_ttl: Duration,
    /// The longest lease there is.
    pub max_lease_ttl: Duration,
    /// Whether plugins should not cache.
    pub caching_disabled: bool,
    /// The server's version.
    pub environment: PluginEnvironment,
    /// The cluster's identifier; empty until it has one.
    pub cluster_id: String,
}

impl Default for SystemFacts {
    fn default() -> Self {
        Self {
            default_lease_ttl: LEASE_TTL,
            max_lease_ttl: LEASE_TTL,
            caching_disabled: false,
            environment: PluginEnvironment {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                ..PluginEnvironment::default()
            },
            cluster_id: String::new(),
        }
    }
}

/// The server's facts, and the mount's own, of which one changes while it exists.
pub(super) struct MountSystem {
    facts: Arc<SystemFacts>,
    local_mount: bool,
    tainted: AtomicBool,
}

impl MountSystem {
    pub(super) fn new(facts: Arc<SystemFacts>, local_mount: bool) -> Self {
        Self {
            facts,
            local_mount,
            tainted: AtomicBool::new(false),
        }
    }

    pub(super) fn taint(&self) {
        self.tainted.store(true, Ordering::Relaxed);
    }
}

#[async_trait]
impl SystemView for MountSystem {
    async fn default_lease_ttl(&self) -> Result<Duration, HostError> {
        Ok(self.facts.default_lease_ttl)
    }

    async fn max_lease_ttl(&self) -> Result<Duration, HostError> {
        Ok(self.facts.max_lease_ttl)
    }

    async fn tainted(&self) -> Result<bool, HostError> {
        Ok(self.tainted.load(Ordering::Relaxed))
    }

    async fn caching_disabled(&self) -> Result<bool, HostError> {
        Ok(self.facts.caching_disabled)
    }

    async fn replication_state(&self) -> Result<ReplicationState, HostError> {
        Ok(ReplicationState::ACTIVE)
    }

    /// Never: a server that encrypts swap or has none needs no locked memory, and this one does not lock any.
    async fn mlock_enabled(&self) -> Result<bool, HostError> {
        Ok(false)
    }

    async fn local_mount(&self) -> Result<bool, HostError> {
        Ok(self.local_mount)
    }

    async fn plugin_environment(&self) -> Result<PluginEnvironment, HostError> {
        Ok(self.facts.environment.clone())
    }

    /// None is known: this server has one root token and no identities.
    async fn entity(&self, _entity_id: &str) -> Result<Option<Entity>, HostError> {
        Ok(None)
    }

    /// None, as there are no identities.
    async fn groups_for_entity(&self, _entity_id: &str) -> Result<Vec<Group>, HostError> {
        Ok(Vec::new())
    }

    /// There is one policy, `default`. The texts are OpenBao's.
    async fn generate_password(&self, policy_name: &str) -> Result<String, HostError> {
        match policy_name {
            "" => Err(HostError::other("missing password policy name")),
            "default" => Ok(password::generate()),
            _ => Err(HostError::other("no password policy found")),
        }
    }

    async fn cluster_id(&self) -> Result<String, HostError> {
        Ok(self.facts.cluster_id.clone())
    }

    /// Not possible: a wrapping token would be one, and this server makes no tokens.
    async fn wrap_response(
        &self,
        _data: Json,
        _ttl: Duration,
    ) -> Result<ResponseWrapInfo, HostError> {
        Err(HostError::other(
            "responses cannot be wrapped: this server makes no tokens",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_mount_says_so_once_it_is_tainted() {
        let system = MountSystem::new(Arc::default(), false);
        assert!(!system.tainted().await.unwrap());
        system.taint();
        assert!(system.tainted().await.unwrap());
    }

    #[tokio::test]
    async fn leases_default_to_768_hours() {
        let system = MountSystem::new(Arc::default(), false);
        let ttl = Duration::from_secs(2_764_800);
        assert_eq!(system.default_lease_ttl().await.unwrap(), ttl);
        assert_eq!(system.max_lease_ttl().await.unwrap(), ttl);
    }

    #[tokio::test]
    async fn an_unknown_password_policy_is_an_error() {
        let system = MountSystem::new(Arc::default(), false);
        let error = system.generate_password("nope").await.unwrap_err();
        assert_eq!(error.message, "no password policy found");
    }
}
