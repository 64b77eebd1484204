//! How many files are open: of one store, and of all plugins together, since a process has only so many descriptors.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Files that one store may have open: as many as a plugin that serves one request has use for.
pub(super) const OF_STORE_MAX: usize = 64;

/// The seats of one store, of which most need none.
#[derive(Default)]
pub(super) struct Seats(Option<Arc<Semaphore>>);

/// Held by whatever keeps a file open: its handle, and each stream of it.
pub(super) struct Seat {
    _of_store: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

impl Seats {
    /// A seat, if this store and all of them have one left.
    pub(super) fn take(&mut self, of_all: &Arc<Semaphore>) -> Option<Arc<Seat>> {
        let of_store = self
            .0
            .get_or_insert_with(|| Arc::new(Semaphore::new(OF_STORE_MAX)));
        Some(Arc::new(Seat {
            _of_store: Arc::clone(of_store).try_acquire_owned().ok()?,
            _of_all: Arc::clone(of_all).try_acquire_owned().ok()?,
        }))
    }
}
