//! An explicit transaction: a snapshot to read from and a buffer of writes, checked at commit.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use palisade_contract::{
    HostError, HostErrorKind, Storage, StorageEntry, Transaction, TransactionMode,
};

use super::buffer::Overlay;
use super::listing::{Listing, Wanted};
use super::scope::{Buffered, Call, Mode, refused_in_setup};
use crate::store::{Check, Commit, Snapshot};

/// An open transaction of one call.
pub(super) struct OpenTransaction {
    call: Arc<Call>,
    mode: TransactionMode,
    /// The store as it was at the beginning.
    snapshot: Box<dyn Snapshot>,
    /// What the request had written by then; empty for a direct call.
    beginning: Arc<Overlay>,
    own: Mutex<Own>,
    _place: Place,
}

/// What a transaction has read and written so far.
#[derive(Default)]
struct Own {
    writes: Overlay,
    /// Keys read, each with what the commit has to find again in the store, unless the request itself had written it.
    keys: BTreeMap<String, Option<Check>>,
    /// Prefixes listed.
    prefixes: BTreeSet<String>,
    /// What the listings read of the store.
    pages: Vec<Check>,
    /// The size of what was read, as far as it has to be kept.
    noted_bytes: usize,
}

impl OpenTransaction {
    pub(super) async fn begin(call: Arc<Call>, mode: TransactionMode) -> Result<Self, HostError> {
        let place = Place::take(&call)?;
        // The request's writes first: what a concurrent commit of this request adds between the two steps is then in
        // the store's future and not in the buffer, and found by the check at commit.
        let beginning = match &call.mode {
            Mode::Buffered(buffered) => buffered.pending().open()?.overlay.clone(),
            Mode::Setup | Mode::Direct => Arc::default(),
        };
        Ok(Self {
            snapshot: call.fresh_snapshot().await?,
            call,
            mode,
            beginning,
            own: Mutex::default(),
            _place: place,
        })
    }

    fn own(&self) -> MutexGuard<'_, Own> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn read(&self, key: &str) -> Result<Option<Vec<u8>>, HostError> {
        if let Some(written) = self.own().writes.get(key) {
            return Ok(written);
        }
        if let Some(written) = self.beginning.get(key) {
            self.note_key(key, None)?;
            return Ok(written);
        }
        let view = self.call.services.view();
        let found = self.snapshot.get(&view.full(key)).await;
        let found = found.map_err(|error| view.to_host_error(error))?;
        let revision = found.as_ref().map(|found| found.revision);
        self.note_key(key, Some(view.key_check(key, revision)))?;
        Ok(found.map(|found| found.value))
    }

    fn note_key(&self, key: &str, check: Option<Check>) -> Result<(), HostError> {
        if self.mode == TransactionMode::ReadOnly {
            return Ok(());
        }
        let mut own = self.own();
        if own.keys.contains_key(key) {
            return Ok(());
        }
        own.note(key.len(), &self.call)?;
        own.keys.insert(key.to_owned(), check);
        Ok(())
    }

    async fn names(&self, wanted: Wanted<'_>) -> Result<Vec<String>, HostError> {
        let mut marks = BTreeMap::new();
        self.beginning.mark(wanted.prefix, &mut marks);
        self.own().writes.mark(wanted.prefix, &mut marks);
        let mut pages = Vec::new();
        let mut listing = Listing {
            view: self.call.services.view(),
            base: &*self.snapshot,
            marks: &marks,
            seen: (self.mode == TransactionMode::ReadWrite).then_some(&mut pages),
        };
        let names = listing.page(wanted).await?;
        self.note_pages(wanted.prefix, pages)?;
        Ok(names)
    }

    fn note_pages(&self, prefix: &str, pages: Vec<Check>) -> Result<(), HostError> {
        if pages.is_empty() {
            return Ok(());
        }
        let mut own = self.own();
        own.note(pages.iter().map(page_bytes).sum(), &self.call)?;
        own.prefixes.insert(prefix.to_owned());
        own.pages.extend(pages);
        Ok(())
    }

    fn change(&self, key: &str, value: Option<Vec<u8>>) -> Result<(), HostError> {
        if self.mode == TransactionMode::ReadOnly {
            return Err(HostError::of(HostErrorKind::ReadOnly));
        }
        match &self.call.mode {
            Mode::Setup => return Err(refused_in_setup()),
            Mode::Buffered(buffered) => drop(buffered.pending().open()?),
            Mode::Direct => {}
        }
        let bytes_max = self.call.services.view().limits().buffer_bytes_max;
        self.own().writes.set(key, value.map(Arc::new), bytes_max)
    }

    async fn finish(&self) -> Result<(), HostError> {
        let own = std::mem::take(&mut *self.own());
        match &self.call.mode {
            // Nothing can have been written, and what was read is consistent by itself.
            Mode::Setup => Ok(()),
            Mode::Direct => self.finish_in_store(own).await,
            Mode::Buffered(buffered) => self.finish_in_request(own, buffered).await,
        }
    }

    async fn finish_in_store(&self, own: Own) -> Result<(), HostError> {
        let view = self.call.services.view();
        let checks = own.checks();
        let writes = own.writes.into_writes(view);
        if writes.is_empty() && checks.is_empty() {
            return Ok(());
        }
        let commit = Commit { checks, writes };
        let committed = self.call.services.submit(commit, self.call.origin());
        committed.await.map_err(|error| view.to_host_error(error))
    }

    /// Tests against the store what the request's own commit will test again, then joins the request's writes.
    async fn finish_in_request(&self, own: Own, buffered: &Buffered) -> Result<(), HostError> {
        let services = &self.call.services;
        let checks = own.checks();
        if !checks.is_empty() {
            let test = Commit {
                checks: checks.clone(),
                writes: Vec::new(),
            };
            let tested = services.store().commit(test).await;
            tested.map_err(|error| services.view().to_host_error(error))?;
        }
        let mut pending = buffered.pending();
        let pending = pending.open()?;
        own.check_request(&pending.overlay, self.beginning.clock())?;
        let bytes_max = services.view().limits().buffer_bytes_max;
        Arc::make_mut(&mut pending.overlay).join(&own.writes, bytes_max)?;
        pending.checks.extend(checks);
        Ok(())
    }
}

