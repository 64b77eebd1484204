//! Which mount serves which path. Readers never wait; a path is taken from before its mount starts until it is gone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;

use super::mount::Mount;
use crate::{MountError, MountPath};

/// The longest mount path with its slash, in bytes: nothing behind it can be a mount's prefix.
const PREFIX_BYTES_MAX: usize = 256;

/// The mounts by path, each ending in `/`. Cheap to clone; all clones are the same table.
#[derive(Clone, Default)]
pub(super) struct Table {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    routes: ArcSwap<BTreeMap<MountPath, Arc<Mount>>>,
    /// Paths with a mount, or with one that comes or goes.
    taken: Mutex<BTreeSet<MountPath>>,
}

impl Table {
    /// Takes a path for a mount that is about to be.
    pub(super) fn reserve(&self, path: MountPath) -> Result<Reservation, MountError> {
        let mut taken = self.taken();
        let overlaps = |other: &&MountPath| {
            let (one, other) = (path.as_str(), other.as_str());
            one.starts_with(other) || other.starts_with(one)
        };
        if let Some(existing) = taken.iter().find(overlaps).cloned() {
            return Err(MountError::Exists { existing });
        }
        taken.insert(path.clone());
        Ok(Reservation {
            table: self.clone(),
            path: Some(path),
        })
    }

    /// The mount at exactly that path.
    pub(super) fn get(&self, path: &MountPath) -> Option<Arc<Mount>> {
        self.shared.routes.load().get(path.as_str()).cloned()
    }

    /// Every mount, sorted by path.
    pub(super) fn all(&self) -> Vec<Arc<Mount>> {
        self.shared.routes.load().values().cloned().collect()
    }

    /// The mount whose path is the longest prefix of `path`, and the length of that prefix. `kv` is in the mount `kv/`.
    pub(super) fn route(&self, path: &str) -> Option<(Arc<Mount>, usize)> {
        let routes = self.shared.routes.load();
        let bytes = path.as_bytes();
        let looked_at = &bytes[..bytes.len().min(PREFIX_BYTES_MAX)];
        let whole = || {
            routes
                .get(format!("{path}/").as_str())
                .map(|mount| (mount, path.len()))
        };
        let slashes = (0..looked_at.len())
            .rev()
            .filter(|at| looked_at[*at] == b'/');
        let inside = slashes
            .filter_map(|slash| routes.get(&path[..=slash]).map(|mount| (mount, slash + 1)))
            .next();
        let found = match bytes.len() < PREFIX_BYTES_MAX {
            true => whole().or(inside),
            false => inside,
        };
        found.map(|(mount, length)| (Arc::clone(mount), length))
    }

    /// Takes a mount off its route. Its path stays taken until the reservation is dropped.
    pub(super) fn close(&self, path: &MountPath) -> Option<(Arc<Mount>, Reservation)> {
        let _alone = self.taken();
        let mut routes = BTreeMap::clone(&self.shared.routes.load());
        let mount = routes.remove(path.as_str())?;
        self.shared.routes.store(Arc::new(routes));
        let reservation = Reservation {
            table: self.clone(),
            path: Some(path.clone()),
        };
        Some((mount, reservation))
    }

    /// Whoever changes a route holds this, so that no change is lost.
    fn taken(&self) -> MutexGuard<'_, BTreeSet<MountPath>> {
        self.shared
            .taken
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// A path that is taken. Dropping it gives the path back.
pub(super) struct Reservation {
    table: Table,
    path: Option<MountPath>,
}

impl Reservation {
    /// Gives the path to a mount.
    pub(super) fn open(mut self, mount: Arc<Mount>) {
        let _alone = self.table.taken();
        if let Some(path) = self.path.take() {
            let routes = &self.table.shared.routes;
            let mut changed = BTreeMap::clone(&routes.load());
            changed.insert(path, mount);
            routes.store(Arc::new(changed));
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if let Some(path) = self.path.take() {
            self.table.taken().remove(&path);
        }
    }
}
