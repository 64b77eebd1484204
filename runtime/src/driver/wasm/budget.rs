//! The fuel that an entry's components use over time, whatever a single request may use. An account is paid into steadily,
//! up to a minute's worth; a request takes from it when it has ended, below nothing if need be, and the next ones are refused
//! until the debt is paid. So no request dies of what others used, and over time no more is used than the entry has.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::Limits;
use crate::registry::Registry;

const MINUTE: Duration = Duration::from_secs(60);

/// Those of all entries of a server.
#[derive(Default)]
pub(super) struct Budgets(Registry<(String, u64), Budget>);

impl Budgets {
    /// What the mounts of an entry have together, where its limits say that it is not endless.
    pub(super) fn of(&self, entry: &str, limits: &Limits) -> Option<Arc<Budget>> {
        let per_minute = limits.fuel_per_minute?;
        let key = (entry.to_owned(), per_minute);
        Some(self.0.get_or_make(key, || Budget::new(per_minute)))
    }
}

/// What one entry may use per minute, over all its mounts.
pub(super) struct Budget {
    per_minute: u64,
    account: Mutex<Account>,
}

struct Account {
    /// Units of fuel; less than none after a request that used more than there was.
    balance: i128,
    /// Until when it has been paid in.
    paid: Instant,
}

impl Budget {
    /// A full account.
    fn new(per_minute: u64) -> Self {
        Self {
            per_minute,
            account: Mutex::new(Account {
                balance: per_minute.into(),
                paid: Instant::now(),
            }),
        }
    }

    /// What is paid in per minute.
    pub(super) fn per_minute(&self) -> u64 {
        self.per_minute
    }

    /// Lets a request begin.
    ///
    /// # Errors
    ///
    /// How long it takes until there is fuel again.
    pub(super) fn check(&self, now: Instant) -> Result<(), Duration> {
        let mut account = self.account();
        account.pay_until(now, self.per_minute);
        match u128::try_from(1 - account.balance) {
            Ok(missing) if missing > 0 => Err(time_for(missing, self.per_minute)),
            _ => Ok(()),
        }
    }

    /// Takes what was used.
    pub(super) fn charge(&self, used: u64) {
        self.account().balance -= i128::from(used);
    }

    fn account(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Account {
    fn pay_until(&mut self, now: Instant, per_minute: u64) {
        let nanos = now.saturating_duration_since(self.paid).as_nanos();
        let earned = nanos.saturating_mul(per_minute.into()) / MINUTE.as_nanos();
        let balance = i128::try_from(earned).map(|earned| self.balance.saturating_add(earned));
        let full = i128::from(per_minute);
        (self.balance, self.paid) = match balance {
            // The time that makes no whole unit yet counts the next time.
            Ok(balance) if balance < full => (balance, self.paid + time_for(earned, per_minute)),
            _ => (full, now),
        };
    }
}

/// How long it takes to pay that much in.
fn time_for(units: u128, per_minute: u64) -> Duration {
    let nanos = units.saturating_mul(MINUTE.as_nanos()) / u128::from(per_minute.max(1));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PER_MINUTE: u64 = 60_000_000;

    fn budget() -> (Budget, Instant) {
        let budget = Budget::new(PER_MINUTE);
        let begun = budget.account().paid;
        (budget, begun)
    }

    #[test]
    fn requests_begin_until_the_account_is_empty() {
        let (budget, begun) = budget();
        assert_eq!(budget.check(begun), Ok(()));
        budget.charge(PER_MINUTE - 1);
        assert_eq!(budget.check(begun), Ok(()), "there is one unit left");
        budget.charge(1);
        assert_eq!(budget.check(begun), Err(Duration::from_micros(1)));
    }

    #[test]
    fn a_debt_is_paid_off_before_the_next_one_begins() {
        let (budget, begun) = budget();
        budget.charge(3 * PER_MINUTE);
        let wait = budget.check(begun).unwrap_err();
        assert!(
            wait > 2 * MINUTE && wait < 2 * MINUTE + Duration::from_millis(1),
            "{wait:?}"
        );
        assert!(budget.check(begun + 2 * MINUTE).is_err());
        assert_eq!(budget.check(begun + wait), Ok(()));
    }

    #[test]
    fn no_more_than_a_minute_is_saved() {
        let (budget, begun) = budget();
        let later = begun + 60 * MINUTE;
        assert_eq!(budget.check(later), Ok(()));
        budget.charge(PER_MINUTE);
        assert!(budget.check(later).is_err());
    }

    #[test]
    fn looking_often_loses_nothing() {
        let (budget, begun) = budget();
        budget.charge(PER_MINUTE + 1_000_000);
        // Each of these looks comes after 16.7 units; the last but one of them is a unit after a second.
        let looks = (1..=60_000_u32).map(|look| begun + Duration::from_nanos(16_667) * look);
        let begins = looks.filter(|at| budget.check(*at).is_ok()).count();
        assert!((1..10).contains(&begins), "{begins}");
    }
}
