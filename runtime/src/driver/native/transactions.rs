//! The transactions that one instance has open, by the names that the host gave them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use palisade_contract::{HostError, HostErrorKind, Transaction};
use uuid::Uuid;

/// Transactions that one instance may hold open. Each may buffer as much as a transaction may, so this bounds memory.
const TRANSACTIONS_MAX: usize = 16;

/// A transaction that calls of one plugin may use at once, and one of them may end.
pub(super) type Shared = Arc<tokio::sync::RwLock<Option<Box<dyn Transaction>>>>;

/// Dropping the table rolls everything back.
pub(super) struct Transactions {
    open: Mutex<HashMap<String, Open>>,
    /// A transaction that is open for longer than any request belongs to none: its plugin has forgotten it.
    age_max: Duration,
}

struct Open {
    transaction: Shared,
    since: Instant,
}

impl Transactions {
    pub(super) fn new(age_max: Duration) -> Self {
        Self {
            open: Mutex::default(),
            age_max,
        }
    }

    fn table(&self) -> MutexGuard<'_, HashMap<String, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there is a place for one more; makes places by rolling back what was forgotten.
    pub(super) fn check_room(&self) -> Result<(), HostError> {
        self.check_room_in(&mut self.table())
    }

    fn check_room_in(&self, table: &mut HashMap<String, Open>) -> Result<(), HostError> {
        table.retain(|_, open| open.since.elapsed() < self.age_max);
        if table.len() < TRANSACTIONS_MAX {
            return Ok(());
        }
        Err(HostError::about(
            HostErrorKind::Quota,
            format_args!(
                "{TRANSACTIONS_MAX} transactions are open already; commit or roll back some"
            ),
        ))
    }

    /// Keeps a transaction and names it.
    pub(super) fn keep(&self, transaction: Box<dyn Transaction>) -> Result<String, HostError> {
        let name = Uuid::new_v4().to_string();
        let transaction = Arc::new(tokio::sync::RwLock::new(Some(transaction)));
        let open = Open {
            transaction,
            since: Instant::now(),
        };
        let mut table = self.table();
        self.check_room_in(&mut table)?;
        table.insert(name.clone(), open);
        Ok(name)
    }

    pub(super) fn get(&self, name: &str) -> Option<Shared> {
        self.table()
            .get(name)
            .map(|open| Arc::clone(&open.transaction))
    }

    /// Takes a transaction out, to end it. Calls that still use it are waited for.
    pub(super) async fn end(&self, name: &str) -> Option<Box<dyn Transaction>> {
        let open = self.table().remove(name)?;
        open.transaction.write().await.take()
    }

    /// Rolls everything back.
    pub(super) fn clear(&self) {
        self.table().clear();
    }
}
