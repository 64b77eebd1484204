//! Tells the live stores of a mount which keys the others committed, so that they forget what they cached.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Keys the feed remembers. A store that falls further behind has to forget everything.
const KEYS_MAX: usize = 1024;

/// One live store (or process) of a mount, as the source or receiver of changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StoreId(pub u64);

impl StoreId {
    /// The origin of what no live store wrote: everybody is told of it. [`ChangeFeed::join`] never gives this one.
    pub const NONE: Self = Self(0);
}

/// Which keys of a mount were committed, and by whom; bounded.
pub struct ChangeFeed {
    stores: AtomicU64,
    /// How many keys were ever published; the same as the ring's end, and readable without the lock.
    end: AtomicU64,
    recent: Mutex<Recent>,
}

/// What was published last.
struct Recent {
    ring: VecDeque<(StoreId, Arc<str>)>,
    /// Who published everything from `alone_since` on: who writes much and alone has missed nothing.
    alone: StoreId,
    alone_since: u64,
}

impl ChangeFeed {
    pub(super) fn new() -> Self {
        Self {
            stores: AtomicU64::new(StoreId::NONE.0),
            end: AtomicU64::new(0),
            recent: Mutex::new(Recent {
                ring: VecDeque::new(),
                alone: StoreId::NONE,
                alone_since: 0,
            }),
        }
    }

    /// A name for a new live store, and where its reading starts: now.
    pub fn join(&self) -> (StoreId, Cursor) {
        let id = self.stores.fetch_add(1, Ordering::Relaxed) + 1;
        (StoreId(id), Cursor(self.end.load(Ordering::Acquire)))
    }

    /// Whether anything was committed since `cursor`. Cheap, for the front of every request.
    pub fn moved(&self, cursor: Cursor) -> bool {
        self.end.load(Ordering::Acquire) != cursor.0
    }

    /// What others committed since `cursor`, which moves on. A key is named once, however often it was written.
    pub fn since(&self, me: StoreId, cursor: &mut Cursor) -> Changes {
        self.next(me, cursor, usize::MAX)
    }

    /// As [`since`](Self::since), with no more than the next `count` keys that were written.
    pub(super) fn next(&self, me: StoreId, cursor: &mut Cursor, count: usize) -> Changes {
        let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let end = self.end.load(Ordering::Acquire);
        let from = std::mem::replace(&mut cursor.0, end);
        if recent.alone == me && from >= recent.alone_since {
            return Changes::Keys(Vec::new());
        }
        let (ring, missed) = (&recent.ring, end - from);
        match ring.len().checked_sub(index(missed)) {
            None => Changes::Lost,
            Some(first) => {
                let last = first.saturating_add(count).min(ring.len());
                cursor.0 = end - (ring.len() - last) as u64;
                Changes::Keys(of_others(me, ring.range(first..last)))
            }
        }
    }

    /// Appends what `origin` committed. Called once the commit is visible, so that who forgets a key and reads it again
    /// reads the new value.
    pub(super) fn publish(&self, origin: StoreId, keys: Vec<Arc<str>>) {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let count = keys.len();
        if recent.alone != origin {
            recent.alone = origin;
            recent.alone_since = self.end.load(Ordering::Acquire);
        }
        let ring = &mut recent.ring;
        ring.extend(keys.into_iter().map(|key| (origin, key)));
        let surplus = ring.len().saturating_sub(KEYS_MAX);
        ring.drain(..surplus);
        self.end.fetch_add(count as u64, Ordering::Release);
    }
}

/// How far a live store has read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor(pub(crate) u64);

/// What others committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changes {
    /// These keys, relative to the mount.
    Keys(Vec<Arc<str>>),
    /// More than the feed holds: whatever was cached has to go.
    Lost,
}

fn index(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

fn of_others<'a>(
    me: StoreId,
    changes: impl Iterator<Item = &'a (StoreId, Arc<str>)>,
) -> Vec<Arc<str>> {
    let mut keys: Vec<_> = changes
        .filter(|(origin, _)| *origin != me)
        .map(|(_, key)| key.clone())
        .collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(names: &[&str]) -> Vec<Arc<str>> {
        names.iter().map(|name| Arc::from(*name)).collect()
    }

    #[test]
    fn a_store_hears_of_others_and_not_of_itself() {
        let feed = ChangeFeed::new();
        feed.publish(StoreId::NONE, keys(&["before"]));
        let ((a, mut at_a), (b, mut at_b)) = (feed.join(), feed.join());
        assert!(!feed.moved(at_a));
        feed.publish(a, keys(&["x", "y", "x"]));
        assert!(feed.moved(at_a));
        assert_eq!(feed.since(a, &mut at_a), Changes::Keys(vec![]));
        assert_eq!(feed.since(b, &mut at_b), Changes::Keys(keys(&["x", "y"])));
        assert_eq!(feed.since(b, &mut at_b), Changes::Keys(vec![]));
        assert!(!feed.moved(at_b));
    }

    #[test]
    fn a_store_that_fell_too_far_behind_is_told_so_once() {
        let feed = ChangeFeed::new();
        let (me, mut at) = feed.join();
        for _ in 0..=KEYS_MAX {
            feed.publish(StoreId::NONE, keys(&["k"]));
        }
        assert_eq!(feed.since(me, &mut at), Changes::Lost);
        assert_eq!(feed.since(me, &mut at), Changes::Keys(vec![]));
    }

    #[test]
    fn a_store_that_wrote_all_of_it_itself_has_missed_nothing() {
        let feed = ChangeFeed::new();
        let ((me, mut at), (other, mut at_other)) = (feed.join(), feed.join());
        let many = || (0..=KEYS_MAX).map(|i| Arc::from(i.to_string())).collect();
        feed.publish(me, many());
        assert_eq!(feed.since(me, &mut at), Changes::Keys(vec![]));
        assert_eq!(feed.since(other, &mut at_other), Changes::Lost);
        feed.publish(other, keys(&["x"]));
        feed.publish(me, many());
        assert_eq!(feed.since(me, &mut at), Changes::Lost);
    }

    #[test]
    fn a_commit_larger_than_the_feed_loses_everybody() {
        let feed = ChangeFeed::new();
        let (me, mut at) = feed.join();
        let many = (0..=KEYS_MAX).map(|i| Arc::from(i.to_string())).collect();
        feed.publish(StoreId::NONE, many);
        assert_eq!(feed.since(me, &mut at), Changes::Lost);
    }
}
