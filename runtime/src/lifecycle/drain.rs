//! Counts who is inside, lets nobody in any more once closed, tells when the last has left, and sends the rest away.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::Notify;

/// Set in the count once the gate is closed.
const CLOSED: usize = 1 << (usize::BITS - 1);

/// A gate that counts. Cheap to clone; all clones are the same gate.
#[derive(Clone, Default)]
pub(crate) struct Gate {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    count: AtomicUsize,
    emptied: Notify,
    cut: AtomicBool,
    cut_off: Notify,
}

impl Gate {
    /// Goes in, unless the gate is closed. The guard leaves again when it is dropped.
    pub(crate) fn enter(&self) -> Option<Inside> {
        let inside = Inside {
            shared: Arc::clone(&self.shared),
        };
        let before = self.shared.count.fetch_add(1, Ordering::AcqRel);
        // Dropping the guard takes the count back.
        (before & CLOSED == 0).then_some(inside)
    }

    /// Lets nobody in any more.
    pub(crate) fn close(&self) {
        self.shared.count.fetch_or(CLOSED, Ordering::AcqRel);
        self.shared.emptied.notify_waiters();
    }

    /// Sends those away who are still inside.
    pub(crate) fn cut(&self) {
        self.shared.cut.store(true, Ordering::Release);
        self.shared.cut_off.notify_waiters();
    }

    /// Resolves once those inside have to leave.
    pub(crate) async fn cut_off(&self) {
        let cut_off = self.shared.cut_off.notified();
        tokio::pin!(cut_off);
        // Enlisted before looking, as in `emptied`.
        cut_off.as_mut().enable();
        if !self.shared.cut.load(Ordering::Acquire) {
            cut_off.await;
        }
    }

    /// How many are inside.
    pub(crate) fn inside(&self) -> usize {
        self.shared.count.load(Ordering::Acquire) & !CLOSED
    }

    /// Resolves once nobody is inside. Meaningful after [`close`](Self::close) only.
    pub(crate) async fn emptied(&self) {
        loop {
            let emptied = self.shared.emptied.notified();
            tokio::pin!(emptied);
            // Enlisted before looking, so that a last one who leaves in between is not missed.
            emptied.as_mut().enable();
            if self.inside() == 0 {
                return;
            }
            emptied.await;
        }
    }
}

/// Somebody inside.
pub(crate) struct Inside {
    shared: Arc<Shared>,
}

impl Drop for Inside {
    fn drop(&mut self) {
        let before = self.shared.count.fetch_sub(1, Ordering::AcqRel);
        if before == CLOSED | 1 {
            self.shared.emptied.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_closed_gate_lets_nobody_in_and_waits_for_the_last() {
        let gate = Gate::default();
        let (one, two) = (gate.enter(), gate.enter());
        assert!(one.is_some() && two.is_some());
        gate.close();
        assert!(gate.enter().is_none());
        assert_eq!(gate.inside(), 2);
        let waiting = tokio::spawn({
            let gate = gate.clone();
            async move { gate.emptied().await }
        });
        drop(one);
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(two);
        waiting.await.expect("the last one has left");
    }

    #[tokio::test]
    async fn those_inside_hear_that_they_are_cut_off_whenever_they_ask() {
        let gate = Gate::default();
        let early = tokio::spawn({
            let gate = gate.clone();
            async move { gate.cut_off().await }
        });
        tokio::task::yield_now().await;
        assert!(!early.is_finished());
        gate.cut();
        early.await.expect("it was waiting");
        gate.cut_off().await;
    }

    #[tokio::test]
    async fn a_closed_gate_with_nobody_inside_is_empty_at_once() {
        let gate = Gate::default();
        gate.close();
        gate.emptied().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn nobody_is_missed_when_many_come_and_go() {
        for _ in 0..200 {
            let gate = Gate::default();
            let visitors: Vec<_> = (0..8)
                .map(|_| {
                    let gate = gate.clone();
                    tokio::spawn(async move {
                        while let Some(inside) = gate.enter() {
                            drop(inside);
                            tokio::task::yield_now().await;
                        }
                    })
                })
                .collect();
            tokio::task::yield_now().await;
            gate.close();
            gate.emptied().await;
            for visitor in visitors {
                visitor.await.expect("visitors stop at a closed gate");
            }
            assert_eq!(gate.inside(), 0);
        }
    }
}
