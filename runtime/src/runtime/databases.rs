//! Database plugins for the embedder: started from the catalog, and ended with the runtime.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use futures_util::future::join_all;
use palisade_contract::PluginType;

use super::Inner;
use crate::catalog::{Choice, Resolved, Wanted};
use crate::driver::{DatabasePlan, DatabasePlugin};
use crate::services::PluginLog;
use crate::{MountError, PluginName, PluginVersion};

/// Those that run. Their handles are the embedder's: here is only what a shutdown needs.
#[derive(Default)]
pub(super) struct Databases {
    running: Mutex<Vec<Weak<dyn DatabasePlugin>>>,
}

impl Databases {
    fn add(&self, plugin: &Arc<dyn DatabasePlugin>) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.retain(|one| one.strong_count() > 0);
        running.push(Arc::downgrade(plugin));
    }

    /// Ends them all, politely first.
    pub(super) async fn stop(&self, grace: Duration) {
        let running = {
            let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *running)
        };
        let running: Vec<_> = running.iter().filter_map(Weak::upgrade).collect();
        join_all(running.iter().map(|plugin| plugin.stop(grace))).await;
    }
}

/// Finds the entry, verifies its artifact, and starts it.
pub(super) async fn launch(
    inner: &Inner,
    plugin: PluginName,
    version: Option<PluginVersion>,
) -> Result<Arc<dyn DatabasePlugin>, MountError> {
    let wanted = Wanted {
        plugin_type: PluginType::Database,
        name: plugin,
        version,
    };
    let found = inner.workshop.resolve(&wanted, Choice::New).await?;
    let driver = inner.workshop.driver(found.runtime)?;
    let plan = plan(inner, &wanted.name, found);
    let launched = inner.unless_stopping(driver.launch_database(plan)).await?;
    inner.databases.add(&launched);
    Ok(launched)
}

fn plan(inner: &Inner, name: &PluginName, found: Resolved) -> DatabasePlan {
    let label = match found.running_version.as_str() {
        "" => name.to_string(),
        version => format!("{name} {version}"),
    };
    DatabasePlan {
        log: PluginLog::new(&label, "", found.limits.log_bytes),
        label,
        program: found.program,
        limits: found.limits,
        grants: found.grants,
        process: found.process,
        server_version: inner.workshop.facts.environment.version.clone(),
    }
}
