//! What a store remembers of its run for the case that it crashes: the last calls of the host, in a ring that costs a
//! call two looks at the clock and no allocation.

use std::time::{Duration, Instant};

use crate::{HostCall, HostCallOutcome};

/// Calls of the host that are remembered.
const CALLS_KEPT: usize = 16;

/// A call that was never made.
const NONE: HostCall = HostCall {
    interface: "",
    function: "",
    outcome: HostCallOutcome::Unfinished,
    micros: 0,
};

/// The run of one store.
pub(super) struct Recorder {
    /// What the guest was asked; nothing while it runs nothing.
    step: Option<&'static str>,
    begun: Instant,
    /// When the last call of the host began.
    called: Instant,
    calls: [HostCall; CALLS_KEPT],
    made: u64,
}

impl Recorder {
    /// A recorder of a store in which nothing has run.
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self {
            step: None,
            begun: now,
            called: now,
            calls: [NONE; CALLS_KEPT],
            made: 0,
        }
    }

    /// The guest is asked; what it did before is no longer of interest.
    pub(super) fn begin(&mut self, step: &'static str) {
        self.step = Some(step);
        self.begun = Instant::now();
        self.made = 0;
    }

    /// The guest has answered, or what became of it is known.
    pub(super) fn end(&mut self) -> Option<&'static str> {
        self.step.take()
    }

    /// A call of the host begins.
    pub(super) fn call(&mut self, interface: &'static str, function: &'static str) {
        self.note(interface, function);
        self.called = Instant::now();
    }

    /// A call of an interface whose functions are not told apart.
    pub(super) fn note(&mut self, interface: &'static str, function: &'static str) {
        *self.slot(self.made) = HostCall {
            interface,
            function,
            ..NONE
        };
        self.made += 1;
    }

    /// The call that began last returns.
    pub(super) fn returned(&mut self, outcome: HostCallOutcome) {
        let micros = u32::try_from(self.called.elapsed().as_micros()).unwrap_or(u32::MAX);
        let last = self.slot(self.made.wrapping_sub(1));
        last.outcome = outcome;
        last.micros = micros;
    }

    /// When the guest was last asked something.
    pub(super) fn begun(&self) -> Instant {
        self.begun
    }

    /// How long the guest has been running.
    pub(super) fn ran(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Calls that were made.
    pub(super) fn made(&self) -> u64 {
        self.made
    }

    /// The last of them, oldest first.
    pub(super) fn last_calls(&self) -> Vec<HostCall> {
        let kept = self.made.min(CALLS_KEPT as u64);
        let numbers = self.made - kept..self.made;
        numbers.map(|number| self.calls[index(number)]).collect()
    }

    fn slot(&mut self, number: u64) -> &mut HostCall {
        &mut self.calls[index(number)]
    }
}

fn index(number: u64) -> usize {
    (number % CALLS_KEPT as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_calls_are_kept_in_their_order() {
        let mut recorder = Recorder::new();
        recorder.begin("handle-request");
        for _ in 0..30 {
            recorder.call("a", "old");
            recorder.returned(HostCallOutcome::Ok);
        }
        recorder.call("b", "failed");
        recorder.returned(HostCallOutcome::Error);
        recorder.call("c", "unfinished");
        let calls = recorder.last_calls();
        assert_eq!((recorder.made(), calls.len()), (32, CALLS_KEPT));
        let outcomes: Vec<_> = calls[13..]
            .iter()
            .map(|call| (call.interface, call.outcome))
            .collect();
        assert_eq!(
            outcomes,
            [
                ("a", HostCallOutcome::Ok),
                ("b", HostCallOutcome::Error),
                ("c", HostCallOutcome::Unfinished)
            ]
        );
    }

    #[test]
    fn a_request_begins_with_an_empty_ring() {
        let mut recorder = Recorder::new();
        recorder.begin("setup");
        recorder.call("a", "b");
        recorder.end();
        recorder.begin("handle-request");
        assert!(recorder.last_calls().is_empty());
    }
}
