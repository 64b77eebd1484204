//! Starting one generation and ending one, as flows of named steps.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use palisade_contract::SpecialPaths;
use tokio::time::timeout_at;

use super::{Generation, special};
use crate::driver::{Driver, Instance, LaunchPlan};
use crate::services::Deadline;
use crate::{Digest, LaunchError, PluginVersion, RuntimeKind, Timeouts};

/// How long requests that are cut off may take to notice.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(1);

/// Everything a start needs, with the artifact verified, and the facts to show about it.
pub(crate) struct Prepared {
    /// The driver of its kind.
    pub(crate) driver: Arc<dyn Driver>,
    /// What the driver starts.
    pub(crate) plan: LaunchPlan,
    /// How it runs.
    pub(crate) runtime: RuntimeKind,
    /// The version the mount is pinned to from now on.
    pub(crate) version: Option<PluginVersion>,
    /// The version to show.
    pub(crate) running_version: String,
    /// The digest of the bytes; none for a builtin.
    pub(crate) sha256: Option<Digest>,
}

/// An instance that was set up, and what it was started from.
pub(crate) struct Started {
    pub(crate) prepared: Arc<Prepared>,
    /// The handle to it.
    pub(crate) instance: Arc<dyn Instance>,
    /// Paths that the plugin asked to be treated specially, as far as they are acceptable.
    pub(crate) special_paths: Arc<SpecialPaths>,
}

/// Finds out what a mount's first start needs. Later ones start the same again, until a reload brings something else.
#[async_trait]
pub(crate) trait Source: Send + Sync {
    /// Resolves the mount's entry and verifies its artifact.
    async fn prepare(&self) -> Result<Arc<Prepared>, LaunchError>;
}

/// Starts an instance, up to and including `setup`.
pub(crate) async fn launch(
    prepared: Arc<Prepared>,
    timeouts: &Timeouts,
) -> Result<Started, LaunchError> {
    // Drivers keep these times themselves, step by step. This is the sum, for a driver that does not.
    // A component may have to wait for the compilation of another one before its own.
    let compile = timeouts.compile_of(prepared.plan.limits.profile);
    let limit = timeouts.handshake + 2 * compile + 4 * timeouts.startup_call;
    let plan = prepared.plan.clone();
    // The mount's services outlive its starts; each start may be of an entry with other limits.
    plan.services.log().apply(&plan.limits);
    let instance = within(limit, "start", &prepared.plan.label, async {
        prepared.driver.launch(plan).await
    })
    .await??;
    check_type(&prepared.plan, &*instance)?;
    check_version(&prepared, &*instance)?;
    let said = &instance.description().special_paths;
    Ok(Started {
        special_paths: Arc::new(special::clip(&prepared.plan.label, said)),
        prepared,
        instance,
    })
}

/// Calls `initialize`, which makes an instance ready.
pub(crate) async fn initialize(started: &Started, timeouts: &Timeouts) -> Result<(), LaunchError> {
    let deadline = Deadline::after(timeouts.startup_call);
    let limit = timeouts.startup_call + Duration::from_secs(1);
    let label = &started.prepared.plan.label;
    let initializing = started.instance.initialize(deadline);
    within(limit, "initialize", label, initializing)
        .await?
        .map_err(|source| LaunchError::Call {
            plugin: label.clone(),
            source: Box::new(source),
        })
}

/// Ends a generation whose gate is closed: waits for those inside, then stops it.
pub(crate) async fn retire(generation: Arc<Generation>, timeouts: Arc<Timeouts>) {
    drained(&generation, Instant::now() + timeouts.drain).await;
    end(&generation, &timeouts).await;
}

/// Resolves when the last request has left; at `until` those that are still inside are cut off.
pub(super) async fn drained(generation: &Generation, until: Instant) {
    let gate = generation.gate();
    if timeout_at(until.into(), gate.emptied()).await.is_err() {
        let plugin = &generation.prepared().plan.label;
        tracing::warn!(
            plugin,
            inside = gate.inside(),
            "requests are cut off: they outlasted the drain"
        );
        gate.cut();
        // They leave when they are polled next. One that does not is beyond help; its writes are refused.
        let _ = tokio::time::timeout(LEAVE_TIMEOUT, gate.emptied()).await;
    }
}

/// Stops an instance, politely first.
pub(super) async fn end(generation: &Generation, timeouts: &Timeouts) {
    let limit = timeouts.startup_call + 2 * timeouts.grace + Duration::from_secs(5);
    let stop = generation.instance().stop(timeouts.grace);
    if tokio::time::timeout(limit, stop).await.is_err() {
        let plugin = &generation.prepared().plan.label;
        tracing::error!(plugin, "it did not stop in time; its handle is dropped");
    }
}

/// A process says its version only once it runs. OpenBao refuses another than the registered one at registration.
fn check_version(prepared: &Prepared, instance: &dyn Instance) -> Result<(), LaunchError> {
    let said = instance.description().version.parse::<PluginVersion>();
    let (Some(wanted), Ok(said)) = (&prepared.version, said) else {
        return Ok(());
    };
    if said == *wanted {
        return Ok(());
    }
    Err(LaunchError::Mismatch {
        plugin: prepared.plan.label.clone(),
        fault: format!(
            "plugin version mismatch: {said} reported version, {wanted} registered version"
        ),
    })
}

fn check_type(plan: &LaunchPlan, instance: &dyn Instance) -> Result<(), LaunchError> {
    let found = instance.description().plugin_type;
    if found == plan.plugin_type {
        return Ok(());
    }
    Err(LaunchError::Type {
        plugin: plan.label.clone(),
        expected: plan.plugin_type,
        found,
    })
}

async fn within<T>(
    limit: Duration,
    step: &'static str,
    label: &str,
    work: impl Future<Output = T>,
) -> Result<T, LaunchError> {
    tokio::time::timeout(limit, work)
        .await
        .map_err(|_| LaunchError::Timeout {
            plugin: label.to_owned(),
            step,
            limit,
        })
}
