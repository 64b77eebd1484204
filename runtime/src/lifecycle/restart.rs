//! When a plugin that failed may be started again: at once the first time, then ever later, and on trial.

use std::time::Duration;

/// The wait before the third start in a row; it doubles from there.
const WAIT_FIRST: Duration = Duration::from_millis(250);

/// The longest wait.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// After so many failures in a row, what is started answers one request before it gets the others.
const TRIAL_AFTER: u32 = 2;

/// Whoever ran this long before it failed is taken for healthy: the count starts anew.
const HEALTHY_AFTER: Duration = Duration::from_secs(30);

/// Whoever answered this often is, too: it dies of something that not every request brings about.
const HEALTHY_ANSWERS: u64 = 100;

/// Counts failures in a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    in_a_row: u32,
}

impl Tally {
    /// How many there were.
    pub(super) fn in_a_row(self) -> u32 {
        self.in_a_row
    }

    /// After one more failure to start.
    pub(super) fn after_failed_start(self) -> Self {
        Self {
            in_a_row: self.in_a_row.saturating_add(1),
        }
    }

    /// After the end of a generation that ran for so long and answered so many requests.
    pub(super) fn after_exit(self, ran: Duration, answered: u64) -> Self {
        let before = if ran >= HEALTHY_AFTER || answered >= HEALTHY_ANSWERS {
            Self::default()
        } else {
            self
        };
        before.after_failed_start()
    }

    /// Whether what is started next has to show first that it survives a request.
    pub(super) fn calls_for_a_trial(self) -> bool {
        self.in_a_row >= TRIAL_AFTER
    }

    /// How long nothing may be started now.
    pub(super) fn wait(self) -> Duration {
        match self.in_a_row {
            0 | 1 => Duration::ZERO,
            // Capped before the shift can overflow.
            more => WAIT_FIRST
                .saturating_mul(1 << (more - 2).min(16))
                .min(WAIT_MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(failures: u32) -> Tally {
        (0..failures).fold(Tally::default(), |tally, _| tally.after_failed_start())
    }

    #[test]
    fn the_first_restart_is_at_once() {
        assert_eq!(after(1).wait(), Duration::ZERO);
        assert_eq!(
            Tally::default().after_exit(Duration::ZERO, 0).wait(),
            Duration::ZERO
        );
    }

    #[test]
    fn waits_grow_to_their_cap_and_stay_there() {
        let waits: Vec<_> = (1..100).map(|failures| after(failures).wait()).collect();
        assert!(waits.is_sorted());
        assert_eq!(waits[1], WAIT_FIRST);
        assert_eq!(waits[2], 2 * WAIT_FIRST);
        assert_eq!(waits.last(), Some(&WAIT_MAX));
        assert_eq!(
            Tally { in_a_row: u32::MAX }.after_failed_start().wait(),
            WAIT_MAX
        );
    }

    #[test]
    fn one_failure_is_forgiven_and_the_next_puts_it_on_trial() {
        assert!(!after(0).calls_for_a_trial() && !after(1).calls_for_a_trial());
        assert!(after(2).calls_for_a_trial() && after(100).calls_for_a_trial());
    }

    #[test]
    fn a_healthy_run_wipes_the_slate() {
        let crashing = after(10);
        let short = Duration::from_secs(1);
        assert_eq!(crashing.after_exit(short, 99).in_a_row(), 11);
        assert_eq!(crashing.after_exit(HEALTHY_AFTER, 0).in_a_row(), 1);
        assert_eq!(crashing.after_exit(short, HEALTHY_ANSWERS).in_a_row(), 1);
    }
}
