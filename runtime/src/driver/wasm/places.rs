//! How many stores are alive: of one entry, and of all, since each takes address space of which there is only so much.
//!
//! A store that waits for its next request gives way to one that is needed now.

use std::pin::pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::yield_now;
use tokio::time::timeout_at;

use super::pool::Pool;
use crate::CallError;
use crate::registry::Registry;
use crate::services::Deadline;

/// How long before the deadline a request gives up waiting: whoever waits for it is still there to hear why.
const MARGIN: Duration = Duration::from_millis(20);

/// Idle stores that are dropped at once when there is no place: looking for them costs more than dropping one.
const EVICTED_AT_ONCE: usize = 8;

/// Every store that may be alive.
pub(super) struct Places {
    stores_max: u32,
    all: Arc<Semaphore>,
    waiting: AtomicU32,
    entries: Registry<Key, Share>,
}

/// An entry and its share: another registration may have given it another one.
type Key = (String, u32);

/// The stores that one entry may have alive, over all its mounts.
pub(super) struct Share {
    places: Arc<Places>,
    stores_max: u32,
    own: Arc<Semaphore>,
    waiting: AtomicU32,
    /// The pools of its mounts.
    pools: Mutex<Vec<Weak<Pool>>>,
}

/// Held by a store.
pub(super) struct PlaceOf {
    _own: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

impl Places {
    /// So many for everybody.
    pub(super) fn new(stores_max: u32) -> Arc<Self> {
        Arc::new(Self {
            stores_max,
            all: Arc::new(Semaphore::new(stores_max as usize)),
            waiting: AtomicU32::new(0),
            entries: Registry::default(),
        })
    }

    /// The share of an entry, which all its mounts have together.
    pub(super) fn share(self: &Arc<Self>, entry: &str, stores_max: u32) -> Arc<Share> {
        let key = (entry.to_owned(), stores_max);
        self.entries.get_or_make(key, || Share {
            places: Arc::clone(self),
            stores_max,
            own: Arc::new(Semaphore::new(stores_max as usize)),
            waiting: AtomicU32::new(0),
            pools: Mutex::default(),
        })
    }

    /// Drops some idle stores, of whatever entry, and says how many.
    fn evict(&self) -> usize {
        let mut left = EVICTED_AT_ONCE;
        for share in self.entries.in_use() {
            left -= share.evict(left);
        }
        EVICTED_AT_ONCE - left
    }
}

impl Share {
    /// Counts a mount's idle stores among those that give way.
    pub(super) fn add_pool(&self, pool: &Arc<Pool>) {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        pools.retain(|pool| pool.strong_count() > 0);
        pools.push(Arc::downgrade(pool));
    }

    /// Places that are left.
    #[cfg(test)]
    pub(super) fn left(&self) -> usize {
        self.own.available_permits()
    }

    /// Whether somebody waits for a place, so that no store is kept for later.
    pub(super) fn is_wanted(&self) -> bool {
        let waits = |waiting: &AtomicU32| waiting.load(Ordering::Relaxed) > 0;
        waits(&self.waiting) || waits(&self.places.waiting)
    }

    /// A place, waited for until shortly before the deadline.
    ///
    /// # Errors
    ///
    /// [`CallError::NoStore`] with whose places are all taken.
    pub(super) async fn place(
        &self,
        plugin: &str,
        deadline: Deadline,
    ) -> Result<PlaceOf, CallError> {
        let own = match Arc::clone(&self.own).try_acquire_owned() {
            Ok(place) => place,
            Err(_) => {
                // Said before the others' stores are looked for: one that comes back meanwhile is not kept.
                let _waiting = Waiting::among(&self.waiting);
                let place = wait(&self.own, deadline, || self.evict(EVICTED_AT_ONCE)).await;
                place.ok_or_else(|| no_store(plugin, "its entry", self.stores_max, deadline))?
            }
        };
        let all = &self.places;
        let of_all = match Arc::clone(&all.all).try_acquire_owned() {
            Ok(place) => place,
            Err(_) => {
                let _waiting = Waiting::among(&all.waiting);
                let place = wait(&all.all, deadline, || all.evict()).await;
                place.ok_or_else(|| no_store(plugin, "this server", all.stores_max, deadline))?
            }
        };
        Ok(PlaceOf {
            _own: own,
            _of_all: of_all,
        })
    }

