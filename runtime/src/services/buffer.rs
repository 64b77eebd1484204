//! Writes that are not in the store yet: of a component's request, or of a transaction.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use palisade_contract::{HostError, HostErrorKind};

use super::listing::Marks;
use super::view::View;
use crate::store::{Check, Write};

/// Changes to keys of a mount, the last one of each. Cloning is cheap for the values, not for the keys.
#[derive(Clone, Default)]
pub(super) struct Overlay {
    changes: BTreeMap<String, Change>,
    bytes: usize,
    /// Rises with every change.
    clock: u64,
}

#[derive(Clone)]
struct Change {
    /// `None` where the key was deleted.
    value: Option<Arc<Vec<u8>>>,
    /// The clock when it was made.
    at: u64,
}

impl Overlay {
    /// What the changes say of `key`: nothing, that it is gone, or its value.
    pub(super) fn get(&self, key: &str) -> Option<Option<Vec<u8>>> {
        let change = self.changes.get(key)?;
        Some(change.value.as_ref().map(|value| value.to_vec()))
    }

    /// Whether nothing was changed.
    pub(super) fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    pub(super) fn clock(&self) -> u64 {
        self.clock
    }

    /// Keeps a change; `None` deletes.
    ///
    /// # Errors
    ///
    /// `Quota` when the changes come to more than `bytes_max`; nothing has changed then.
    pub(super) fn set(
        &mut self,
        key: &str,
        value: Option<Arc<Vec<u8>>>,
        bytes_max: usize,
    ) -> Result<(), HostError> {
        let old = self.changes.get(key).map_or(0, |old| old.bytes(key));
        self.clock += 1;
        let at = self.clock;
        let change = Change { value, at };
        let bytes = self.bytes - old + change.bytes(key);
        check_bytes(bytes, bytes_max)?;
        self.bytes = bytes;
        self.changes.insert(key.to_owned(), change);
        Ok(())
    }

    /// Takes over all changes of `newer`, or none when there is no room.
    pub(super) fn join(&mut self, newer: &Self, bytes_max: usize) -> Result<(), HostError> {
        check_bytes(self.bytes + newer.bytes, bytes_max)?;
        for (key, change) in &newer.changes {
            self.set(key, change.value.clone(), usize::MAX)?;
        }
        Ok(())
    }

    /// Whether `key` was changed after `clock`.
    pub(super) fn changed_since(&self, key: &str, clock: u64) -> bool {
        self.changes.get(key).is_some_and(|c| c.at > clock)
    }

    /// Whether any key that starts with `prefix` was changed after `clock`.
    pub(super) fn changed_beneath_since(&self, prefix: &str, clock: u64) -> bool {
        self.beneath(prefix).any(|(_, change)| change.at > clock)
    }

    /// Adds which keys that start with `prefix` are put or deleted, over what `marks` said.
    pub(super) fn mark(&self, prefix: &str, marks: &mut Marks) {
        let changes = self.beneath(prefix);
        marks.extend(changes.map(|(key, change)| (key.clone(), change.value.is_some())));
    }

    /// The changes as writes to the store.
    pub(super) fn into_writes(self, view: &View) -> Vec<Write> {
        self.changes
            .into_iter()
            .map(|(key, change)| {
                let key = view.full(&key);
                match change.value {
                    Some(value) => Write::Put {
                        key,
                        value: Arc::unwrap_or_clone(value),
                    },
                    None => Write::Delete { key },
                }
            })
            .collect()
    }

    fn beneath(&self, prefix: &str) -> impl Iterator<Item = (&String, &Change)> {
        self.changes
            .range::<str, _>((Bound::Included(prefix), Bound::Unbounded))
            .take_while(move |(key, _)| key.starts_with(prefix))
    }
}

impl Change {
    fn bytes(&self, key: &str) -> usize {
        key.len() + self.value.as_ref().map_or(0, |value| value.len())
    }
}

fn check_bytes(bytes: usize, limit: usize) -> Result<(), HostError> {
    if bytes > limit {
        let detail = format!("the request's writes come to {bytes} bytes, {limit} are allowed");
        return Err(HostError::about(HostErrorKind::Quota, detail));
    }
    Ok(())
}

/// What a component's request has written so far, and what its transactions rely on.
#[derive(Default)]
pub(super) struct Pending {
    /// Shared with the transactions that began over it; copied when it changes while they are open.
    pub(super) overlay: Arc<Overlay>,
    pub(super) checks: Vec<Check>,
    /// Set once the request is over: what comes later is refused.
    pub(super) closed: bool,
}

impl Pending {
    /// Refuses what comes after the request's end.
    pub(super) fn open(&mut self) -> Result<&mut Self, HostError> {
        if self.closed {
            return Err(HostError::other("the request is over"));
        }
        Ok(self)
    }
}
