//! The host as one call of a plugin sees it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use palisade_contract::{
    Host, HostError, HostErrorKind, LogRecord, Storage, StorageEntry, SystemView, Timestamp,
    Transaction, TransactionMode,
};
use tokio::sync::OnceCell;

use super::buffer::Pending;
use super::listing::{Listing, Wanted};
use super::log::RequestBudget;
use super::transaction::OpenTransaction;
use super::{Deadline, MountServices, StoreId};
use crate::CallError;
use crate::store::{Commit, Snapshot, Write};

/// How long after its deadline a request still waits for the store to confirm its writes: many syncs of a busy disk.
const COMMIT_GRACE: Duration = Duration::from_millis(if cfg!(test) { 50 } else { 10_000 });

/// The host as one call of a plugin sees it.
///
/// Cheap to share: [`Scope::share`] gives a second handle to the same call, for tasks that serve it.
pub struct Scope {
    call: Arc<Call>,
}

impl Scope {
    pub(super) fn new(services: Arc<MountServices>, mode: Mode, deadline: Deadline) -> Self {
        let log = RequestBudget::new(services.log().bytes_max());
        Self {
            call: Arc::new(Call {
                services,
                mode,
                deadline,
                origin: AtomicU64::new(StoreId::NONE.0),
                open_transactions: AtomicUsize::new(0),
                log,
            }),
        }
    }

    /// Says which live store the writes come from, so that it is not told of its own. For direct scopes; a buffered one
    /// says it at [`commit`](Self::commit).
    pub fn from_store(self, origin: StoreId) -> Self {
        self.call.origin.store(origin.0, Ordering::Relaxed);
        self
    }

    /// Another handle to the same call.
    pub fn share(&self) -> Self {
        Self {
            call: self.call.clone(),
        }
    }

    /// Makes what a buffered scope wrote visible together. `origin` says which live store it came from, so that the
    /// others are told. A direct scope has nothing left to commit. Afterwards every other handle to the call, and every
    /// transaction left open, is refused.
    ///
    /// A deadline that has passed before is a timeout, and nothing is written. Once the writes are handed to the store
    /// they are carried through even if the caller goes away, so an answer may come a little after the deadline rather
    /// than say of writes that are there that they are not.
    ///
    /// # Errors
    ///
    /// [`CallError::Conflict`] when something a transaction of this call read has changed since.
    pub async fn commit(self, origin: StoreId) -> Result<(), CallError> {
        let call = self.call;
        if call.deadline.left().is_zero() {
            return Err(CallError::Timeout {
                plugin: call.services.label().to_owned(),
                limit: call.deadline.limit(),
            });
        }
        let Some(commit) = call.take_commit() else {
            return Ok(());
        };
        let patience = Deadline::after(call.deadline.left() + COMMIT_GRACE);
        let submitted = call.services.submit(commit, origin);
        match patience.wait_for(submitted).await {
            Some(committed) => committed.map_err(|error| call.services.view().to_call_error(error)),
            None => Err(CallError::Storage(format!(
                "the request's writes were not confirmed within {COMMIT_GRACE:?} of its deadline, and may still be made"
            ))),
        }
    }

    /// When the caller stops waiting.
    pub fn deadline(&self) -> Deadline {
        self.call.deadline
    }
}

impl Host for Scope {
    fn storage(&self) -> &dyn Storage {
        self
    }

    fn system(&self) -> &dyn SystemView {
        self.call.services.system()
    }

    fn log(&self, record: LogRecord<'_>) {
        self.call.services.log().log_within(&self.call.log, record);
    }

    fn now(&self) -> Timestamp {
        SystemTime::now().into()
    }

    fn random(&self, bytes: &mut [u8]) {
        super::password::fill_random(bytes);
    }

    fn time_left(&self) -> Option<Duration> {
        Some(self.call.deadline.left())
    }
}

/// What becomes of a call's writes.
pub(super) enum Mode {
    /// They are refused.
    Setup,
    /// They reach the store one by one.
    Direct,
    /// They are kept until the commit.
    Buffered(Buffered),
}

