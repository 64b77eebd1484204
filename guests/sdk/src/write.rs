//! One transaction for one write, and what to do when it meets another.

use std::future::Future;

use palisade_contract::{HostError, HostErrorKind, Storage, Transaction, TransactionMode};

use crate::Failure;

/// Where a handler writes: a transaction, or plain storage on a host that has none.
///
/// Dropping it without [`Write::commit`] rolls the transaction back; plain writes stay.
pub struct Write<'a>(Place<'a>);

enum Place<'a> {
    Transaction(Box<dyn Transaction>),
    Plain(&'a dyn Storage),
}

impl<'a> Write<'a> {
    /// Opens a transaction on that storage, where it has them.
    ///
    /// # Errors
    ///
    /// What the host says, unless it says that it has no transactions.
    pub async fn begin(storage: &'a dyn Storage) -> Result<Self, Failure> {
        match storage.begin(TransactionMode::ReadWrite).await {
            Ok(transaction) => Ok(Self(Place::Transaction(transaction))),
            Err(error) if has_no_transactions(&error) => Ok(Self(Place::Plain(storage))),
            Err(error) => Err(error.into()),
        }
    }

    /// Where to read and write meanwhile.
    pub fn storage(&self) -> &dyn Storage {
        match &self.0 {
            Place::Transaction(transaction) => transaction.as_ref(),
            Place::Plain(storage) => *storage,
        }
    }

    /// Makes the writes visible together.
    ///
    /// # Errors
    ///
    /// A conflict when something that was read has changed meanwhile, and whatever else the host says.
    pub async fn commit(self) -> Result<(), Failure> {
        match self.0 {
            Place::Transaction(transaction) => Ok(transaction.commit().await?),
            Place::Plain(_) => Ok(()),
        }
    }
}

/// Whether the error says that there are no transactions here, which is how a host from before them answers: gRPC's
/// status for a method that nobody serves.
fn has_no_transactions(error: &HostError) -> bool {
    let text = error.message.to_ascii_lowercase();
    error.kind == HostErrorKind::Other
        && (text.contains("unimplemented") || text.contains("transactions are not supported"))
}

/// How often a write is tried before its conflict is told to the client.
const ATTEMPTS_MAX: u32 = 8;

/// Runs `attempt` again for as long as its transaction conflicts with a newer write, eight times at most.
///
/// # Errors
///
/// The last conflict, or the first other failure.
pub async fn retry_conflicts<T, F, R>(mut attempt: F) -> Result<T, Failure>
where
    F: FnMut() -> R,
    R: Future<Output = Result<T, Failure>>,
{
    for _ in 1..ATTEMPTS_MAX {
        match attempt().await {
            Err(failure) if failure.is_conflict() => {}
            done => return done,
        }
    }
    attempt().await
}

#[cfg(test)]
mod tests {
    use palisade_contract::{Host, StorageEntry};

    use super::*;
    use crate::testing::{MemoryHost, ready};

    #[test]
    fn a_conflicting_write_is_tried_again_and_then_told() {
        let mut attempts = 0;
        let outcome: Result<(), Failure> = ready(retry_conflicts(|| {
            attempts += 1;
            async { Err(HostError::of(HostErrorKind::Conflict).into()) }
        }));
        assert!(outcome.unwrap_err().is_conflict());
        assert_eq!(attempts, ATTEMPTS_MAX);
    }

    #[test]
    fn a_failure_that_is_no_conflict_is_told_at_once() {
        let mut attempts = 0;
        let outcome: Result<(), Failure> = ready(retry_conflicts(|| {
            attempts += 1;
            async { Err(Failure::refused("no")) }
        }));
        assert_eq!(outcome, Err(Failure::refused("no")));
        assert_eq!(attempts, 1);
    }

    #[test]
    fn a_write_is_visible_after_its_commit_and_not_before() {
        let host = MemoryHost::new();
        ready(async {
            let write = Write::begin(host.storage()).await.unwrap();
            write
                .storage()
                .put(StorageEntry::new("a", "1"))
                .await
                .unwrap();
            assert_eq!(host.storage().get("a").await.unwrap(), None);
            write.commit().await.unwrap();
            assert!(host.storage().get("a").await.unwrap().is_some());
        });
    }

    #[test]
    fn a_host_without_transactions_is_known_by_its_answer() {
        let old = HostError::from_wire("rpc error: code = Unimplemented desc = unknown method");
        assert!(has_no_transactions(&old));
        assert!(!has_no_transactions(&HostError::other("disk on fire")));
        assert!(!has_no_transactions(&HostError::of(HostErrorKind::Sealed)));
    }
}