impl Own {
    /// Takes room for something that was read and has to be kept until commit.
    fn note(&mut self, bytes: usize, call: &Call) -> Result<(), HostError> {
        let limit = call.services.view().limits().buffer_bytes_max;
        self.noted_bytes += bytes;
        if self.noted_bytes > limit {
            let detail = format!("a transaction's reads come to over {limit} bytes of keys");
            return Err(HostError::about(HostErrorKind::Quota, detail));
        }
        Ok(())
    }

    /// What must still hold in the store.
    fn checks(&self) -> Vec<Check> {
        let keys = self.keys.values().flatten();
        keys.chain(&self.pages).cloned().collect()
    }

    /// Whether the request itself changed what this transaction had read of its writes.
    fn check_request(&self, now: &Overlay, clock: u64) -> Result<(), HostError> {
        let key = self.keys.keys().find(|key| now.changed_since(key, clock));
        let mut prefixes = self.prefixes.iter();
        let prefix = prefixes.find(|prefix| now.changed_beneath_since(prefix, clock));
        match key.or(prefix) {
            None => Ok(()),
            Some(changed) => {
                let about = format!("{changed:?} has changed");
                Err(HostError::about(HostErrorKind::Conflict, about))
            }
        }
    }
}

fn page_bytes(check: &Check) -> usize {
    match check {
        Check::Key { key, .. } => key.len(),
        Check::Page { prefix, keys, .. } => {
            prefix.len()
                + keys
                    .iter()
                    .map(|key| key.len() + size_of::<String>())
                    .sum::<usize>()
        }
    }
}

/// One of the few transactions that a call may hold open; given back on drop.
struct Place(Arc<Call>);

impl Place {
    fn take(call: &Arc<Call>) -> Result<Self, HostError> {
        let limit = call.services.view().limits().open_transactions_max;
        let taken =
            call.open_transactions
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |open| {
                    (open < limit).then_some(open + 1)
                });
        match taken {
            Ok(_) => Ok(Self(call.clone())),
            Err(open) => {
                let detail = format!("{open} transactions are open, {limit} are allowed");
                Err(HostError::about(HostErrorKind::Quota, detail))
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.open_transactions.fetch_sub(1, Ordering::Relaxed);
    }
}

#[async_trait]
impl Storage for OpenTransaction {
    async fn get(&self, key: &str) -> Result<Option<StorageEntry>, HostError> {
        self.call.services.view().check_key(key)?;
        let value = self.call.deadline.bound("reading", self.read(key)).await?;
        Ok(value.map(|value| StorageEntry::new(key, value)))
    }

