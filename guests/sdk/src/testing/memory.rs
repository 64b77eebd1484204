//! The host itself: clock, randomness, log and system facts.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use palisade_contract::{
    Entity, Group, Host, HostError, Json, LogLevel, LogRecord, PluginEnvironment, ReplicationState,
    ResponseWrapInfo, Storage, SystemView, Timestamp,
};

use super::store::MemoryStore;

/// A host in memory.
pub struct MemoryHost {
    store: MemoryStore,
    now: Mutex<Timestamp>,
    lines: Mutex<Vec<LogLine>>,
    randomness: AtomicU64,
}

/// One line that the plugin logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// How much it matters.
    pub level: LogLevel,
    /// The line.
    pub message: String,
    /// Named details.
    pub fields: Vec<(String, String)>,
}

impl Default for MemoryHost {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryHost {
    /// An empty host whose clock shows the start of the year 2026.
    pub fn new() -> Self {
        Self {
            store: MemoryStore::new(),
            now: Mutex::new(Timestamp {
                seconds: 1_767_225_600,
                nanos: 0,
            }),
            lines: Mutex::new(Vec::new()),
            randomness: AtomicU64::new(0),
        }
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        let mut now = self.now.lock().expect(NO_POISON);
        *now = now.saturating_add(by);
    }

    /// What the plugin logged so far.
    pub fn lines(&self) -> Vec<LogLine> {
        self.lines.lock().expect(NO_POISON).clone()
    }

    /// All keys in storage, sorted.
    pub fn keys(&self) -> Vec<String> {
        self.store.keys()
    }

    /// Says no to writes, or no longer, as a server does during `setup`.
    pub(super) fn refuse_writes(&self, refuse: bool) {
        self.store.refuse_writes(refuse);
    }
}

const NO_POISON: &str = "nothing panics while it holds this lock";

impl Host for MemoryHost {
    fn storage(&self) -> &dyn Storage {
        &self.store
    }

    fn system(&self) -> &dyn SystemView {
        self
    }

    fn log(&self, record: LogRecord<'_>) {
        let fields = record.fields.iter();
        let line = LogLine {
            level: record.level,
            message: record.message.to_owned(),
            fields: fields
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        };
        self.lines.lock().expect(NO_POISON).push(line);
    }

    fn now(&self) -> Timestamp {
        *self.now.lock().expect(NO_POISON)
    }

    fn random(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let word = scramble(self.randomness.fetch_add(1, Ordering::Relaxed));
            chunk.copy_from_slice(&word.to_le_bytes()[..chunk.len()]);
        }
    }

    fn time_left(&self) -> Option<Duration> {
        None
    }
}

/// A bijection that spreads consecutive numbers over all bits. Good enough to tell values apart; no secret.
fn scramble(number: u64) -> u64 {
    let mixed = (number + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mixed = (mixed ^ (mixed >> 32)).wrapping_mul(0xD6E8_FEB8_6659_FD93);
    mixed ^ (mixed >> 32)
}

#[async_trait]
impl SystemView for MemoryHost {
    async fn default_lease_ttl(&self) -> Result<Duration, HostError> {
        Ok(Duration::from_secs(32 * 24 * 3600))
    }

    async fn max_lease_ttl(&self) -> Result<Duration, HostError> {
        Ok(Duration::from_secs(32 * 24 * 3600))
    }

    async fn tainted(&self) -> Result<bool, HostError> {
        Ok(false)
    }

    async fn caching_disabled(&self) -> Result<bool, HostError> {
        Ok(false)
    }

    async fn replication_state(&self) -> Result<ReplicationState, HostError> {
        Ok(ReplicationState::ACTIVE)
    }

    async fn mlock_enabled(&self) -> Result<bool, HostError> {
        Ok(false)
    }

    async fn local_mount(&self) -> Result<bool, HostError> {
        Ok(false)
    }

    async fn plugin_environment(&self) -> Result<PluginEnvironment, HostError> {
        Ok(PluginEnvironment {
            version: "0.1.0".to_owned(),
            ..PluginEnvironment::default()
        })
    }

    async fn entity(&self, _: &str) -> Result<Option<Entity>, HostError> {
        Ok(None)
    }

    async fn groups_for_entity(&self, _: &str) -> Result<Vec<Group>, HostError> {
        Ok(Vec::new())
    }

    async fn generate_password(&self, policy_name: &str) -> Result<String, HostError> {
        Err(HostError::other(format!(
            "the testing host has no password policy {policy_name:?}"
        )))
    }

    async fn cluster_id(&self) -> Result<String, HostError> {
        Ok("00000000-0000-4000-8000-000000000000".to_owned())
    }

    async fn wrap_response(&self, _: Json, _: Duration) -> Result<ResponseWrapInfo, HostError> {
        Err(HostError::other("the testing host does not wrap responses"))
    }
}
