//! How much plugins may have open: all of them together, since a process has only so many descriptors and so much memory,
//! and each entry a share of that.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::registry::Registry;

/// Files that all plugins together may have open, at the most.
const FILES_MAX: u64 = 4096;

/// Folders that all plugins together may be listing. The server holds each listing as a whole.
const LISTINGS_MAX: usize = 256;

/// Streams of files that all plugins together may have. The server holds up to 64 KiB for each.
const STREAMS_MAX: usize = 2048;

/// Files that one store may have open: as many as a plugin that serves one request has use for.
pub(crate) const FILES_OF_STORE_MAX: usize = 64;

/// Folders that one store may be listing: one for each level of a deep tree.
pub(crate) const LISTINGS_OF_STORE_MAX: usize = 16;

/// Streams of files that one store may have: one to read and one to write for each file.
pub(crate) const STREAMS_OF_STORE_MAX: usize = 2 * FILES_OF_STORE_MAX;

/// How many entries there would have to be to take everything.
const SHARES: usize = 4;

/// Everything that may be open.
pub(super) struct Openings {
    files: Limited,
    listings: Limited,
    streams: Limited,
    entries: Registry<String, Share>,
}

/// What one entry may have open, over all its mounts.
pub(crate) struct Share {
    entry: String,
    files: [Limited; 2],
    listings: [Limited; 2],
    streams: [Limited; 2],
    is_told: AtomicBool,
}

/// What one store may have open.
pub(crate) struct StoreShare {
    share: Arc<Share>,
    files: Limited,
    listings: Limited,
    streams: Limited,
}

/// So many, and whose they are.
#[derive(Clone)]
struct Limited {
    whose: &'static str,
    max: usize,
    left: Arc<Semaphore>,
}

/// Held by whatever keeps something open: a handle and each stream of it; a listing; a stream.
pub(crate) struct Seat {
    _permits: Vec<OwnedSemaphorePermit>,
}

/// There is no seat left: all that these may have are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) whose: &'static str,
    pub(crate) max: usize,
}

impl Openings {
    /// As much as this process can afford.
    pub(super) fn of_process() -> Self {
        Self::new(files_max(), LISTINGS_MAX, STREAMS_MAX)
    }

    fn new(files_max: usize, listings_max: usize, streams_max: usize) -> Self {
        Self {
            files: Limited::of("this server", files_max),
            listings: Limited::of("this server", listings_max),
            streams: Limited::of("this server", streams_max),
            entries: Registry::default(),
        }
    }

    /// The share of an entry, which all its mounts have together.
    pub(super) fn share(&self, entry: &str) -> Arc<Share> {
        self.entries.get_or_make(entry.to_owned(), || Share {
            entry: entry.to_owned(),
            files: [self.files.part(FILES_OF_STORE_MAX), self.files.clone()],
            listings: [
                self.listings.part(LISTINGS_OF_STORE_MAX),
                self.listings.clone(),
            ],
            streams: [
                self.streams.part(STREAMS_OF_STORE_MAX),
                self.streams.clone(),
            ],
            is_told: AtomicBool::new(false),
        })
    }
}

impl Share {
    /// What one more store of the entry may have of it.
    pub(crate) fn of_store(self: &Arc<Self>) -> StoreShare {
        StoreShare {
            share: Arc::clone(self),
            files: Limited::of("its store", FILES_OF_STORE_MAX),
            listings: Limited::of("its store", LISTINGS_OF_STORE_MAX),
            streams: Limited::of("its store", STREAMS_OF_STORE_MAX),
        }
    }

    /// Said once: a plugin that runs into it may do so with every request.
    fn tell(&self, what: &str, taken: Taken) {
        if !self.is_told.swap(true, Ordering::Relaxed) {
            let (entry, Taken { whose, max }) = (&self.entry, taken);
            tracing::warn!(entry, what, whose, max, "a plugin is refused what it opens");
        }
    }
}

