//! A waker that does not wake its task while that is at work.
//!
//! h2 wakes whoever waits for a stream when something comes for it, and the connection's task when there is something to
//! send. Here that is mostly the very task that polls h2 at that moment, and will look afterwards. tokio would take it for
//! one that gives way to others: it would poll it once more for nothing, and wake another thread to share the work with.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Wake, Waker};

use futures_util::task::AtomicWaker;

/// How often a task looks again in one turn, when somebody rang meanwhile. Then others have theirs.
pub(super) const ROUNDS_MAX: usize = 4;

/// The task waits: whoever rings wakes it.
const WAITS: u8 = 0;
/// It is at work: whoever rings is noted.
const WORKS: u8 = 1;
/// It is at work, and somebody rang.
const RUNG: u8 = 2;

/// Stands between a task and whatever it polls.
#[derive(Default)]
pub(super) struct Bell {
    state: AtomicU8,
    task: AtomicWaker,
}

impl Bell {
    /// The waker to poll with.
    pub(super) fn waker(self: &Arc<Self>) -> Waker {
        Waker::from(Arc::clone(self))
    }

    /// The task of this waker begins to work: what rings from now on is only noted. So it comes before any look after which
    /// the task may wait.
    pub(super) fn begin(&self, task: &Waker) {
        self.task.register(task);
        self.state.store(WORKS, Ordering::SeqCst);
    }

    /// The task is about to wait; whether somebody rang while it worked. It then looks once more, or has itself woken:
    /// nobody else will.
    pub(super) fn end(&self) -> bool {
        self.state.swap(WAITS, Ordering::SeqCst) == RUNG
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let noted = self
            .state
            .compare_exchange(WORKS, RUNG, Ordering::SeqCst, Ordering::SeqCst);
        if noted == Err(WAITS) {
            self.task.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::testing::Count;

    #[test]
    fn a_task_at_work_is_not_woken_but_told_at_its_end() {
        let (bell, task) = (Arc::<Bell>::default(), Arc::<Count>::default());
        bell.begin(&task.waker());
        assert!(!bell.end());
        bell.begin(&task.waker());
        bell.waker().wake();
        assert!(bell.end());
        assert_eq!(task.get(), 0);
    }

    #[test]
    fn a_task_that_waits_is_woken_where_it_worked_last() {
        let bell = Arc::<Bell>::default();
        let (before, task) = (Arc::<Count>::default(), Arc::<Count>::default());
        for task in [&before, &task] {
            bell.begin(&task.waker());
            bell.end();
        }
        bell.waker().wake();
        assert_eq!((before.get(), task.get()), (0, 1));
    }
}
