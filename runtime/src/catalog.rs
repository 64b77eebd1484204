//! What an operator registered, and the bytes on disk that belong to it.
//!
//! Registering reads and never runs anything. The catalog knows neither the drivers nor the lifecycle.
//!
//! ```text
//! Manifest ── grammar ──▶ Draft ── open, copy, seal, hash ──▶ Verified ── kind, survey, ceiling ──▶ Entry ──▶ Store
//! Entry ── open, copy, seal, hash again ──▶ Verified ──▶ LaunchPlan
//! ```

mod artifact;
mod custody;
mod dry_run;
mod entry;
mod kind;
mod list;
mod manifest;
mod record;
mod register;
mod resolve;
mod sealed;
mod survey;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub(crate) use artifact::open_directory;
pub use artifact::{Artifact, PluginDirectory, Verified};
pub use custody::Custody;
pub use dry_run::{Candidate, DryRun};
pub use entry::{Entry, EntryKey, EntrySummary};
pub use manifest::Manifest;
pub use register::ComponentInspector;
pub(crate) use resolve::{Choice, Resolved, Wanted};
pub use survey::{Extent, Import, Producer, Structure, Survey, Verdict};

use std::collections::BTreeMap;
use std::sync::Arc;

use palisade_contract::{Plugin, PluginType};

use crate::store::Store;
use crate::{GrantCeiling, PluginName};

/// What a launch runs.
#[derive(Clone)]
pub enum Program {
    /// A plugin linked into the server.
    Builtin(Arc<dyn Plugin>),
    /// The very bytes that were hashed.
    Verified(Verified),
}

/// The version string of everything that is linked into this server.
pub(crate) const BUILTIN_VERSION: &str =
    concat!("v", env!("CARGO_PKG_VERSION"), "+builtin.palisade");

/// Where entries are kept in the store: `<prefix><type>/<name>[/<version>]`.
const PREFIX: &str = "core/plugin-catalog/";

/// Every plugin that can be enabled: entries in the store, and builtins.
pub(crate) struct Catalog {
    store: Arc<dyn Store>,
    directory: Option<PluginDirectory>,
    inspector: Arc<dyn ComponentInspector>,
    builtins: BTreeMap<(PluginType, PluginName), Arc<dyn Plugin>>,
    ceiling: GrantCeiling,
}

impl Catalog {
    /// A catalog over that store. Without a directory nothing can be registered and no artifact be opened.
    pub(crate) fn new(
        store: Arc<dyn Store>,
        directory: Option<PluginDirectory>,
        inspector: Arc<dyn ComponentInspector>,
        builtins: impl IntoIterator<Item = (PluginName, Arc<dyn Plugin>)>,
    ) -> Self {
        let builtins = builtins
            .into_iter()
            .map(|(name, plugin)| ((plugin.describe().plugin_type, name), plugin))
            .collect();
        Self {
            store,
            directory,
            inspector,
            builtins,
            ceiling: GrantCeiling::default(),
        }
    }

    /// With a bound on what its entries may be granted.
    pub(crate) fn beneath(self, ceiling: GrantCeiling) -> Self {
        Self { ceiling, ..self }
    }

    /// The builtin of that type and name.
    pub(crate) fn builtin(
        &self,
        plugin_type: PluginType,
        name: &PluginName,
    ) -> Option<&Arc<dyn Plugin>> {
        self.builtins.get(&(plugin_type, name.clone()))
    }
}
