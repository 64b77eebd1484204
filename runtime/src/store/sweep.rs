//! Deletes everything beneath a prefix, in batches.

use super::{Commit, Snapshot, Store, StoreError, Write};

/// Keys deleted in one commit.
const BATCH_KEYS: usize = 512;

/// Deletes every key beneath `prefix`, which ends in `/`. It takes several commits: stopped halfway, some are gone and
/// a second call deletes the rest. What others write there meanwhile is deleted too, or stays when it comes too late.
///
/// # Errors
///
/// Whatever the store says.
pub async fn delete_prefix(store: &dyn Store, prefix: &str) -> Result<(), StoreError> {
    loop {
        let snapshot = store.snapshot().await?;
        let keys = some_keys(&*snapshot, prefix).await?;
        drop(snapshot);
        if keys.is_empty() {
            return Ok(());
        }
        let deletes = keys.into_iter().map(|key| Write::Delete { key });
        store.commit(Commit::of(deletes.collect())).await?;
    }
}

/// Up to [`BATCH_KEYS`] keys beneath `prefix`; none only when there are none.
async fn some_keys(snapshot: &dyn Snapshot, prefix: &str) -> Result<Vec<String>, StoreError> {
    let mut folders = vec![prefix.to_owned()];
    let mut keys = Vec::new();
    while let Some(folder) = folders.pop() {
        if keys.len() >= BATCH_KEYS {
            break;
        }
        for name in snapshot.list_page(&folder, "", BATCH_KEYS).await? {
            let path = format!("{folder}{name}");
            let kind = if name.ends_with('/') {
                &mut folders
            } else {
                &mut keys
            };
            kind.push(path);
        }
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;

    #[tokio::test]
    async fn everything_beneath_a_prefix_goes_and_nothing_beside_it() {
        let store = MemoryStore::new();
        let put = |key: String| Write::Put {
            key,
            value: vec![1],
        };
        let beneath = (0..2000).map(|i| format!("a/{}/{}/{i}", i % 7, i % 3));
        let beside = ["a", "a0", "ab/c", "b"].map(str::to_owned);
        let writes = beneath.chain(beside).map(put).collect();
        store.commit(Commit::of(writes)).await.unwrap();

        delete_prefix(&store, "a/").await.unwrap();

        let left = store.snapshot().await.unwrap();
        let names = left.list_page("", "", usize::MAX).await.unwrap();
        assert_eq!(names, ["a", "a0", "ab/", "b"]);
    }
}
