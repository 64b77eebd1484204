//! Lists a state with changes over it: some keys added, some taken away, folders that come and go with them.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use palisade_contract::HostError;

use super::view::View;
use crate::store::{Check, Snapshot, child_name};

/// Names read from the store at once. A listing without limit is read in pages of this size; tests come to its seams
/// with a few keys.
const NAMES_PER_READ: usize = if cfg!(test) { 3 } else { 1024 };

/// Which keys, relative to the mount, the changes put (`true`) or delete (`false`).
pub(super) type Marks = BTreeMap<String, bool>;

/// Which page of which listing a plugin asked for.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) prefix: &'a str,
    pub(super) after: &'a str,
    pub(super) limit: usize,
}

impl<'a> Wanted<'a> {
    /// As the contract has it: a limit of zero or less is none.
    pub(super) fn new(prefix: &'a str, after: &'a str, limit: i32) -> Self {
        Self {
            prefix,
            after,
            limit: usize::try_from(limit)
                .ok()
                .filter(|limit| *limit > 0)
                .unwrap_or(usize::MAX),
        }
    }
}

/// A listing of `base` with `marks` over it. What was read of the base is noted in `seen`, where a transaction's commit
/// needs it.
pub(super) struct Listing<'a> {
    pub(super) view: &'a View,
    pub(super) base: &'a dyn Snapshot,
    pub(super) marks: &'a Marks,
    pub(super) seen: Option<&'a mut Vec<Check>>,
}

impl Listing<'_> {
    /// The names on the page, sorted.
    pub(super) async fn page(&mut self, wanted: Wanted<'_>) -> Result<Vec<String>, HostError> {
        let mut pending = self.added_names(wanted);
        let mut names = Vec::new();
        let mut name_bytes = 0;
        let mut after = wanted.after.to_owned();
        while names.len() < wanted.limit {
            let count = NAMES_PER_READ.min(wanted.limit - names.len());
            let read = self.read(wanted.prefix, &after, count).await?;
            let last_read = (read.len() == count)
                .then(|| read.last().cloned())
                .flatten();
            for name in read {
                if self.survives(wanted.prefix, &name).await? {
                    pending.insert(name);
                }
            }
            while names.len() < wanted.limit
                && let Some(name) = pop_up_to(&mut pending, last_read.as_deref())
            {
                name_bytes += name.len();
                names.push(name);
            }
            self.check_size(wanted.prefix, name_bytes)?;
            match last_read {
                Some(last) => after = last,
                None => break,
            }
        }
        Ok(names)
    }

    /// The names of keys that the changes put, as far as they can be on the page.
    fn added_names(&self, wanted: Wanted<'_>) -> BTreeSet<String> {
        beneath(self.marks, wanted.prefix)
            .filter(|(_, present)| *present)
            .map(|(key, _)| child_name(&key[wanted.prefix.len()..]))
            .filter(|name| *name > wanted.after)
            .map(str::to_owned)
            .collect()
    }

    /// Whether a name of the base is still there under the changes.
    async fn survives(&mut self, prefix: &str, name: &str) -> Result<bool, HostError> {
        let path = format!("{prefix}{name}");
        if name.ends_with('/') {
            self.folder_survives(path).await
        } else {
            Ok(self.marks.get(&path) != Some(&false))
        }
    }

    /// A folder is there as long as one key beneath it is. Each key looked at is one that the changes delete, so this
    /// costs no more than the deleting did.
    async fn folder_survives(&mut self, folder: String) -> Result<bool, HostError> {
        let mut folders = vec![folder];
        while let Some(folder) = folders.pop() {
            let mut changed = beneath(self.marks, &folder).peekable();
            if changed.peek().is_none() || changed.any(|(_, present)| present) {
                return Ok(true);
            }
            let mut after = String::new();
            loop {
                let read = self.read(&folder, &after, NAMES_PER_READ).await?;
                for name in &read {
                    let path = format!("{folder}{name}");
                    if name.ends_with('/') {
                        folders.push(path);
                    } else if self.marks.get(&path) != Some(&false) {
                        return Ok(true);
                    }
                }
                match read.last() {
                    Some(last) if read.len() == NAMES_PER_READ => after.clone_from(last),
                    _ => break,
                }
            }
        }
        Ok(false)
    }

    async fn read(
        &mut self,
        prefix: &str,
        after: &str,
        limit: usize,
    ) -> Result<Vec<String>, HostError> {
        let prefix = self.view.full(prefix);
        let read = self.base.list_page(&prefix, after, limit).await;
        let keys = read.map_err(|error| self.view.to_host_error(error))?;
        if let Some(seen) = &mut self.seen {
            seen.push(Check::Page {
                prefix,
                after: after.to_owned(),
                limit,
                keys: keys.clone(),
            });
        }
        Ok(keys)
    }

    fn check_size(&self, prefix: &str, name_bytes: usize) -> Result<(), HostError> {
        let limit = self.view.limits().list_bytes_max;
        if name_bytes > limit {
            return Err(HostError::other(format!(
                "the names beneath {prefix:?} have over {limit} bytes; list them in pages, with a limit"
            )));
        }
        Ok(())
    }
}

