//! Who shares which process: all mounts of an entry use one, if the plugin serves many and the operator lets it.
//!
//! A start is shared like the process that comes of it. Whoever waits for it drives it, so it goes on as long as anybody
//! does, and is given up with the last; no lock is held meanwhile. Other entries never wait for it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared, WeakShared};

use super::plan::ProcessPlan;
use super::process::NativeProcess;
use crate::LaunchError;

/// A process on its way.
pub(super) type Start = BoxFuture<'static, Result<Shareable, LaunchError>>;

/// The processes that mounts may still join.
#[derive(Default)]
pub(super) struct Processes {
    known: Mutex<Vec<Known>>,
}

/// A process that runs or is being started. It is forgotten with the last mount that uses it or waits for it.
struct Known {
    plan: Arc<ProcessPlan>,
    begun: Instant,
    start: WeakShared<Start>,
}

impl Processes {
    /// A place for one more mount of `plan`: in the process that they share, or in a new one of `start`'s. A process that
    /// was there before `started_after` will not do.
    pub(super) async fn place(
        &self,
        plan: &Arc<ProcessPlan>,
        started_after: Option<Instant>,
        start: impl Fn() -> Start,
    ) -> Result<Place, LaunchError> {
        loop {
            let started = self.shared_or_own(plan, started_after, &start);
            let process = started.clone().await?;
            // It may be the one place of a process that does not multiplex, or the last may have left meanwhile.
            if let Some(place) = process.enter(started) {
                return Ok(place);
            }
        }
    }

    fn shared_or_own(
        &self,
        plan: &Arc<ProcessPlan>,
        started_after: Option<Instant>,
        start: impl Fn() -> Start,
    ) -> Shared<Start> {
        if plan.process.dedicated {
            return start().shared();
        }
        // Declared before the lock, so let go of after it: with the last handle goes its process.
        let mut handles = Vec::new();
        let mut known = self.lock();
        known.retain(|other| {
            let handle = other.start.upgrade();
            handles.extend(handle.clone());
            handle.is_some()
        });
        let same = known
            .iter()
            .position(|other| other.plan.is_of_the_process_of(plan));
        match same.map(|at| (&handles[at], known[at].offer(&handles[at], started_after))) {
            Some((started, Offer::Join)) => return started.clone(),
            Some((_, Offer::Separate)) => return start().shared(),
            Some((_, Offer::Replace)) | None => {}
        }
        let begun = Instant::now();
        let started = start().shared();
        let Some(weak) = started.downgrade() else {
            return started;
        };
        if let Some(at) = same {
            known.swap_remove(at);
        }
        known.push(Known {
            plan: Arc::clone(plan),
            begun,
            start: weak,
        });
        started
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a known process means to one more mount.
enum Offer {
    /// It goes there.
    Join,
    /// It has a process of its own, as each mount of this plugin.
    Separate,
    /// A new process takes the place of this one.
    Replace,
}

impl Known {
    fn offer(&self, start: &Shared<Start>, started_after: Option<Instant>) -> Offer {
        let is_new_enough = started_after.is_none_or(|moment| self.begun >= moment);
        match start.peek() {
            Some(Ok(process)) if !process.0.multiplexes => Offer::Separate,
            Some(Ok(process)) if is_new_enough && process.serves() => Offer::Join,
            None if is_new_enough => Offer::Join,
            _ => Offer::Replace,
        }
    }
}

/// A process that said whether mounts can share it.
#[derive(Clone)]
pub(super) struct Shareable(Arc<House>);

struct House {
    process: NativeProcess,
    multiplexes: bool,
    mounts: Mutex<Mounts>,
}

#[derive(Default)]
struct Mounts {
    inside: usize,
    /// The last has left, the only one that there may be has come, or a newcomer got no answer.
    is_closed: bool,
}

impl Shareable {
    pub(super) fn new(process: NativeProcess, multiplexes: bool) -> Self {
        Self(Arc::new(House {
            process,
            multiplexes,
            mounts: Mutex::default(),
        }))
    }

    fn serves(&self) -> bool {
        !self.0.process.has_ended() && !self.0.mounts().is_closed
    }

    /// A mount goes in, unless it is too late for that.
    fn enter(self, start: Shared<Start>) -> Option<Place> {
        {
            let mut mounts = self.0.mounts();
            if mounts.is_closed {
                return None;
            }
            mounts.inside += 1;
            mounts.is_closed = !self.0.multiplexes;
        }
        Some(Place {
            house: self.0,
            has_left: AtomicBool::new(false),
            _start: start,
        })
    }
}

impl House {
    fn mounts(&self) -> MutexGuard<'_, Mounts> {
        self.mounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a mount went out of its process.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Departure {
    /// The last one: from now on nobody comes in, and it has to stop the process.
    Last,
    /// The process goes on for others.
    OneOfMany,
    /// It was out already.
    Before,
}

/// A mount's place in a process. With the last, the process ends.
pub(super) struct Place {
    house: Arc<House>,
    has_left: AtomicBool,
    /// By which others find the process.
    _start: Shared<Start>,
}

impl Place {
    /// The process.
    pub(super) fn process(&self) -> &NativeProcess {
        &self.house.process
    }

    /// Lets no other mount in. Those that are inside stay.
    pub(super) fn close(&self) {
        self.house.mounts().is_closed = true;
    }

    /// Goes out, once.
    pub(super) fn leave(&self) -> Departure {
        if self.has_left.swap(true, Ordering::SeqCst) {
            return Departure::Before;
        }
        let mut mounts = self.house.mounts();
        mounts.inside -= 1;
        mounts.is_closed |= mounts.inside == 0;
        match mounts.inside {
            0 => Departure::Last,
            _ => Departure::OneOfMany,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.leave();
    }
}
