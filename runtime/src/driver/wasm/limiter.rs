//! What one store may hold, summed over everything in it, and what it was refused.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use wasmtime::{ResourceLimiter, Result};

use super::bounds::Bounds;
use crate::Limits;

/// What the host keeps for each element of a table.
const ELEMENT_BYTES: u64 = size_of::<usize>() as u64;

/// A growth that was not granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Memory and tables together would have come to so many bytes.
    Memory { asked: u64, limit: u64 },
    /// The tables together would have come to so many elements.
    Table { asked: u64, limit: u64 },
}

/// Counts what a store holds and refuses what goes beyond.
pub(super) struct Limiter {
    bounds: &'static Bounds,
    memory_limit: u64,
    element_limit: u64,
    bytes: u64,
    elements: u64,
    refused: Option<Refusal>,
    held: Held,
}

impl Limiter {
    /// A limiter that has granted nothing yet, and adds what it grants to `held`.
    pub(super) fn new(limits: &Limits, held: Held) -> Self {
        Self {
            bounds: Bounds::of(limits.profile),
            memory_limit: limits.memory_bytes,
            element_limit: limits.table_elements,
            bytes: 0,
            elements: 0,
            refused: None,
            held,
        }
    }

    /// Forgets what was refused to an earlier request.
    pub(super) fn forget_refusal(&mut self) {
        self.refused = None;
    }

    /// The last growth that was refused to this request.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        self.refused
    }

    /// Bytes that the store holds. Memories and tables never shrink, so it never held more.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    fn grant_bytes(&mut self, more: u64) -> bool {
        let asked = self.bytes.saturating_add(more);
        if asked > self.memory_limit {
            self.refused = Some(Refusal::Memory {
                asked,
                limit: self.memory_limit,
            });
            return false;
        }
        self.bytes = asked;
        self.held.add(more);
        // It came through without what it was refused before.
        self.refused = None;
        true
    }

    fn grant_elements(&mut self, more: u64) -> bool {
        let asked = self.elements.saturating_add(more);
        if asked > self.element_limit {
            self.refused = Some(Refusal::Table {
                asked,
                limit: self.element_limit,
            });
            return false;
        }
        if !self.grant_bytes(more.saturating_mul(ELEMENT_BYTES)) {
            return false;
        }
        self.elements = asked;
        true
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> Result<bool> {
        Ok(self.grant_bytes(difference(current, desired)))
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> Result<bool> {
        Ok(self.grant_elements(difference(current, desired)))
    }

    fn instances(&self) -> usize {
        self.bounds.core_instances as usize
    }

    fn tables(&self) -> usize {
        self.bounds.tables as usize
    }

    fn memories(&self) -> usize {
        self.bounds.memories as usize
    }
}

fn difference(current: usize, desired: usize) -> u64 {
    desired.saturating_sub(current) as u64
}

/// The share of one store in what all stores of a mount hold; given back when it is dropped.
pub(super) struct Held {
    share: u64,
    total: Arc<AtomicU64>,
}

impl Held {
    /// No share yet in `total`, which counts bytes.
    pub(super) fn of(total: &Arc<AtomicU64>) -> Self {
        Self {
            share: 0,
            total: Arc::clone(total),
        }
    }

    fn add(&mut self, more: u64) {
        self.share += more;
        self.total.fetch_add(more, Ordering::Relaxed);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.total.fetch_sub(self.share, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: usize = 64 << 10;

    fn limiter(memory_bytes: u64, table_elements: u64) -> (Limiter, Arc<AtomicU64>) {
        let limits = Limits {
            memory_bytes,
            table_elements,
            ..Limits::default()
        };
        let total = Arc::new(AtomicU64::new(0));
        (Limiter::new(&limits, Held::of(&total)), total)
    }

    #[test]
    fn many_memories_count_as_one() {
        let (mut limiter, _) = limiter(3 * PAGE as u64, 0);
        assert!(limiter.memory_growing(0, 2 * PAGE, None).unwrap());
        assert!(!limiter.memory_growing(0, 2 * PAGE, None).unwrap());
        let asked = 4 * PAGE as u64;
        let limit = 3 * PAGE as u64;
        assert_eq!(limiter.refusal(), Some(Refusal::Memory { asked, limit }));
    }

    #[test]
    fn tables_count_as_memory_too() {
        let (mut limiter, total) = limiter(800, 1000);
        assert!(limiter.table_growing(0, 100, None).unwrap());
        assert!(!limiter.table_growing(100, 101, None).unwrap());
        assert_eq!(total.load(Ordering::Relaxed), 800);
    }

    #[test]
    fn many_tables_count_as_one() {
        let (mut limiter, _) = limiter(1 << 20, 100);
        assert!(limiter.table_growing(0, 60, None).unwrap());
        assert!(!limiter.table_growing(0, 60, None).unwrap());
        let refusal = Refusal::Table {
            asked: 120,
            limit: 100,
        };
        assert_eq!(limiter.refusal(), Some(refusal));
    }

    #[test]
    fn a_dropped_store_gives_its_share_back() {
        let (mut limiter, total) = limiter(1 << 20, 0);
        assert!(limiter.memory_growing(0, PAGE, None).unwrap());
        assert_eq!(total.load(Ordering::Relaxed), PAGE as u64);
        drop(limiter);
        assert_eq!(total.load(Ordering::Relaxed), 0);
    }
}