/// The changes to keys that start with `prefix`.
fn beneath<'a>(marks: &'a Marks, prefix: &'a str) -> impl Iterator<Item = (&'a str, bool)> {
    marks
        .range::<str, _>((Bound::Included(prefix), Bound::Unbounded))
        .take_while(move |(key, _)| key.starts_with(prefix))
        .map(|(key, present)| (key.as_str(), *present))
}

/// Takes the first name unless it sorts behind `last`.
fn pop_up_to(names: &mut BTreeSet<String>, last: Option<&str>) -> Option<String> {
    let first = names.first()?;
    if last.is_some_and(|last| first.as_str() > last) {
        return None;
    }
    names.pop_first()
}

#[cfg(test)]
mod tests {
    use palisade_contract::{Storage, TransactionMode};
    use proptest::prelude::*;

    use super::super::testing::{deadline, put, services};
    use super::*;

    type Keys = BTreeSet<String>;

    /// What the contract says a listing is, in the plainest way.
    fn plain_list(keys: &Keys, prefix: &str, after: &str, limit: i32) -> Vec<String> {
        let names = keys.iter().filter_map(|key| key.strip_prefix(prefix));
        let names: BTreeSet<_> = names.map(child_name).filter(|name| *name > after).collect();
        let limit = usize::try_from(limit).unwrap_or(0);
        let limit = if limit == 0 { usize::MAX } else { limit };
        names.into_iter().take(limit).map(str::to_owned).collect()
    }

    fn key() -> impl Strategy<Value = String> {
        prop::collection::vec("[a-c]", 1..4).prop_map(|segments| segments.join("/"))
    }

    fn changes() -> impl Strategy<Value = Vec<(String, bool)>> {
        prop::collection::vec((key(), prop::bool::weighted(0.4)), 0..12)
    }

    async fn apply(storage: &dyn Storage, keys: &mut Keys, changes: &[(String, bool)]) {
        for (key, present) in changes {
            if *present {
                put(storage, key, "v").await.unwrap();
                keys.insert(key.clone());
            } else {
                storage.delete(key).await.unwrap();
                keys.remove(key);
            }
        }
    }

    async fn compare(storage: &dyn Storage, keys: &Keys) {
        for prefix in ["", "a/", "b/", "a/b/", "c/a/"] {
            for after in ["", "a", "a/", "b", "b/", "b/c", "c"] {
                for limit in [-1, 1, 2, 3, 4] {
                    let names = storage.list_page(prefix, after, limit).await.unwrap();
                    let expected = plain_list(keys, prefix, after, limit);
                    assert_eq!(
                        names, expected,
                        "{prefix:?} after {after:?}, {limit}: {keys:?}"
                    );
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn a_listing_is_that_of_the_state_with_the_changes_applied(
            stored in prop::collection::btree_set(key(), 0..20),
            of_request in changes(),
            of_transaction in changes(),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            runtime.block_on(async {
                let services = services();
                let direct = services.direct_scope(deadline());
                let mut keys = Keys::new();
                let stored: Vec<_> = stored.into_iter().map(|key| (key, true)).collect();
                apply(&direct, &mut keys, &stored).await;
                compare(&direct, &keys).await;

                let request = services.buffered_scope(deadline());
                apply(&request, &mut keys, &of_request).await;
                compare(&request, &keys).await;

                let transaction = request.begin(TransactionMode::ReadWrite).await.unwrap();
                apply(&*transaction, &mut keys, &of_transaction).await;
                compare(&*transaction, &keys).await;

                transaction.commit().await.unwrap();
                compare(&request, &keys).await;
                request.commit(super::super::StoreId::NONE).await.unwrap();
                compare(&direct, &keys).await;
            });
        }
    }
}
