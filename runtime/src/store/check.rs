//! Decides whether what a commit relies on still holds.

use super::page::PageOf;
use super::{Check, StoreError};

/// The state that the next commit meets.
pub(super) trait Current {
    /// The revision of what is at `key`; `None` when nothing is.
    fn revision(&self, key: &str) -> Result<Option<u64>, StoreError>;

    /// The names on a page of a listing.
    fn page(&self, page: PageOf<'_>) -> Result<Vec<String>, StoreError>;
}

/// Tests every check.
///
/// # Errors
///
/// [`StoreError::Conflict`] with the key or prefix of the first that does not hold.
pub(super) fn hold(checks: &[Check], current: &impl Current) -> Result<(), StoreError> {
    checks.iter().try_for_each(|check| holds(check, current))
}

fn holds(check: &Check, current: &impl Current) -> Result<(), StoreError> {
    let (same, about) = match check {
        Check::Key { key, revision } => (current.revision(key)? == *revision, key),
        Check::Page {
            prefix,
            after,
            limit,
            keys,
        } => {
            let page = PageOf {
                prefix,
                after,
                limit: *limit,
            };
            (current.page(page)? == *keys, prefix)
        }
    };
    if same {
        Ok(())
    } else {
        Err(StoreError::Conflict(about.clone()))
    }
}
