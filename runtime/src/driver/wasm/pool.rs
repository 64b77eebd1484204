//! The long-lived stores of one mount that no request is using.

use std::sync::{Mutex, PoisonError};

use super::store::GuestStore;

/// Idle stores, and which of those in use may come back.
pub(super) struct Pool {
    inner: Mutex<Inner>,
    idle_max: usize,
}

struct Inner {
    idle: Vec<GuestStore>,
    /// Stores that were taken in an older era are not taken back.
    era: u64,
    closed: bool,
}

/// When a store was taken.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Era(u64);

impl Pool {
    /// An empty pool that keeps at most `idle_max` stores.
    pub(super) fn new(idle_max: usize) -> Self {
        Self {
            inner: Mutex::new(Inner {
                idle: Vec::new(),
                era: 0,
                closed: false,
            }),
            idle_max,
        }
    }

    /// The store that was given back last, whose memory is warm, and the era.
    pub(super) fn take(&self) -> (Option<GuestStore>, Era) {
        self.with(|inner| (inner.idle.pop(), Era(inner.era)))
    }

    /// Takes a store back, unless it is from an older era or there are enough.
    pub(super) fn give(&self, store: GuestStore, taken: Era) {
        let refused = self.with(|inner| {
            let welcome = !inner.closed && inner.era == taken.0 && inner.idle.len() < self.idle_max;
            if welcome {
                inner.idle.push(store);
                return None;
            }
            Some(store)
        });
        // Unmapping memory takes its time, and happens without the lock.
        drop(refused);
    }

    /// Takes every idle store, and begins an era: stores that are in use now do not come back.
    pub(super) fn turn(&self) -> (Vec<GuestStore>, Era) {
        self.with(|inner| {
            inner.era += 1;
            (std::mem::take(&mut inner.idle), Era(inner.era))
        })
    }

    /// Takes every idle store, and takes none back from now on.
    pub(super) fn close(&self) -> (Vec<GuestStore>, Era) {
        self.with(|inner| {
            inner.closed = true;
            (std::mem::take(&mut inner.idle), Era(inner.era))
        })
    }

    fn with<T>(&self, act: impl FnOnce(&mut Inner) -> T) -> T {
        act(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
