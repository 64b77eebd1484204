//! Stored values, as the storage calls carry them.

use palisade_contract::StorageEntry;

use crate::pb;

impl From<StorageEntry> for pb::StorageEntry {
    fn from(entry: StorageEntry) -> Self {
        Self {
            key: entry.key,
            value: entry.value,
            seal_wrap: entry.seal_wrap,
        }
    }
}

impl From<pb::StorageEntry> for StorageEntry {
    fn from(entry: pb::StorageEntry) -> Self {
        Self {
            key: entry.key,
            value: entry.value,
            seal_wrap: entry.seal_wrap,
        }
    }
}