    async fn put(&self, entry: StorageEntry) -> Result<(), HostError> {
        let StorageEntry { key, value, .. } = entry;
        self.call.services.view().check_put(&key, value.len())?;
        self.change(&key, Some(value))
    }

    async fn delete(&self, key: &str) -> Result<(), HostError> {
        self.call.services.view().check_key(key)?;
        self.change(key, None)
    }

    async fn list_page(
        &self,
        prefix: &str,
        after: &str,
        limit: i32,
    ) -> Result<Vec<String>, HostError> {
        self.call.services.view().check_list(prefix, after)?;
        let names = self.names(Wanted::new(prefix, after, limit));
        self.call.deadline.bound("listing", names).await
    }

    async fn begin(&self, _mode: TransactionMode) -> Result<Box<dyn Transaction>, HostError> {
        Err(HostError::other(
            "a transaction is open already; they do not nest",
        ))
    }
}

#[async_trait]
impl Transaction for OpenTransaction {
    async fn commit(self: Box<Self>) -> Result<(), HostError> {
        self.call.deadline.bound("writing", self.finish()).await
    }

    async fn rollback(self: Box<Self>) -> Result<(), HostError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{deadline, put, services};
    use super::super::{MountServices, Scope, StoreId};
    use super::*;
    use crate::CallError;

    /// Both kinds of call in which a plugin can open transactions.
    fn scopes(services: &Arc<MountServices>) -> [Scope; 2] {
        [
            services.direct_scope(deadline()),
            services.buffered_scope(deadline()),
        ]
    }

