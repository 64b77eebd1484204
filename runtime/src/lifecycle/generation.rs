//! One start of a mount's plugin, from ready to stopped.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use palisade_contract::{Request, SpecialPaths};

use super::trial::Trial;
use super::{Gate, Prepared, Started, special};
use crate::driver::Instance;
use crate::{PluginVersion, RuntimeKind};

/// The version that runs: its entry's, else what the plugin says if that is one.
pub(crate) fn running_version(prepared: &Prepared, instance: &dyn Instance) -> String {
    if !prepared.running_version.is_empty() {
        return prepared.running_version.clone();
    }
    let said = instance.description().version.parse::<PluginVersion>();
    said.map_or_else(|_| String::new(), |version| version.to_string())
}

/// An instance that serves, and what it was started from.
pub(crate) struct Generation {
    number: u64,
    prepared: Arc<Prepared>,
    instance: Arc<dyn Instance>,
    gate: Gate,
    trial: Option<Trial>,
    special_paths: Arc<SpecialPaths>,
    started: Instant,
    answered: AtomicU64,
}

impl Generation {
    /// One that serves everybody at once or, `on_trial`, one request before the others.
    pub(super) fn new(number: u64, started: Started, on_trial: bool) -> Self {
        Self {
            number,
            prepared: started.prepared,
            instance: started.instance,
            special_paths: started.special_paths,
            gate: Gate::default(),
            trial: on_trial.then(Trial::new),
            started: Instant::now(),
            answered: AtomicU64::new(0),
        }
    }

    /// Rises with every start of the mount's plugin.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// What it was started from, and would be started from again.
    pub(crate) fn prepared(&self) -> &Prepared {
        &self.prepared
    }

    /// The handle to it.
    pub(crate) fn instance(&self) -> &dyn Instance {
        &*self.instance
    }

    /// Counts who is inside.
    pub(super) fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Paths that the plugin asked to be treated specially, as far as they are acceptable.
    pub(crate) fn special_paths(&self) -> &Arc<SpecialPaths> {
        &self.special_paths
    }

    /// Whether sending this request twice does no harm: by what it is, or because the plugin says so.
    pub(super) fn may_be_sent_twice(&self, request: &Request) -> bool {
        let operation = request.operation;
        let is_safe = || special::covers(&self.special_paths.safe_reads, &request.path);
        operation.is_idempotent() || (operation.is_read() && is_safe())
    }

    /// Whether it has yet to show that it survives a request.
    pub(super) fn trial(&self) -> Option<&Trial> {
        self.trial.as_ref()
    }

    /// Counts an answer.
    pub(super) fn has_answered(&self) {
        self.answered.fetch_add(1, Ordering::Relaxed);
    }

    /// How many requests it has answered.
    pub(super) fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// When it became ready.
    pub(super) fn started(&self) -> Instant {
        self.started
    }

    /// Whether it can die for reasons that are not the request's own, so that sending it again may help.
    pub(super) fn is_process(&self) -> bool {
        self.prepared.runtime == RuntimeKind::Native
    }
}
