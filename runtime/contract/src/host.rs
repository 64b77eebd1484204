//! What the host offers a plugin, passed to every call as an argument.

use std::time::Duration;

use async_trait::async_trait;

use crate::{Entity, Group, HostError, Json, ResponseWrapInfo, Storage, Timestamp};

/// The host as one call sees it.
pub trait Host: Send + Sync {
    /// The mount's storage. During `setup` writes are refused.
    fn storage(&self) -> &dyn Storage;

    /// Facts about the server and the mount.
    fn system(&self) -> &dyn SystemView;

    /// Writes a line to the server's log. Never fails; the host clips what is too long and drops what is too much.
    fn log(&self, record: LogRecord<'_>);

    /// The wall clock.
    fn now(&self) -> Timestamp;

    /// Fills `bytes` with randomness fit for keys.
    fn random(&self, bytes: &mut [u8]);

    /// How long until the caller stops waiting; `None` when it waits for ever.
    fn time_left(&self) -> Option<Duration>;
}

/// Facts about the server and the mount (`pb.SystemView`).
#[async_trait]
pub trait SystemView: Send + Sync {
    /// The lease that a secret gets when nobody says otherwise.
    async fn default_lease_ttl(&self) -> Result<Duration, HostError>;

    /// The longest lease there is.
    async fn max_lease_ttl(&self) -> Result<Duration, HostError>;

    /// Whether the mount is being taken away.
    async fn tainted(&self) -> Result<bool, HostError>;

    /// Whether plugins should not cache.
    async fn caching_disabled(&self) -> Result<bool, HostError>;

    /// Which part this node plays.
    async fn replication_state(&self) -> Result<ReplicationState, HostError>;

    /// Whether memory is locked against swapping.
    async fn mlock_enabled(&self) -> Result<bool, HostError>;

    /// Whether the mount is kept on this cluster only.
    async fn local_mount(&self) -> Result<bool, HostError>;

    /// The server's version.
    async fn plugin_environment(&self) -> Result<PluginEnvironment, HostError>;

    /// The entity with that identifier.
    async fn entity(&self, entity_id: &str) -> Result<Option<Entity>, HostError>;

    /// The groups that the entity is in.
    async fn groups_for_entity(&self, entity_id: &str) -> Result<Vec<Group>, HostError>;

    /// A password by a named policy.
    async fn generate_password(&self, policy_name: &str) -> Result<String, HostError>;

    /// The cluster's identifier.
    async fn cluster_id(&self) -> Result<String, HostError>;

    /// Stores `data` behind a single-use token.
    async fn wrap_response(&self, data: Json, ttl: Duration)
    -> Result<ResponseWrapInfo, HostError>;
}

/// The server's version in parts (`logical.PluginEnvironment`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PluginEnvironment {
    /// Such as `0.1.0`.
    pub version: String,
    /// Such as `beta1`; mostly empty.
    pub prerelease: String,
    /// Build metadata; mostly empty.
    pub metadata: String,
}

/// Which part this node plays, as the bit set that OpenBao uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplicationState(pub u32);

impl ReplicationState {
    /// An active node without replication: performance primary, disaster recovery disabled.
    pub const ACTIVE: Self = Self(8192 | 32);
    /// A standby that serves reads.
    pub const STANDBY: Self = Self(8192 | 16_384);
}

/// One line that a plugin logs.
#[derive(Clone, Copy, Debug)]
pub struct LogRecord<'a> {
    /// How much it matters.
    pub level: LogLevel,
    /// The line.
    pub message: &'a str,
    /// Named details.
    pub fields: &'a [(&'a str, &'a str)],
}

/// How much a log line matters. The order is from least to most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Every step.
    Trace,
    /// For developers.
    Debug,
    /// For operators.
    Info,
    /// Something to look at.
    Warn,
    /// Something failed.
    Error,
}

impl LogLevel {
    /// The lower-case word that hclog uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}