    #[tokio::test]
    async fn what_a_transaction_wrote_is_visible_after_its_commit_only() {
        let services = services();
        for scope in scopes(&services) {
            let tx = scope.begin(TransactionMode::ReadWrite).await.unwrap();
            put(&*tx, "k", "v").await.unwrap();
            assert!(tx.get("k").await.unwrap().is_some());
            assert_eq!(tx.list("").await.unwrap(), ["k"]);
            assert_eq!(scope.get("k").await.unwrap(), None);
            tx.commit().await.unwrap();
            assert!(scope.get("k").await.unwrap().is_some());
            scope.delete("k").await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_transaction_rolled_back_or_dropped_leaves_nothing() {
        let services = services();
        for scope in scopes(&services) {
            let tx = scope.begin(TransactionMode::ReadWrite).await.unwrap();
            put(&*tx, "k", "v").await.unwrap();
            tx.rollback().await.unwrap();
            let tx = scope.begin(TransactionMode::ReadWrite).await.unwrap();
            put(&*tx, "k", "v").await.unwrap();
            drop(tx);
            assert_eq!(scope.get("k").await.unwrap(), None);
        }
    }

    #[tokio::test]
    async fn a_read_only_transaction_refuses_writes() {
        let services = services();
        for scope in scopes(&services) {
            let tx = scope.begin(TransactionMode::ReadOnly).await.unwrap();
            let error = put(&*tx, "k", "v").await.unwrap_err();
            assert_eq!(error.message, "cannot write to readonly storage");
            tx.commit().await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_transaction_whose_read_was_overtaken_conflicts() {
        let services = services();
        for scope in scopes(&services) {
            let other = services.direct_scope(deadline());
            for overtaken in ["key", "absence", "listing"] {
                put(&other, "p/k", "old").await.unwrap();
                let tx = scope.begin(TransactionMode::ReadWrite).await.unwrap();
                match overtaken {
                    "key" => drop(tx.get("p/k").await.unwrap()),
                    "absence" => drop(tx.get("p/new").await.unwrap()),
                    _ => drop(tx.list("p/").await.unwrap()),
                }
                put(&*tx, "out", "x").await.unwrap();
                put(&other, "p/k", "new").await.unwrap();
                put(&other, "p/new", "new").await.unwrap();
                let error = tx.commit().await.unwrap_err();
                assert_eq!(error.kind, HostErrorKind::Conflict, "{overtaken}");
                assert!(error.message.starts_with("transaction commit failed"));
                assert_eq!(scope.get("out").await.unwrap(), None);
                other.delete("p/new").await.unwrap();
            }
        }
    }

    #[tokio::test]
    async fn a_transaction_that_only_writes_does_not_conflict() {
        let services = services();
        for scope in scopes(&services) {
            let other = services.direct_scope(deadline());
            let tx = scope.begin(TransactionMode::ReadWrite).await.unwrap();
            put(&*tx, "k", "mine").await.unwrap();
            put(&other, "k", "theirs").await.unwrap();
            tx.commit().await.unwrap();
            assert_eq!(scope.get("k").await.unwrap().unwrap().value, b"mine");
        }
    }

    #[tokio::test]
    async fn what_a_transaction_read_is_checked_again_when_its_request_commits() {
        let services = services();
        let scope = services.buffered_scope(deadline());
        let tx = scope.begin(TransactionMode::ReadWrite).await.unwrap();
        tx.get("k").await.unwrap();
        put(&*tx, "out", "x").await.unwrap();
        tx.commit().await.unwrap();

        let other = services.direct_scope(deadline());
        put(&other, "k", "faster").await.unwrap();
        let error = scope.commit(StoreId::NONE).await.unwrap_err();
        assert!(matches!(error, CallError::Conflict { key } if key == "k"));
        assert_eq!(other.get("out").await.unwrap(), None);
    }

    #[tokio::test]
    async fn two_transactions_of_one_request_conflict_with_each_other() {
        let services = services();
        let scope = services.buffered_scope(deadline());
        put(&scope, "n", "0").await.unwrap();
        let first = scope.begin(TransactionMode::ReadWrite).await.unwrap();
        let second = scope.begin(TransactionMode::ReadWrite).await.unwrap();
        for tx in [&first, &second] {
            assert_eq!(tx.get("n").await.unwrap().unwrap().value, b"0");
            put(&**tx, "n", "1").await.unwrap();
        }
        first.commit().await.unwrap();
        let error = second.commit().await.unwrap_err();
        assert_eq!(error.kind, HostErrorKind::Conflict);
    }

    #[tokio::test]
    async fn a_transaction_sees_the_requests_writes_of_before_and_none_of_after() {
        let services = services();
        let scope = services.buffered_scope(deadline());
        put(&scope, "before", "1").await.unwrap();
        let tx = scope.begin(TransactionMode::ReadWrite).await.unwrap();
        put(&scope, "after", "1").await.unwrap();
        assert_eq!(tx.list("").await.unwrap(), ["before"]);
        // And so what it listed is no longer so.
        let error = tx.commit().await.unwrap_err();
        assert_eq!(error.kind, HostErrorKind::Conflict);
    }

    #[tokio::test]
    async fn a_call_holds_a_bounded_number_of_transactions_open() {
        let services = services();
        let scope = services.direct_scope(deadline());
        let mut open = Vec::new();
        let refused = loop {
            match scope.begin(TransactionMode::ReadOnly).await {
                Ok(tx) => open.push(tx),
                Err(error) => break error,
            }
        };
        assert_eq!(refused.kind, HostErrorKind::Quota);
        assert_eq!(open.len(), 16);
        open.pop();
        assert!(scope.begin(TransactionMode::ReadOnly).await.is_ok());
    }

    #[tokio::test]
    async fn lost_updates_do_not_happen() {
        let services = services();
        let add = |services: Arc<MountServices>| async move {
            let scope = services.direct_scope(deadline());
            loop {
                let tx = scope.begin(TransactionMode::ReadWrite).await.unwrap();
                let count = match tx.get("n").await.unwrap() {
                    Some(entry) => String::from_utf8(entry.value).unwrap().parse().unwrap(),
                    None => 0u32,
                };
                tokio::task::yield_now().await;
                put(&*tx, "n", &(count + 1).to_string()).await.unwrap();
                if tx.commit().await.is_ok() {
                    return;
                }
            }
        };
        let adders: Vec<_> = (0..50)
            .map(|_| tokio::spawn(add(services.clone())))
            .collect();
        for adder in adders {
            adder.await.unwrap();
        }
        let scope = services.direct_scope(deadline());
        assert_eq!(scope.get("n").await.unwrap().unwrap().value, b"50");
    }
}