impl StoreShare {
    /// A seat for an open file.
    pub(crate) fn file(&self) -> Result<Arc<Seat>, Taken> {
        self.seat("files", &self.files, &self.share.files)
    }

    /// A seat for a listing of a folder.
    pub(crate) fn listing(&self) -> Result<Arc<Seat>, Taken> {
        self.seat("listings", &self.listings, &self.share.listings)
    }

    /// A seat for a stream of a file.
    pub(crate) fn stream(&self) -> Result<Arc<Seat>, Taken> {
        self.seat("streams", &self.streams, &self.share.streams)
    }

    fn seat(&self, what: &str, own: &Limited, shared: &[Limited]) -> Result<Arc<Seat>, Taken> {
        let limits = std::iter::once(own).chain(shared);
        let permits: Result<_, _> = limits.map(Limited::take).collect();
        let permits = permits.inspect_err(|taken| self.share.tell(what, *taken))?;
        Ok(Arc::new(Seat { _permits: permits }))
    }
}

impl Limited {
    fn of(whose: &'static str, max: usize) -> Self {
        let left = Arc::new(Semaphore::new(max));
        Self { whose, max, left }
    }

    /// An entry's part of it, which is enough for one store at least.
    fn part(&self, of_store_max: usize) -> Self {
        let part = (self.max / SHARES).max(of_store_max).min(self.max);
        Self::of("its entry", part)
    }

    fn take(&self) -> Result<OwnedSemaphorePermit, Taken> {
        let permit = Arc::clone(&self.left).try_acquire_owned();
        permit.map_err(|_| Taken {
            whose: self.whose,
            max: self.max,
        })
    }
}

/// A quarter of what this process may have open; the rest is for its connections and its own files.
fn files_max() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let quarter = limit.map_or(FILES_MAX, |limit| limit / 4);
    usize::try_from(quarter.min(FILES_MAX)).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As many as stores of that entry can have, and why no more.
    fn all_of(
        share: &Arc<Share>,
        take: fn(&StoreShare) -> Result<Arc<Seat>, Taken>,
    ) -> (Vec<Arc<Seat>>, Taken) {
        let mut seats = Vec::new();
        loop {
            let store = share.of_store();
            let why = loop {
                match take(&store) {
                    Ok(seat) => seats.push(seat),
                    Err(why) => break why,
                }
            };
            if why.whose != "its store" {
                return (seats, why);
            }
        }
    }

    #[test]
    fn an_entry_that_has_its_share_leaves_the_rest_to_others() {
        for (take, share) in [
            (StoreShare::file as fn(&_) -> _, 100),
            (StoreShare::listing, 20),
            (StoreShare::stream, 150),
        ] {
            let openings = Openings::new(400, 80, 600);
            let (held, why) = all_of(&openings.share("greedy"), take);
            let expected = Taken {
                whose: "its entry",
                max: share,
            };
            assert_eq!((held.len(), why), (share, expected));
            let (others, _) = all_of(&openings.share("modest"), take);
            assert_eq!(others.len(), share);
            drop(held);
            assert_eq!(all_of(&openings.share("greedy"), take).0.len(), share);
        }
    }

    #[test]
    fn a_store_has_its_own_and_the_server_has_an_end() {
        let openings = Openings::new(100, 20, 100);
        let share = openings.share("one");
        let store = share.of_store();
        let seats: Vec<_> = std::iter::from_fn(|| store.file().ok()).collect();
        assert_eq!(seats.len(), FILES_OF_STORE_MAX);
        assert_eq!(store.file().err().unwrap().whose, "its store");
        let (_others, why) = all_of(&openings.share("two"), StoreShare::file);
        assert_eq!((why.whose, why.max), ("this server", 100));
    }

    #[test]
    fn mounts_of_one_entry_have_one_share() {
        let openings = Openings::of_process();
        let (one, two) = (openings.share("kv"), openings.share("kv"));
        assert!(Arc::ptr_eq(&one, &two));
        assert!(!Arc::ptr_eq(&one, &openings.share("other")));
    }
}
