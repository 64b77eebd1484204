//! What every start of a plugin needs: catalog, drivers, store.

use std::collections::BTreeMap;
use std::sync::Arc;

use palisade_contract::SetupConfig;

use super::record::Record;
use crate::catalog::{Catalog, Choice, Entry, Resolved, Wanted};
use crate::driver::{Driver, LaunchPlan, Needs};
use crate::lifecycle::Prepared;
use crate::services::{MountServices, ServicesConfig, SystemFacts};
use crate::store::Store;
use crate::{LaunchError, Limits, MountError, RuntimeKind, Timeouts};

/// Makes plans from names.
pub(super) struct Workshop {
    pub(super) catalog: Catalog,
    pub(super) drivers: BTreeMap<RuntimeKind, Arc<dyn Driver>>,
    pub(super) store: Arc<dyn Store>,
    pub(super) timeouts: Arc<Timeouts>,
    /// What plugins are told of the server.
    pub(super) facts: Arc<SystemFacts>,
}

impl Workshop {
    /// What the host offers a mount.
    pub(super) fn services(&self, record: &Record) -> Result<Arc<MountServices>, MountError> {
        let prefix = record.storage_prefix()?;
        let store = Arc::clone(&self.store);
        let limits = Limits::default();
        let config = ServicesConfig {
            accessor: record.accessor.clone(),
            facts: Arc::clone(&self.facts),
            local_mount: record.local,
            ..ServicesConfig::new(store, prefix, record.plugin.as_str(), &limits)
        };
        Ok(MountServices::new(config))
    }

    /// Finds what the mount's name means now, with its artifact verified, and the driver for it.
    pub(super) async fn prepare(
        &self,
        record: &Record,
        services: &Arc<MountServices>,
        choice: Choice,
    ) -> Result<Prepared, MountError> {
        let wanted = Wanted {
            plugin_type: record.plugin_type,
            name: record.plugin.clone(),
            version: record.version.clone(),
        };
        let found = self.resolve(&wanted, choice).await?;
        let driver = self.driver(found.runtime)?;
        Ok(Prepared {
            driver,
            runtime: found.runtime,
            version: found.version.clone(),
            running_version: found.running_version.clone(),
            sha256: found.sha256,
            plan: plan(record, found, Arc::clone(services)),
        })
    }

    /// What a name means now, with its artifact verified. Meanwhile the driver can make ready for it.
    pub(super) async fn resolve(
        &self,
        wanted: &Wanted,
        choice: Choice,
    ) -> Result<Resolved, MountError> {
        let expect = |entry: &Entry| {
            if let Some(driver) = self.drivers.get(&entry.runtime) {
                driver.expect(Needs::of(entry));
            }
        };
        self.catalog.resolve(wanted, choice, expect).await
    }

    pub(super) fn driver(&self, kind: RuntimeKind) -> Result<Arc<dyn Driver>, LaunchError> {
        let driver = self.drivers.get(&kind).map(Arc::clone);
        driver.ok_or_else(|| LaunchError::Worker(format!("this runtime cannot run {kind} plugins")))
    }
}

fn plan(record: &Record, found: Resolved, services: Arc<MountServices>) -> LaunchPlan {
    LaunchPlan {
        label: label(record, &found.running_version),
        config: Arc::new(config(record, &found)),
        plugin_type: record.plugin_type,
        program: found.program,
        limits: Arc::new(found.limits),
        grants: found.grants,
        process: found.process,
        started_after: None,
        services,
    }
}

fn label(record: &Record, version: &str) -> String {
    match version {
        "" => record.plugin.to_string(),
        version => format!("{} {version}", record.plugin),
    }
}

/// The mount's options, and what OpenBao adds to them.
fn config(record: &Record, found: &Resolved) -> SetupConfig {
    let version = found.version.as_ref().map(ToString::to_string);
    let mut options = record.options.clone();
    options.extend([
        ("plugin_name".to_owned(), record.plugin.to_string()),
        ("plugin_type".to_owned(), record.plugin_type.to_string()),
        ("plugin_version".to_owned(), version.unwrap_or_default()),
    ]);
    SetupConfig {
        options,
        backend_uuid: record.uuid.clone(),
    }
}
