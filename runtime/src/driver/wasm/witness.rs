//! Sees what ends a guest: tells its caller by an error, keeps it with the mount as a crash, and has what was used taken from
//! its entry's account.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use wasmtime::Store;

use super::budget::Budget;
use super::store::StoreState;
use super::trap::{self, Circumstances};
use super::{clip, unmap};
use crate::services::MountServices;
use crate::{CallError, Crash, ErrorKind, Limits};

/// What has to be known of a mount to say what ended one of its guests.
pub(super) struct Witness {
    pub(super) services: Arc<MountServices>,
    /// What its entry may use over time, where that is limited.
    pub(super) budget: Option<Arc<Budget>>,
    pub(super) limits: Arc<Limits>,
    pub(super) label: String,
}

impl Witness {
    /// What a guest's failure means, which is kept unless nothing crashed.
    pub(super) fn explain(
        &self,
        store: &mut Store<StoreState>,
        error: wasmtime::Error,
    ) -> CallError {
        let backtrace = trap::backtrace(&error);
        let meaning = trap::explain(
            error,
            &Circumstances {
                plugin: &self.label,
                fuel: self.limits.fuel,
                message_bytes: self.limits.message_bytes,
                refusal: store.data().limiter.refusal(),
            },
        );
        let step = store.data_mut().recorder.end();
        if let Some(step) = step.filter(|_| meaning.kind() != ErrorKind::TooLarge) {
            self.keep(store, step, &meaning, backtrace);
        }
        meaning
    }

    /// A store is dropped. When its guest has not returned, nobody but this store knows how far it had come.
    pub(super) fn dropped(&self, store: &mut Store<StoreState>) {
        let Some(step) = store.data_mut().recorder.end() else {
            return;
        };
        let deadline = store.data().scope.as_ref().map(|scope| scope.deadline());
        let late = deadline.filter(|deadline| deadline.left().is_zero());
        let meaning = match late {
            _ if std::thread::panicking() => trap::host_panic(&self.label),
            Some(deadline) => CallError::Timeout {
                plugin: self.label.clone(),
                limit: deadline.limit(),
            },
            // Its caller went away, which says nothing about the guest.
            None => return,
        };
        self.keep(store, step, &meaning, Vec::new());
    }

    fn keep(
        &self,
        store: &Store<StoreState>,
        step: &'static str,
        meaning: &CallError,
        backtrace: Vec<String>,
    ) {
        let (recorder, limiter) = (&store.data().recorder, &store.data().limiter);
        self.services.keep_crash(Crash {
            at: SystemTime::now(),
            plugin: self.label.clone(),
            step,
            kind: meaning.kind(),
            fault: clip::text(&meaning.to_string()),
            backtrace,
            fuel_used: self
                .limits
                .fuel
                .saturating_sub(store.get_fuel().unwrap_or(0)),
            memory_bytes: limiter.bytes(),
            ran: recorder.ran(),
            host_calls: recorder.made(),
            last_host_calls: recorder.last_calls(),
        });
    }
}

/// Fuel for a unit of the host's work. A call that carries nothing takes it about a microsecond, in which a guest would use
/// some eight thousand.
const FUEL_PER_WORK: u64 = 8;

/// A store that tells when it is dropped under its guest, and whose use is charged, whatever becomes of it.
pub(super) struct Watched {
    store: Option<Store<StoreState>>,
    /// Fuel that it had when its entry was last charged for it.
    fuel: u64,
    /// What the host had done for it by then.
    work: u64,
    witness: Arc<Witness>,
}

impl Watched {
    /// A store whose end is seen by its mount's witness.
    pub(super) fn by(witness: &Arc<Witness>, store: Store<StoreState>) -> Self {
        Self {
            store: Some(store),
            fuel: 0,
            work: 0,
            witness: Arc::clone(witness),
        }
    }

    /// Gives it fuel for what comes next.
    pub(super) fn refuel(&mut self, fuel: u64) -> wasmtime::Result<()> {
        self.settle();
        self.set_fuel(fuel)?;
        self.fuel = fuel;
        Ok(())
    }

    /// Charges its entry for what its guest has used, and the host for it.
    pub(super) fn settle(&mut self) {
        if let Some(budget) = &self.witness.budget {
            let (left, work) = (self.get_fuel().unwrap_or(0), self.data().meter.done());
            let of_host = work.saturating_sub(self.work).saturating_mul(FUEL_PER_WORK);
            let used = self.fuel.saturating_sub(left).saturating_add(of_host);
            budget.charge(used, Instant::now());
            (self.fuel, self.work) = (left, work);
        }
    }
}

const TAKEN: &str = "the store is taken only when this is dropped";

impl Deref for Watched {
    type Target = Store<StoreState>;

    fn deref(&self) -> &Self::Target {
        self.store.as_ref().expect(TAKEN)
    }
}

impl DerefMut for Watched {
    fn deref_mut(&mut self) -> &mut Self::Target {
        self.store.as_mut().expect(TAKEN)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.settle();
        if let Some(mut store) = self.store.take() {
            self.witness.dropped(&mut store);
            unmap::in_turn(store);
        }
    }
}