    /// Drops up to so many idle stores, and says how many.
    fn evict(&self, stores_max: usize) -> usize {
        let pools: Vec<_> = {
            let pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
            pools.iter().filter_map(Weak::upgrade).collect()
        };
        // Unmapping memory takes its time, and happens without the lock.
        let stores = pools.iter().filter_map(|pool| pool.give_way());
        stores.take(stores_max).map(drop).count()
    }
}

/// Stands in line, and has idle stores give way until it is its turn or none is left: what they leave goes to whoever is
/// first in line, and not to one that comes by. None is idle from then on, since none is kept while somebody waits.
async fn wait(
    places: &Arc<Semaphore>,
    deadline: Deadline,
    evict: impl Fn() -> usize,
) -> Option<OwnedSemaphorePermit> {
    let until = deadline.at() - MARGIN.min(deadline.left() / 8);
    let turn = async {
        let mut turn = pin!(Arc::clone(places).acquire_owned());
        loop {
            // Only what was polled stands in line.
            if let Some(place) = (&mut turn).now_or_never() {
                return place;
            }
            if evict() == 0 {
                return turn.await;
            }
            yield_now().await;
        }
    };
    timeout_at(until.into(), turn).await.ok()?.ok()
}

fn no_store(plugin: &str, whose: &'static str, stores: u32, deadline: Deadline) -> CallError {
    CallError::NoStore {
        plugin: plugin.to_owned(),
        whose,
        stores,
        waited: deadline.limit(),
    }
}

/// One who waits; no more when it is dropped.
struct Waiting<'a>(&'a AtomicU32);

impl<'a> Waiting<'a> {
    fn among(waiting: &'a AtomicU32) -> Self {
        waiting.fetch_add(1, Ordering::Relaxed);
        Self(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::{Cell, RefCell};

    fn soon() -> Deadline {
        Deadline::after(Duration::from_secs(20))
    }

    fn at_once() -> Deadline {
        Deadline::after(Duration::from_millis(40))
    }

    async fn taken(share: &Share, count: u32) -> Vec<PlaceOf> {
        let mut held = Vec::new();
        for _ in 0..count {
            held.push(share.place("p", soon()).await.unwrap());
        }
        held
    }

    #[tokio::test]
    async fn an_entry_that_has_its_share_leaves_the_rest_to_others() {
        let places = Places::new(10);
        let (greedy, modest) = (places.share("greedy", 4), places.share("modest", 4));
        let _held = taken(&greedy, 4).await;
        match greedy.place("greedy", at_once()).await.err() {
            Some(CallError::NoStore { whose, stores, .. }) => {
                assert_eq!((whose, stores), ("its entry", 4));
            }
            _ => panic!("there was a fifth"),
        }
        assert!(modest.place("modest", at_once()).await.is_ok());
    }

    #[tokio::test]
    async fn mounts_of_one_entry_have_one_share() {
        let places = Places::new(10);
        let (one, two) = (places.share("kv", 4), places.share("kv", 4));
        assert!(Arc::ptr_eq(&one, &two));
        assert!(!Arc::ptr_eq(&one, &places.share("kv", 5)));
    }

    #[tokio::test]
    async fn when_all_are_taken_it_is_said_whose_they_are() {
        let places = Places::new(2);
        let _held = taken(&places.share("one", 2), 2).await;
        match places.share("two", 2).place("two", at_once()).await.err() {
            Some(CallError::NoStore { whose, stores, .. }) => {
                assert_eq!((whose, stores), ("this server", 2));
            }
            _ => panic!("there was a third"),
        }
    }

    #[tokio::test]
    async fn who_waits_is_known_and_gets_the_next_place() {
        let places = Places::new(1);
        let share = places.share("kv", 1);
        let held = taken(&share, 1).await;
        let second = share.place("kv", soon());
        tokio::pin!(second);
        assert!(second.as_mut().now_or_never().is_none());
        assert!(share.is_wanted());
        drop(held);
        assert!(second.await.is_ok());
        assert!(!share.is_wanted());
    }

    #[tokio::test]
    async fn what_gives_way_goes_to_whoever_waits_and_not_to_one_that_comes_by() {
        let places = Arc::new(Semaphore::new(1));
        let idle = RefCell::new(Arc::clone(&places).try_acquire_owned().ok());
        let has_come_by = Cell::new(false);
        let evict = || {
            let left = usize::from(idle.take().is_some());
            has_come_by.set(places.try_acquire().map(|place| place.forget()).is_ok());
            left
        };
        assert!(wait(&places, at_once(), evict).await.is_some());
        assert!(!has_come_by.get());
    }

    #[tokio::test]
    async fn stores_give_way_until_it_is_ones_turn() {
        let places = Arc::new(Semaphore::new(3));
        let taken = || Arc::clone(&places).try_acquire_owned().unwrap();
        let idle = RefCell::new(vec![taken(), taken(), taken()]);
        // Two stood in line before.
        let before = [(); 2].map(|()| tokio::spawn(Arc::clone(&places).acquire_owned()));
        yield_now().await;
        let evict = || usize::from(idle.borrow_mut().pop().is_some());
        let place = wait(&places, soon(), evict).await;
        assert!(place.is_some() && idle.borrow().is_empty());
        for place in before {
            drop(place.await.unwrap().unwrap());
        }
        // The control: when none is left it waits without looking any more.
        let _all = [taken(), taken()];
        let looks = Cell::new(0);
        let none = || {
            looks.set(looks.get() + 1);
            0
        };
        assert!(wait(&places, at_once(), none).await.is_none());
        assert_eq!(looks.get(), 1);
    }
}
