//! Listings: what is stored beneath the catalog's prefix, and the builtins beside it.

use std::collections::BTreeSet;

use palisade_contract::PluginType;

use super::{BUILTIN_VERSION, Catalog, Entry, EntrySummary, PREFIX, record};
use crate::store::{Snapshot, StoreError};
use crate::{PluginName, PluginVersion, RegisterError, RuntimeKind};

/// How many keys are asked for at a time.
const PAGE_KEYS: usize = 1000;

impl Catalog {
    /// Every entry and builtin, sorted by type, name and version. What cannot be read is left out, and logged.
    pub(crate) async fn entries(&self) -> Result<Vec<EntrySummary>, RegisterError> {
        let entries = self.registered_entries().await?;
        let taken: BTreeSet<_> = entries
            .iter()
            .map(|entry| (entry.key.plugin_type, entry.key.name.clone()))
            .collect();
        let builtins = self
            .builtins
            .keys()
            .map(|key| summary_of_builtin(key, taken.contains(key)));
        let mut all: Vec<_> = entries
            .iter()
            .map(EntrySummary::of)
            .chain(builtins)
            .collect();
        all.sort_by_cached_key(|one| {
            let version = one.version.parse::<PluginVersion>().ok();
            (one.plugin_type, one.name.clone(), version)
        });
        Ok(all)
    }

    /// Whether any entry or builtin of that name exists, of any type.
    pub(crate) async fn knows(&self, name: &PluginName) -> Result<bool, RegisterError> {
        let all = self.entries().await?;
        Ok(all.iter().any(|one| one.name == name.as_str()))
    }

    /// The versions that are registered of one plugin.
    pub(super) async fn versions(
        &self,
        plugin_type: PluginType,
        name: &PluginName,
    ) -> Result<Vec<PluginVersion>, RegisterError> {
        let snapshot = self.store.snapshot().await?;
        let prefix = format!("{PREFIX}{plugin_type}/{name}/");
        let keys = children(snapshot.as_ref(), &prefix).await?;
        // Other children are names that go on, such as `a/b` beside the versions of `a`.
        Ok(keys.iter().filter_map(|key| key.parse().ok()).collect())
    }

    async fn registered_entries(&self) -> Result<Vec<Entry>, RegisterError> {
        let snapshot = self.store.snapshot().await?;
        let mut folders = vec![PREFIX.to_owned()];
        let mut entries = Vec::new();
        while let Some(folder) = folders.pop() {
            for child in children(snapshot.as_ref(), &folder).await? {
                let path = format!("{folder}{child}");
                match child.ends_with('/') {
                    true => folders.push(path),
                    false => entries.extend(read(snapshot.as_ref(), &path).await?),
                }
            }
        }
        Ok(entries)
    }
}

/// All direct children of a prefix, page by page.
async fn children(snapshot: &dyn Snapshot, prefix: &str) -> Result<Vec<String>, StoreError> {
    let mut all: Vec<String> = Vec::new();
    loop {
        let after = all.last().cloned().unwrap_or_default();
        let page = snapshot.list_page(prefix, &after, PAGE_KEYS).await?;
        let last = page.len() < PAGE_KEYS;
        all.extend(page);
        if last {
            return Ok(all);
        }
    }
}

async fn read(snapshot: &dyn Snapshot, path: &str) -> Result<Option<Entry>, StoreError> {
    let Some(found) = snapshot.get(path).await? else {
        return Ok(None);
    };
    match record::decode(path, &found.value) {
        Ok(entry) => Ok(Some(entry)),
        Err(error) => {
            tracing::warn!(%error, "an entry is left out of the listing");
            Ok(None)
        }
    }
}

impl EntrySummary {
    fn of(entry: &Entry) -> Self {
        Self {
            plugin_type: entry.key.plugin_type,
            name: entry.key.name.to_string(),
            version: record::version_text(&entry.key),
            runtime: entry.runtime,
            profile: (entry.runtime == RuntimeKind::Wasm).then_some(entry.limits.profile),
            sha256: Some(entry.sha256),
            shadowed: false,
        }
    }
}

fn summary_of_builtin(key: &(PluginType, PluginName), shadowed: bool) -> EntrySummary {
    EntrySummary {
        plugin_type: key.0,
        name: key.1.to_string(),
        version: BUILTIN_VERSION.to_owned(),
        runtime: RuntimeKind::Builtin,
        profile: None,
        sha256: None,
        shadowed,
    }
}