impl Mode {
    pub(super) fn buffered() -> Self {
        Self::Buffered(Buffered::default())
    }
}

/// A component's request: one state to read from, and what is written over it.
#[derive(Default)]
pub(super) struct Buffered {
    /// Taken at the first read.
    snapshot: OnceCell<Box<dyn Snapshot>>,
    pending: Mutex<Pending>,
}

impl Buffered {
    pub(super) fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The one state that all handles to a call share.
pub(super) struct Call {
    pub(super) services: Arc<MountServices>,
    pub(super) mode: Mode,
    pub(super) deadline: Deadline,
    origin: AtomicU64,
    pub(super) open_transactions: AtomicUsize,
    log: RequestBudget,
}

impl Drop for Call {
    fn drop(&mut self) {
        self.services.log().note_dropped(self.log.take_dropped());
    }
}

impl Call {
    pub(super) fn origin(&self) -> StoreId {
        StoreId(self.origin.load(Ordering::Relaxed))
    }

    /// What to hand to the store at the end; `None` when there is nothing.
    fn take_commit(&self) -> Option<Commit> {
        let Mode::Buffered(buffered) = &self.mode else {
            return None;
        };
        let mut pending = buffered.pending();
        pending.closed = true;
        // Without writes nothing can go wrong that the transactions' own commits did not find.
        if pending.overlay.is_empty() {
            return None;
        }
        let overlay = std::mem::take(&mut pending.overlay);
        let writes = Arc::unwrap_or_clone(overlay).into_writes(self.services.view());
        let checks = std::mem::take(&mut pending.checks);
        Some(Commit { checks, writes })
    }

    /// The store's state of now.
    pub(super) async fn fresh_snapshot(&self) -> Result<Box<dyn Snapshot>, HostError> {
        let snapshot = self.services.store().snapshot().await;
        snapshot.map_err(|error| self.services.view().to_host_error(error))
    }

    /// The one state that a buffered call reads.
    async fn snapshot_of<'a>(&self, buffered: &'a Buffered) -> Result<&'a dyn Snapshot, HostError> {
        if let Some(snapshot) = buffered.snapshot.get() {
            return Ok(&**snapshot);
        }
        // Boxed, so that all other reads carry no room for it.
        let snapshot = buffered.snapshot.get_or_try_init(|| self.fresh_snapshot());
        Box::pin(snapshot).await.map(|snapshot| &**snapshot)
    }

    async fn read(&self, key: &str) -> Result<Option<Vec<u8>>, HostError> {
        let Mode::Buffered(buffered) = &self.mode else {
            return self.read_from(&*self.fresh_snapshot().await?, key).await;
        };
        let own = buffered.pending().open()?.overlay.get(key);
        match own {
            Some(own) => Ok(own),
            None => self.read_from(self.snapshot_of(buffered).await?, key).await,
        }
    }

    async fn read_from(
        &self,
        base: &dyn Snapshot,
        key: &str,
    ) -> Result<Option<Vec<u8>>, HostError> {
        let view = self.services.view();
        let found = base.get(&view.full(key)).await;
        let found = found.map_err(|error| view.to_host_error(error))?;
        Ok(found.map(|found| found.value))
    }

    async fn names(&self, wanted: Wanted<'_>) -> Result<Vec<String>, HostError> {
        let mut marks = BTreeMap::new();
        let Mode::Buffered(buffered) = &self.mode else {
            let base = self.fresh_snapshot().await?;
            return self.listing(&*base, &marks).page(wanted).await;
        };
        buffered
            .pending()
            .open()?
            .overlay
            .mark(wanted.prefix, &mut marks);
        let base = self.snapshot_of(buffered).await?;
        self.listing(base, &marks).page(wanted).await
    }

    fn listing<'a>(
        &'a self,
        base: &'a dyn Snapshot,
        marks: &'a BTreeMap<String, bool>,
    ) -> Listing<'a> {
        Listing {
            view: self.services.view(),
            base,
            marks,
            seen: None,
        }
    }

    /// Keeps, makes or refuses one write; `None` deletes.
    async fn change(&self, key: &str, value: Option<Vec<u8>>) -> Result<(), HostError> {
        match &self.mode {
            Mode::Setup => Err(refused_in_setup()),
            Mode::Direct => self.write_through(key, value).await,
            Mode::Buffered(buffered) => {
                let bytes_max = self.services.view().limits().buffer_bytes_max;
                let mut pending = buffered.pending();
                let overlay = Arc::make_mut(&mut pending.open()?.overlay);
                overlay.set(key, value.map(Arc::new), bytes_max)
            }
        }
    }

    async fn write_through(&self, key: &str, value: Option<Vec<u8>>) -> Result<(), HostError> {
        let view = self.services.view();
        let key = view.full(key);
        let write = match value {
            Some(value) => Write::Put { key, value },
            None => Write::Delete { key },
        };
        let committed = self.services.submit(Commit::of(vec![write]), self.origin());
        committed.await.map_err(|error| view.to_host_error(error))
    }
}

