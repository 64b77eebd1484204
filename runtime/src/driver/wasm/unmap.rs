//! Gives the memory of stores back, one store at a time where that is soon over.
//!
//! While two threads of a process unmap something, Linux cannot tell which of them knows what the other changed, and
//! interrupts every processor that the process runs on (`mm_tlb_flush_nested` in its `tlb_finish_mmu`). In a virtual
//! machine each of these interrupts takes some tens of microseconds, as long as a whole request. A store alone, of whose
//! pages the pool keeps nearly all, interrupts nobody.

use std::hint::spin_loop;
use std::sync::{Mutex, MutexGuard, TryLockError};

use wasmtime::Store;

use super::store::StoreState;

/// The most that a store may hold to wait for its turn, in bytes; what holds more takes so long that nobody should wait.
const BYTES_MAX: u64 = 4 << 20;

/// How often a thread looks whether it is its turn: with two threads on one machine, some ten microseconds, in which
/// two stores are dropped. It does not wait longer, since whoever has the turn may have been put aside by the scheduler, and
/// with very many threads the turns would be what all wait for.
const LOOKS: usize = 64;

/// Pauses of the processor between two looks.
const PAUSES: usize = 4;

static TURN: Mutex<()> = Mutex::new(());

/// Drops a store, in its turn if that comes soon.
pub(super) fn in_turn(mut store: Store<StoreState>) {
    // What the guest saw of the host may have to wait for others to go away, and is no memory of the pool.
    drop(store.data_mut().scope.take());
    let is_small = store.data().limiter.bytes() <= BYTES_MAX;
    let _turn = is_small.then(|| turn(&TURN));
    drop(store);
}

fn turn(of: &Mutex<()>) -> Option<MutexGuard<'_, ()>> {
    (0..LOOKS).find_map(|_| match of.try_lock() {
        Ok(turn) => Some(turn),
        Err(TryLockError::Poisoned(turn)) => Some(turn.into_inner()),
        Err(TryLockError::WouldBlock) => {
            (0..PAUSES).for_each(|_| spin_loop());
            None
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_waits_for_a_turn_that_does_not_come() {
        let turns = Mutex::new(());
        let first = turn(&turns);
        assert!(first.is_some());
        assert!(turn(&turns).is_none());
        drop(first);
        assert!(turn(&turns).is_some());
    }
}
