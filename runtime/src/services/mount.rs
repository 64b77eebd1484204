//! What the host offers one mount: made once, bound to its part of the store, handed to every driver.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use palisade_contract::SystemView;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::crashes::Crashes;
use super::output::PluginLog;
use super::scope::Mode;
use super::system::MountSystem;
use super::view::View;
use super::{ChangeFeed, Deadline, MountPrefix, Scope, StoreId, SystemFacts};
use crate::store::{Commit, Store, StoreError, Write};
use crate::{Crash, Limits};

/// Commits of one mount that may be under way at once.
const COMMITS_MAX: u32 = 1 << 20;

/// How long a mount that is taken away waits for the commits under way.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);

/// What a mount's services are made of.
pub struct ServicesConfig {
    /// Where everything is kept.
    pub store: Arc<dyn Store>,
    /// The mount's part of it.
    pub prefix: MountPrefix,
    /// The entry's name and version, for logs and errors.
    pub label: String,
    /// The mount's accessor, for logs.
    pub accessor: String,
    /// What the plugin may ask about the server.
    pub facts: Arc<SystemFacts>,
    /// Whether the mount is kept on this cluster only.
    pub local_mount: bool,
    /// What it may keep in storage.
    pub storage: StorageLimits,
    /// What it may log per request or, for a process, per second, in bytes.
    pub log_bytes: u64,
}

impl ServicesConfig {
    /// Services for an entry with those limits, with the server's defaults for the rest.
    pub fn new(store: Arc<dyn Store>, prefix: MountPrefix, label: &str, limits: &Limits) -> Self {
        Self {
            store,
            prefix,
            label: label.to_owned(),
            accessor: String::new(),
            facts: Arc::default(),
            local_mount: false,
            storage: StorageLimits::default(),
            log_bytes: limits.log_bytes,
        }
    }
}

/// What one plugin may keep in storage or hold open there.
#[derive(Clone, Debug)]
pub struct StorageLimits {
    /// A key's length in bytes. Paths of an operating system are no longer.
    pub key_bytes_max: usize,
    /// A value's size in bytes; a request's body is no larger.
    pub value_bytes_max: usize,
    /// What a component's request, or a transaction, may write before it commits, in bytes of keys and values.
    pub buffer_bytes_max: usize,
    /// The names that one listing may give, in bytes.
    pub list_bytes_max: usize,
    /// Transactions that one call may hold open.
    pub open_transactions_max: usize,
}

impl Default for StorageLimits {
    fn default() -> Self {
        Self {
            key_bytes_max: 4096,
            value_bytes_max: 32 << 20,
            buffer_bytes_max: 64 << 20,
            list_bytes_max: 32 << 20,
            open_transactions_max: 16,
        }
    }
}

/// What the host offers one mount.
pub struct MountServices {
    store: Arc<dyn Store>,
    view: View,
    system: MountSystem,
    changes: Arc<ChangeFeed>,
    log: Arc<PluginLog>,
    crashes: Crashes,
    accessor: String,
    /// A permit for each commit under way; closed with the mount.
    commits: Arc<Semaphore>,
    /// Carries commits through whose callers go away; callers may poll from threads without a runtime.
    runtime: Option<Handle>,
}

impl MountServices {
    /// Services of one mount. Made within a tokio runtime, they carry a commit through once it was handed to the store.
    pub fn new(config: ServicesConfig) -> Arc<Self> {
        Arc::new(Self {
            store: config.store,
            view: View::new(config.prefix, config.storage),
            system: MountSystem::new(config.facts, config.local_mount),
            changes: Arc::new(ChangeFeed::new()),
            log: PluginLog::new(&config.label, &config.accessor, config.log_bytes),
            crashes: Crashes::default(),
            accessor: config.accessor,
            commits: Arc::new(Semaphore::new(COMMITS_MAX as usize)),
            runtime: Handle::try_current().ok(),
        })
    }

    /// What the plugin prints, or logs outside of any request.
    pub fn log(&self) -> &Arc<PluginLog> {
        &self.log
    }

    /// Keeps what is known of a request that the plugin did not survive.
    pub(crate) fn keep_crash(&self, crash: Crash) {
        self.crashes.keep(&self.accessor, crash);
    }

    /// How many crashes were kept, over all starts of the plugin, and the last of them, oldest first.
    pub fn crashes(&self) -> (u64, Vec<Arc<Crash>>) {
        self.crashes.seen()
    }

    /// For `setup` and `describe`: storage can be read, writes fail with `cannot write to storage during setup`.
    pub fn setup_scope(self: &Arc<Self>, deadline: Deadline) -> Scope {
        Scope::new(self.clone(), Mode::Setup, deadline)
    }

    /// For processes and builtins: each write reaches the store when it is made.
    pub fn direct_scope(self: &Arc<Self>, deadline: Deadline) -> Scope {
        Scope::new(self.clone(), Mode::Direct, deadline)
    }

    /// For components: writes are kept until [`Scope::commit`], and dropped with the scope.
    pub fn buffered_scope(self: &Arc<Self>, deadline: Deadline) -> Scope {
        Scope::new(self.clone(), Mode::buffered(), deadline)
    }

    /// Keys of this mount that were committed, for instances that cache.
    pub fn changes(&self) -> &ChangeFeed {
        &self.changes
    }

    /// Says to the plugin, when it asks, that its mount is being taken away.
    pub fn taint(&self) {
        self.system.taint();
    }

    /// Refuses every further commit, and resolves when those under way are done, or after a while: the mount's storage
    /// is about to be deleted.
    pub async fn close(&self) {
        let under_way = self.commits.acquire_many(COMMITS_MAX);
        if timeout(CLOSE_TIMEOUT, under_way).await.is_err() {
            tracing::warn!(plugin = %self.label(), "a commit outlasts its mount");
        }
        self.commits.close();
    }

    /// The entry's name and version, for logs and errors.
    pub fn label(&self) -> &str {
        self.log.label()
    }

    pub(super) fn store(&self) -> &dyn Store {
        &*self.store
    }

    pub(super) fn view(&self) -> &View {
        &self.view
    }

    pub(super) fn system(&self) -> &dyn SystemView {
        &self.system
    }

    /// Commits, and then tells the other live stores. Both happen even if the caller goes away meanwhile: a commit that
    /// nobody hears of would leave stale caches behind.
    pub(super) async fn submit(&self, commit: Commit, origin: StoreId) -> Result<(), StoreError> {
        let keys = self.changed_keys(&commit.writes);
        let (store, changes) = (self.store.clone(), self.changes.clone());
        let Ok(under_way) = self.commits.clone().try_acquire_owned() else {
            return Err(StoreError::Failed(
                "the mount is being taken away".to_owned(),
            ));
        };
        let mut work = Box::pin(async move {
            let _under_way = under_way;
            store.commit(commit).await?;
            changes.publish(origin, keys);
            Ok(())
        });
        // A store in memory is done at once, and needs no task.
        if let Some(done) = work.as_mut().now_or_never() {
            return done;
        }
        let runtime = self.runtime.clone().or_else(|| Handle::try_current().ok());
        match runtime {
            None => work.await,
            Some(runtime) => runtime
                .spawn(work)
                .await
                .unwrap_or_else(|gone| Err(StoreError::Failed(gone.to_string()))),
        }
    }

    fn changed_keys(&self, writes: &[Write]) -> Vec<Arc<str>> {
        writes
            .iter()
            .map(|write| Arc::from(self.view.relative(write.key())))
            .collect()
    }
}
