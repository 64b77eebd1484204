//! A process that is a database plugin, and the databases that it is connected to.

mod instance;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use palisade_protocol::HEALTH_SERVICE;
use palisade_protocol::convert::{config_from_wire, config_to_wire};
use palisade_protocol::database::InitializeRequest;
use palisade_protocol::health::HealthCheckRequest;
use palisade_protocol::health::health_check_response::ServingStatus;
use palisade_protocol::health::health_client::HealthClient;
use tokio::time::Instant;

use super::call::Caller;
use super::client::ask_multiplexing;
use super::process::NativeProcess;
use super::startup::Startup;
use super::wire::Wire;
use crate::driver::{Database, DatabaseConfig, DatabasePlan, DatabasePlugin, Exit};
use crate::services::Deadline;
use crate::{CallError, LaunchError, Limits};

use instance::{Calls, NativeDatabase};

/// A running database plugin.
pub(super) struct NativeDatabasePlugin {
    shared: Arc<Shared>,
    multiplexes: bool,
    /// Whether the one database of a plugin that does not multiplex was asked for.
    is_taken: AtomicBool,
}

/// What the plugin and its instances know together.
struct Shared {
    label: String,
    limits: Limits,
    process: NativeProcess,
}

impl Shared {
    fn caller(&self) -> Caller<'_> {
        Caller::new(&self.label, &self.process, &self.limits)
    }

    fn invalid(&self, fault: impl std::fmt::Display) -> CallError {
        CallError::Invalid {
            plugin: self.label.clone(),
            fault: fault.to_string(),
        }
    }
}

impl NativeDatabasePlugin {
    /// Learns whether the process holds many databases. No instance exists before the first is asked for.
    pub(super) async fn of(
        process: NativeProcess,
        plan: &DatabasePlan,
        startup: &Startup<'_>,
    ) -> Result<Self, LaunchError> {
        let multiplexes = ask_multiplexing(process.wire(), startup).await?;
        Ok(Self {
            shared: Arc::new(Shared {
                label: plan.label.clone(),
                limits: plan.limits.clone(),
                process,
            }),
            multiplexes,
            is_taken: AtomicBool::new(false),
        })
    }

    /// A place for one more instance.
    fn take(&self) -> Result<(), CallError> {
        match self.multiplexes || !self.is_taken.swap(true, Ordering::SeqCst) {
            true => Ok(()),
            false => Err(self.shared.invalid(
                "it holds one database per process, and this process was given one: launch another",
            )),
        }
    }
}

#[async_trait]
impl DatabasePlugin for NativeDatabasePlugin {
    fn multiplexes(&self) -> bool {
        self.multiplexes
    }

    async fn start(
        &self,
        config: DatabaseConfig,
        deadline: Deadline,
    ) -> Result<Arc<dyn Database>, CallError> {
        let wire = config_to_wire(&config.config).map_err(|fault| self.shared.invalid(fault))?;
        self.take()?;
        // Dropped on the way, it is closed.
        let calls = Calls::new(Arc::clone(&self.shared));
        // First of all, as Go's hosts do: this makes the instance.
        let kind = calls.kind(deadline).await?;
        let request = InitializeRequest {
            config_data: Some(wire),
            verify_connection: config.verify,
        };
        let answer = calls.initialize(request, deadline).await?;
        let config = config_from_wire(answer.config_data);
        Ok(Arc::new(NativeDatabase::new(calls, kind, config)))
    }

    async fn ping(&self, deadline: Deadline) -> Result<(), CallError> {
        let mut client = HealthClient::with_origin(self.shared.process.wire(), Wire::origin());
        let mut request = tonic::Request::new(HealthCheckRequest {
            service: HEALTH_SERVICE.to_owned(),
        });
        request.set_timeout(deadline.left());
        let caller = self.shared.caller();
        let call = Box::pin(async move { client.check(request).await });
        match caller.run(deadline, call).await?.status() {
            ServingStatus::Serving => Ok(()),
            other => {
                Err(caller.broke_protocol(format_args!("it is not ready: {}", other.as_str_name())))
            }
        }
    }

    async fn exited(&self) -> Exit {
        Exit {
            reason: self.shared.process.process().exited().await.to_string(),
        }
    }

    async fn stop(&self, grace: Duration) {
        self.shared.process.stop(Instant::now() + grace).await;
    }

    fn process_id(&self) -> Option<u32> {
        Some(self.shared.process.process().id())
    }
}
