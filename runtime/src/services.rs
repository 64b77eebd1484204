//! What the host offers any plugin, whichever way it runs: storage of its mount, system facts, log, clock, randomness.
//!
//! [`MountServices`] is made once per mount and knows whose storage it is. Each call of a plugin gets a [`Scope`] of it,
//! which is the contract's [`Host`](palisade_contract::Host): a builtin is handed it as it is, the native driver serves
//! it over the broker, the WebAssembly driver behind the imports of the package.

use std::sync::Arc;
use std::time::{Duration, Instant};

use palisade_contract::{Host, LogRecord, Storage, SystemView, Timestamp};

use crate::CallError;

/// When a caller stops waiting. It covers queueing, guest time, host calls and the reply.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    at: Instant,
    limit: Duration,
}

impl Deadline {
    /// So long from now.
    pub fn after(limit: Duration) -> Self {
        Self {
            at: Instant::now() + limit,
            limit,
        }
    }

    /// The moment it passes.
    pub fn at(&self) -> Instant {
        self.at
    }

    /// How long it was when it was made, for errors.
    pub fn limit(&self) -> Duration {
        self.limit
    }

    /// How long is left; zero once it has passed.
    pub fn left(&self) -> Duration {
        self.at.saturating_duration_since(Instant::now())
    }
}

/// What the host offers one mount.
pub struct MountServices {}

impl MountServices {
    /// For `setup` and `describe`: storage can be read, writes fail with `cannot write to storage during setup`.
    pub fn setup_scope(self: &Arc<Self>, _deadline: Deadline) -> Scope {
        todo!()
    }

    /// For processes and builtins: each write reaches the store when it is made.
    pub fn direct_scope(self: &Arc<Self>, _deadline: Deadline) -> Scope {
        todo!()
    }

    /// For components: writes are kept until [`Scope::commit`], and dropped with the scope.
    pub fn buffered_scope(self: &Arc<Self>, _deadline: Deadline) -> Scope {
        todo!()
    }

    /// Keys of this mount that were committed, for instances that cache.
    pub fn changes(&self) -> &ChangeFeed {
        todo!()
    }

    /// Takes a line of the plugin's own output (stdout or stderr), whatever bytes it has, into the bounded log.
    pub fn output(&self, _stream: &'static str, _line: &[u8]) {
        todo!()
    }

    /// The entry's name and version, for logs and errors.
    pub fn label(&self) -> &str {
        todo!()
    }
}

/// The host as one call of a plugin sees it.
pub struct Scope {}

impl Scope {
    /// Makes what a buffered scope wrote visible together. `origin` says which live store it came from, so that the
    /// others are told. A direct scope has nothing left to commit.
    ///
    /// # Errors
    ///
    /// [`CallError::Conflict`] when something a transaction of this call read has changed since.
    pub async fn commit(self, _origin: StoreId) -> Result<(), CallError> {
        todo!()
    }

    /// When the caller stops waiting.
    pub fn deadline(&self) -> Deadline {
        todo!()
    }
}

impl Host for Scope {
    fn storage(&self) -> &dyn Storage {
        todo!()
    }
    fn system(&self) -> &dyn SystemView {
        todo!()
    }
    fn log(&self, _record: LogRecord<'_>) {
        todo!()
    }
    fn now(&self) -> Timestamp {
        todo!()
    }
    fn random(&self, _bytes: &mut [u8]) {
        todo!()
    }
    fn time_left(&self) -> Option<Duration> {
        todo!()
    }
}

/// One live store (or process) of a mount, as the source or receiver of changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StoreId(pub u64);

/// Which keys of a mount were committed, and by whom; bounded.
pub struct ChangeFeed {}

impl ChangeFeed {
    /// A name for a new live store, and where its reading starts: now.
    pub fn join(&self) -> (StoreId, Cursor) {
        todo!()
    }

    /// What others committed since `cursor`, which moves on.
    pub fn since(&self, _me: StoreId, _cursor: &mut Cursor) -> Changes {
        todo!()
    }
}

/// How far a live store has read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor(pub(crate) u64);

/// What others committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changes {
    /// These keys, relative to the mount.
    Keys(Vec<Arc<str>>),
    /// More than the feed holds: whatever was cached has to go.
    Lost,
}
