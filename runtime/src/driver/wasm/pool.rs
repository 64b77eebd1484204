//! The long-lived stores of one mount that no request is using.

#![expect(
    clippy::vec_box,
    reason = "a store goes from the pool to its requests and back by its pointer"
)]

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use super::places::Share;
use super::store::GuestStore;
use crate::{Isolation, Limits};

/// Idle stores, and which of those in use may come back.
pub(super) struct Pool {
    inner: Mutex<Inner>,
    idle_max: usize,
    uses_max: u32,
    age_max: Duration,
    share: Arc<Share>,
}

#[derive(Default)]
struct Inner {
    /// The one that was given back last is the last.
    idle: Vec<Box<GuestStore>>,
    /// Stores that were taken in an older era are not taken back.
    era: u64,
    closed: bool,
    /// Whether a task is about to look for stores that have become too old.
    is_watched: bool,
}

/// When a store was taken.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Era(u64);

impl Pool {
    /// An empty pool of a mount with those limits, and of no more than `idle_max` stores, which are among those of `share`.
    pub(super) fn new(limits: &Limits, idle_max: u32, share: &Arc<Share>) -> Arc<Self> {
        let idle_max = match limits.isolation {
            Isolation::Call => 0,
            Isolation::Mount => idle_max.min(limits.idle_stores).min(limits.concurrency),
        };
        let pool = Arc::new(Self {
            inner: Mutex::default(),
            idle_max: usize::try_from(idle_max).unwrap_or(usize::MAX),
            uses_max: limits.store_uses,
            age_max: limits.store_age,
            share: Arc::clone(share),
        });
        if idle_max > 0 {
            share.add_pool(&pool);
        }
        pool
    }

    /// The store that was given back last, whose memory is warm, and the era.
    pub(super) fn take(&self) -> (Option<Box<GuestStore>>, Era) {
        let (store, era, _old) = self.with(|inner| {
            let old = inner.take_older_than(self.age_max);
            (inner.idle.pop(), Era(inner.era), old)
        });
        (store, era)
    }

    /// Takes a store back, unless it is worn out, somebody waits for its place, it is from an older era or there are
    /// enough.
    pub(super) fn give(self: &Arc<Self>, store: Box<GuestStore>, taken: Era) {
        let is_worn = store.uses() >= self.uses_max || store.age_when_asked() >= self.age_max;
        let (refused, needs_watch) = self.with(|inner| {
            let has_room =
                !inner.closed && inner.era == taken.0 && inner.idle.len() < self.idle_max;
            // Asked under the lock: whoever waits looks here after having said so.
            if is_worn || !has_room || self.share.is_wanted() {
                return (Some(store), false);
            }
            inner.idle.push(store);
            (None, !inner.is_watched)
        });
        // Unmapping memory takes its time, and happens without the lock.
        drop(refused);
        if needs_watch {
            self.watch();
        }
    }

    /// An idle store whose place is needed elsewhere: the one that was not used for the longest time.
    pub(super) fn give_way(&self) -> Option<Box<GuestStore>> {
        self.with(|inner| (!inner.idle.is_empty()).then(|| inner.idle.remove(0)))
    }

    /// Takes every idle store, and begins an era: stores that are in use now do not come back.
    pub(super) fn turn(&self) -> (Vec<Box<GuestStore>>, Era) {
        self.with(|inner| {
            inner.era += 1;
            (std::mem::take(&mut inner.idle), Era(inner.era))
        })
    }

    /// Takes every idle store, and takes none back from now on.
    pub(super) fn close(&self) -> (Vec<Box<GuestStore>>, Era) {
        self.with(|inner| {
            inner.closed = true;
            (std::mem::take(&mut inner.idle), Era(inner.era))
        })
    }

    /// How many stores wait here.
    #[cfg(test)]
    pub(super) fn idle(&self) -> usize {
        self.with(|inner| inner.idle.len())
    }

    /// Sees to it that stores are dropped when they are too old, even if no request comes.
    fn watch(self: &Arc<Self>) {
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        if !self.with(|inner| std::mem::replace(&mut inner.is_watched, true)) {
            runtime.spawn(drop_the_old(Arc::downgrade(self)));
        }
    }

    /// Drops what is too old, and says when the next one is; nothing when none is left, and nobody watches any more.
    fn sweep(&self) -> Option<Instant> {
        let (next, _old) = self.with(|inner| {
            let old = inner.take_older_than(self.age_max);
            let next = inner
                .idle
                .iter()
                .map(|store| store.born() + self.age_max)
                .min();
            inner.is_watched = next.is_some();
            (next, old)
        });
        next
    }

    fn with<T>(&self, act: impl FnOnce(&mut Inner) -> T) -> T {
        act(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Inner {
    fn take_older_than(&mut self, age: Duration) -> Vec<Box<GuestStore>> {
        // One look at the clock: this is done under the lock, for every request.
        let now = Instant::now();
        let old = self
            .idle
            .extract_if(.., |store| now.duration_since(store.born()) >= age);
        old.collect()
    }
}

async fn drop_the_old(pool: Weak<Pool>) {
    while let Some(next) = pool.upgrade().and_then(|pool| pool.sweep()) {
        tokio::time::sleep_until(next.into()).await;
    }
}