/// What a plugin is told that writes before its mount is enabled. The text is OpenBao's.
pub(super) fn refused_in_setup() -> HostError {
    HostError {
        kind: HostErrorKind::Denied,
        message: "cannot write to storage during setup".to_owned(),
    }
}

#[async_trait]
impl Storage for Scope {
    async fn get(&self, key: &str) -> Result<Option<StorageEntry>, HostError> {
        self.call.services.view().check_key(key)?;
        let value = self
            .call
            .deadline
            .bound("reading", self.call.read(key))
            .await?;
        Ok(value.map(|value| StorageEntry::new(key, value)))
    }

    async fn put(&self, entry: StorageEntry) -> Result<(), HostError> {
        let StorageEntry { key, value, .. } = entry;
        self.call.services.view().check_put(&key, value.len())?;
        let change = self.call.change(&key, Some(value));
        self.call.deadline.bound("writing", change).await
    }

    async fn delete(&self, key: &str) -> Result<(), HostError> {
        self.call.services.view().check_key(key)?;
        let change = self.call.change(key, None);
        self.call.deadline.bound("writing", change).await
    }

    async fn list_page(
        &self,
        prefix: &str,
        after: &str,
        limit: i32,
    ) -> Result<Vec<String>, HostError> {
        self.call.services.view().check_list(prefix, after)?;
        let names = self.call.names(Wanted::new(prefix, after, limit));
        self.call.deadline.bound("listing", names).await
    }

    async fn begin(&self, mode: TransactionMode) -> Result<Box<dyn Transaction>, HostError> {
        let begun = OpenTransaction::begin(self.call.clone(), mode);
        let transaction = self.call.deadline.bound("reading", begun).await?;
        Ok(Box::new(transaction))
    }
}

#[cfg(test)]
mod tests {
    use palisade_contract::LogLevel;

    use super::super::testing::{GatedStore, Lines, deadline, put, services, services_over};
    use super::super::{Changes, StoreId};
    use super::*;

