//! The fuel that an entry's components use over time, whatever a single request may use. An account is paid into steadily,
//! up to a minute's worth; a request takes from it when it has ended, below nothing if need be, and the next ones are refused
//! until the debt is paid. So no request dies of what others used.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::Limits;

const MINUTE: Duration = Duration::from_secs(60);

/// The most that is owed, in minutes: whatever requests used that were under way together, an entry comes back.
const DEBT_MINUTES_MAX: i128 = 10;

/// The accounts of all entries of a server. They stay with it, so that no entry gets a full one by being enabled again.
#[derive(Default)]
pub(super) struct Budgets(Mutex<HashMap<String, Arc<Budget>>>);

impl Budgets {
    /// What the mounts of an entry have together, where its limits say that it is not endless.
    pub(super) fn of(&self, entry: &str, limits: &Limits) -> Option<Arc<Budget>> {
        let per_minute = limits.fuel_per_minute?;
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let budget = known
            .entry(entry.to_owned())
            .or_insert_with(|| Arc::new(Budget::new(per_minute)));
        budget.pay_from_now_on(per_minute);
        Some(Arc::clone(budget))
    }
}

/// What one entry may use over time, over all its mounts.
pub(super) struct Budget(Mutex<Account>);

struct Account {
    /// Paid in per minute, and the most that is saved.
    per_minute: u64,
    /// Units of fuel; less than none after requests that used more than there was.
    balance: i128,
    /// Until when it has been paid in.
    paid: Instant,
}

/// An account with nothing in it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Empty {
    /// What is paid in per minute.
    pub(super) per_minute: u64,
    /// How long it takes until there is fuel again.
    pub(super) wait: Duration,
}

impl Budget {
    /// A full account.
    fn new(per_minute: u64) -> Self {
        Self(Mutex::new(Account {
            per_minute,
            balance: per_minute.into(),
            paid: Instant::now(),
        }))
    }

    fn pay_from_now_on(&self, per_minute: u64) {
        let mut account = self.account();
        account.pay_until(Instant::now());
        account.per_minute = per_minute;
    }

    /// Lets a request begin.
    ///
    /// # Errors
    ///
    /// When there is no fuel, until when.
    pub(super) fn check(&self, now: Instant) -> Result<(), Empty> {
        let mut account = self.account();
        account.pay_until(now);
        if account.balance > 0 {
            return Ok(());
        }
        let missing = account.balance.unsigned_abs() + 1;
        Err(Empty {
            per_minute: account.per_minute,
            wait: account.time_for(missing) + Duration::from_nanos(1),
        })
    }

    /// Takes what was used.
    pub(super) fn charge(&self, used: u64, now: Instant) {
        let mut account = self.account();
        account.pay_until(now);
        let debt_max = DEBT_MINUTES_MAX * i128::from(account.per_minute);
        account.balance = (account.balance - i128::from(used)).max(-debt_max);
    }

    fn account(&self) -> MutexGuard<'_, Account> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Account {
    fn pay_until(&mut self, now: Instant) {
        let nanos = now.saturating_duration_since(self.paid).as_nanos();
        let earned = nanos.saturating_mul(self.per_minute.into()) / MINUTE.as_nanos();
        let full = i128::from(self.per_minute);
        let balance = i128::try_from(earned).map(|earned| self.balance.saturating_add(earned));
        (self.balance, self.paid) = match balance {
            // The time that makes no whole unit yet counts the next time.
            Ok(balance) if balance < full => (balance, self.paid + self.time_for(earned)),
            _ => (full, now),
        };
    }

    /// How long it takes to pay that much in, without the last part of a nanosecond.
    fn time_for(&self, units: u128) -> Duration {
        let per_minute = u128::from(self.per_minute.max(1));
        let nanos = units.saturating_mul(MINUTE.as_nanos()) / per_minute;
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
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

    fn wait(budget: &Budget, at: Instant) -> Duration {
        budget.check(at).unwrap_err().wait
    }

    #[test]
    fn requests_begin_until_the_account_is_empty() {
        let (budget, begun) = budget();
        assert_eq!(budget.check(begun), Ok(()));
        budget.charge(PER_MINUTE - 1, begun);
        assert_eq!(budget.check(begun), Ok(()), "there is one unit left");
        budget.charge(1, begun);
        assert_eq!(wait(&budget, begun), Duration::from_nanos(1_001));
    }

    #[test]
    fn a_debt_is_paid_off_before_the_next_one_begins() {
        let (budget, begun) = budget();
        budget.charge(3 * PER_MINUTE, begun);
        let wait = wait(&budget, begun);
        assert!(
            wait > 2 * MINUTE && wait < 2 * MINUTE + Duration::from_millis(1),
            "{wait:?}"
        );
        assert!(budget.check(begun + 2 * MINUTE).is_err());
        assert_eq!(budget.check(begun + wait), Ok(()));
    }

    #[test]
    fn no_more_than_a_minute_is_saved_whether_somebody_looks_or_not() {
        for looks in [false, true] {
            let (budget, begun) = budget();
            let later = begun + 60 * MINUTE;
            if looks {
                assert_eq!(budget.check(later), Ok(()));
            }
            budget.charge(PER_MINUTE, later);
            assert!(budget.check(later).is_err());
        }
    }

    #[test]
    fn a_debt_does_not_grow_without_end() {
        let (budget, begun) = budget();
        budget.charge(u64::MAX, begun);
        budget.charge(u64::MAX, begun);
        let wait = wait(&budget, begun);
        assert!(wait < 10 * MINUTE + Duration::from_millis(1), "{wait:?}");
    }

    #[test]
    fn looking_often_loses_nothing() {
        let (budget, begun) = budget();
        budget.charge(PER_MINUTE + 1_000_000, begun);
        // A second's worth is owed, and no interval between two looks earns whole units only.
        let looks = (1..=60_000_u32).map(|look| begun + Duration::from_nanos(16_667) * look);
        let first = looks.into_iter().find(|at| budget.check(*at).is_ok());
        let took = first.expect("a second has passed").duration_since(begun);
        assert!(
            took >= Duration::from_secs(1) && took < Duration::from_millis(1_001),
            "{took:?}"
        );
    }

    #[test]
    fn an_entry_that_is_enabled_again_has_the_account_that_it_had() {
        let budgets = Budgets::default();
        let limits = |per_minute| Limits {
            fuel_per_minute: Some(per_minute),
            ..Limits::default()
        };
        let first = budgets.of("secret/kv", &limits(PER_MINUTE)).unwrap();
        first.charge(2 * PER_MINUTE, Instant::now());
        drop(first);
        let again = budgets.of("secret/kv", &limits(2 * PER_MINUTE)).unwrap();
        let refusal = again.check(Instant::now()).unwrap_err();
        assert_eq!(refusal.per_minute, 2 * PER_MINUTE);
        assert!(refusal.wait < MINUTE, "it is paid off at the new rate");
        let other = budgets.of("secret/kv2", &limits(PER_MINUTE)).unwrap();
        assert_eq!(other.check(Instant::now()), Ok(()));
        assert!(budgets.of("secret/kv", &Limits::default()).is_none());
    }
}
