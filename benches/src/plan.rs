//! What a driver is told to start a plugin by itself, without a runtime around it.

use std::sync::Arc;

use palisade_contract::PluginType;
use palisade_runtime::catalog::{Program, Verified};
use palisade_runtime::driver::LaunchPlan;
use palisade_runtime::services::{MountPrefix, MountServices, ServicesConfig};
use palisade_runtime::store::MemoryStore;
use palisade_runtime::{Grants, Limits, ProcessOptions};

/// One mount of its own, in a process of its own if it is one, over an empty store.
///
/// # Errors
///
/// When the mount cannot have its part of the store.
pub fn alone(verified: Verified) -> anyhow::Result<LaunchPlan> {
    let limits = Limits::of(verified.runtime());
    let prefix = MountPrefix::new(PluginType::Secret, "bench")?;
    let store = Arc::new(MemoryStore::new());
    let services = ServicesConfig::new(store, prefix, "bench", &limits);
    Ok(LaunchPlan {
        program: Program::Verified(verified),
        label: "bench".to_owned(),
        plugin_type: PluginType::Secret,
        limits: Arc::new(limits),
        grants: Grants::default(),
        started_after: None,
        process: ProcessOptions {
            dedicated: true,
            ..ProcessOptions::default()
        },
        config: Arc::default(),
        services: MountServices::new(services),
    })
}