    #[tokio::test]
    async fn a_plugin_writes_nothing_during_setup() {
        let services = services();
        let scope = services.setup_scope(deadline());
        let error = put(&scope, "k", "v").await.unwrap_err();
        assert_eq!(error.kind, HostErrorKind::Denied);
        assert_eq!(error.message, "cannot write to storage during setup");
        assert_eq!(scope.get("k").await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_direct_write_is_there_at_once_and_a_buffered_one_after_its_commit() {
        let services = services();
        let direct = services.direct_scope(deadline());
        let buffered = services.buffered_scope(deadline());
        put(&direct, "d", "1").await.unwrap();
        put(&buffered, "b", "2").await.unwrap();

        assert!(direct.get("d").await.unwrap().is_some());
        assert!(direct.get("b").await.unwrap().is_none());
        assert_eq!(buffered.list("").await.unwrap(), ["b", "d"]);

        buffered.commit(StoreId::NONE).await.unwrap();
        assert_eq!(direct.list("").await.unwrap(), ["b", "d"]);
    }

    #[tokio::test]
    async fn a_buffered_call_reads_one_state_with_its_own_writes_over_it() {
        let services = services();
        let direct = services.direct_scope(deadline());
        put(&direct, "k", "old").await.unwrap();
        let buffered = services.buffered_scope(deadline());
        assert!(buffered.get("k").await.unwrap().is_some());

        put(&direct, "k", "new").await.unwrap();
        put(&direct, "other", "x").await.unwrap();
        let seen = buffered.get("k").await.unwrap().unwrap();
        assert_eq!(seen.value, b"old");
        assert_eq!(buffered.get("other").await.unwrap(), None);

        buffered.delete("k").await.unwrap();
        assert_eq!(buffered.get("k").await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_dropped_call_leaves_nothing() {
        let services = services();
        let buffered = services.buffered_scope(deadline());
        put(&buffered, "k", "v").await.unwrap();
        drop(buffered);
        let direct = services.direct_scope(deadline());
        assert_eq!(direct.get("k").await.unwrap(), None);
    }

    #[tokio::test]
    async fn after_its_deadline_a_call_reaches_no_storage_and_commits_nothing() {
        let services = services();
        let late = services.buffered_scope(Deadline::after(Duration::from_millis(20)));
        put(&late, "k", "v").await.unwrap();
        tokio::time::sleep_until(late.deadline().at().into()).await;
        assert!(late.get("k").await.is_err());
        let error = late.commit(StoreId::NONE).await.unwrap_err();
        assert!(matches!(error, CallError::Timeout { .. }));
        let direct = services.direct_scope(deadline());
        assert_eq!(direct.get("k").await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_handle_left_over_is_refused_after_the_commit() {
        let services = services();
        let scope = services.buffered_scope(deadline());
        let left_over = scope.share();
        scope.commit(StoreId::NONE).await.unwrap();
        let error = put(&left_over, "k", "v").await.unwrap_err();
        assert_eq!(error.message, "the request is over");
    }

    #[tokio::test]
    async fn every_committed_key_is_told_to_the_other_live_stores() {
        let services = services();
        let (writer, _) = services.changes().join();
        let (reader, mut at) = services.changes().join();

        let direct = services.direct_scope(deadline()).from_store(writer);
        put(&direct, "a", "1").await.unwrap();
        let buffered = services.buffered_scope(deadline());
        put(&buffered, "b", "1").await.unwrap();
        buffered.delete("c").await.unwrap();
        buffered.commit(writer).await.unwrap();

        let expected = ["a", "b", "c"].map(Arc::from).to_vec();
        let told = services.changes().since(reader, &mut at);
        assert_eq!(told, Changes::Keys(expected));
    }

    #[tokio::test]
    async fn a_commit_is_carried_through_when_its_caller_goes_away_and_the_others_are_told() {
        let store = Arc::new(GatedStore::default());
        let services = services_over(store.clone(), "0a");
        let (reader, mut at) = services.changes().join();
        let scope = services.buffered_scope(deadline());
        put(&scope, "k", "v").await.unwrap();

        let mut caller = tokio::spawn(scope.commit(StoreId::NONE));
        store.arrived.notified().await;
        caller.abort();
        assert!((&mut caller).await.unwrap_err().is_cancelled());
        assert!(!services.changes().moved(at));

        store.gate.notify_one();
        store.left.notified().await;
        tokio::task::yield_now().await;
        let direct = services.direct_scope(deadline());
        assert!(direct.get("k").await.unwrap().is_some());
        let told = services.changes().since(reader, &mut at);
        assert_eq!(told, Changes::Keys(vec![Arc::from("k")]));
    }

    #[tokio::test]
    async fn a_store_that_hangs_costs_a_direct_call_its_deadline_and_no_more() {
        let services = services_over(Arc::new(GatedStore::default()), "0a");
        let scope = services.direct_scope(Deadline::after(Duration::from_millis(20)));
        let error = put(&scope, "k", "v").await.unwrap_err();
        assert!(error.message.contains("20ms passed while writing"));
    }

    #[tokio::test]
    async fn a_commit_that_is_never_confirmed_ends_with_an_error_that_says_so() {
        let services = services_over(Arc::new(GatedStore::default()), "0a");
        let scope = services.buffered_scope(Deadline::after(Duration::from_millis(50)));
        put(&scope, "k", "v").await.unwrap();
        let error = scope.commit(StoreId::NONE).await.unwrap_err();
        assert!(error.to_string().contains("may still be made"));
    }

    #[tokio::test]
    async fn a_plugins_lines_reach_the_log_with_its_name_and_no_more_of_them_than_it_may() {
        let lines = Lines::default();
        let _guard = tracing::subscriber::set_default(lines.clone());
        let services = services();
        let scope = services.buffered_scope(deadline());
        let record = LogRecord {
            level: LogLevel::Warn,
            message: "first\nforged",
            fields: &[("key", "value")],
        };
        scope.log(record);
        let long = "x".repeat(8000);
        for _ in 0..10 {
            scope.log(LogRecord {
                message: &long,
                ..record
            });
        }
        drop(scope);
        services.log().output("stderr", b"raw \xff bytes");

        let lines = lines.take();
        assert_eq!(
            lines[0],
            "WARN palisade::plugin message=first\\nforged key=value plugin=\"test v1.0.0\" accessor=\"\""
        );
        assert!(lines[lines.len() - 2].contains("dropped 2 lines"));
        assert!(lines[lines.len() - 1].contains("message=raw \u{fffd} bytes stream=stderr"));
        assert_eq!(lines.len(), 1 + 8 + 2);
    }

    #[tokio::test]
    async fn a_call_that_buffers_too_much_is_told_its_quota() {
        let services = services();
        let scope = services.buffered_scope(deadline());
        let large = StorageEntry::new("a", vec![0; 32 << 20]);
        scope.put(large.clone()).await.unwrap();
        // Over the same key there is room again.
        scope.put(large.clone()).await.unwrap();
        let more = StorageEntry {
            key: "b".to_owned(),
            ..large
        };
        let error = scope.put(more).await.unwrap_err();
        assert_eq!(error.kind, HostErrorKind::Quota);
        assert_eq!(scope.list("").await.unwrap(), ["a"]);
    }

    #[tokio::test]
    async fn two_mounts_of_one_store_do_not_see_each_other() {
        let store: Arc<dyn crate::store::Store> = Arc::new(crate::store::MemoryStore::new());
        let a = services_over(store.clone(), "aa");
        let b = services_over(store, "aab");
        let (a, b) = (a.direct_scope(deadline()), b.direct_scope(deadline()));
        put(&a, "k", "of a").await.unwrap();
        put(&b, "b/k", "of b").await.unwrap();
        assert_eq!(a.list("").await.unwrap(), ["k"]);
        assert_eq!(b.list("").await.unwrap(), ["b/"]);
        assert_eq!(b.get("k").await.unwrap(), None);
        assert_eq!(a.list("b").await.unwrap(), Vec::<String>::new());
    }

    #[tokio::test]
    async fn a_closed_mount_waits_for_the_commit_under_way_and_refuses_the_next() {
        let store = Arc::new(GatedStore::default());
        let services = services_over(store.clone(), "0a");
        let early = tokio::spawn({
            let scope = services.direct_scope(deadline());
            async move { put(scope.storage(), "early", "v").await }
        });
        store.arrived.notified().await;
        let closing = tokio::spawn({
            let services = services.clone();
            async move { services.close().await }
        });
        tokio::task::yield_now().await;
        assert!(!closing.is_finished());
        store.gate.notify_one();
        early.await.unwrap().unwrap();
        closing.await.unwrap();
        let late = services.direct_scope(deadline());
        assert!(put(late.storage(), "late", "v").await.is_err());
    }
}
