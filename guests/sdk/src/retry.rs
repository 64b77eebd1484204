//! What to do when a transaction meets a newer write.

use std::future::Future;

use crate::Failure;

/// How often a write is tried before its conflict is told to the client.
const ATTEMPTS_MAX: u32 = 8;

/// Runs `attempt` again for as long as its transaction conflicts with a newer write, eight times at most.
///
/// Each attempt opens a transaction of its own, so that it reads what the newer write left:
///
/// ```
/// use palisade_plugin::{Answer, Call, Storage, StorageEntry, Transaction, retry_conflicts};
///
/// async fn append(_: &(), call: Call<'_>) -> Answer {
///     retry_conflicts(|| append_once(call)).await
/// }
///
/// async fn append_once(call: Call<'_>) -> Answer {
///     let transaction = call.transaction().await?;
///     let known = transaction.get("lines").await?;
///     let mut lines = known.map_or_else(Vec::new, |entry| entry.value);
///     lines.extend_from_slice(b"one more\n");
///     transaction.put(StorageEntry::new("lines", lines)).await?;
///     transaction.commit().await?;
///     Ok(None)
/// }
/// ```
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
    use palisade_contract::{HostError, HostErrorKind};

    use super::*;
    use crate::testing::ready;

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
}
