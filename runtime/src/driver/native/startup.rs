//! The calls between the handshake and the first request, each with its own time.

use std::fmt::Display;
use std::time::Duration;

use palisade_contract::Host;
use tokio::time::timeout;
use tonic::{Code, Response, Status};

use super::call;
use super::standbys::NotReady;
use super::walls::Unwalled;
use crate::LaunchError;
use crate::driver::LaunchPlan;
use crate::services::Deadline;
use crate::worker::WorkerError;

/// Whose start it is, and how long each call may take.
pub(super) struct Startup<'a> {
    label: &'a str,
    limit: Duration,
}

impl<'a> Startup<'a> {
    pub(super) fn new(label: &'a str, limit: Duration) -> Self {
        Self { label, limit }
    }

    /// A deadline for one call.
    pub(super) fn deadline(&self) -> Deadline {
        Deadline::after(self.limit)
    }

    /// It did not start, and this is why.
    pub(super) fn failed(&self, fault: impl Display) -> LaunchError {
        LaunchError::Failed {
            plugin: self.label.to_owned(),
            fault: fault.to_string(),
        }
    }

    pub(super) fn unwalled(&self, fault: Unwalled) -> LaunchError {
        match fault {
            Unwalled::Worker(error) => self.not_spawned(error),
            Unwalled::Lacking(layer, fault) => LaunchError::Unprotected {
                plugin: self.label.to_owned(),
                layer,
                fault,
            },
        }
    }

    pub(super) fn not_spawned(&self, error: WorkerError) -> LaunchError {
        match error {
            WorkerError::Missing(_) | WorkerError::TooMany { .. } | WorkerError::TimedOut(_) => {
                LaunchError::Worker(error.to_string())
            }
            WorkerError::TooLong { .. } | WorkerError::Refused(_) => self.failed(error),
        }
    }

    /// No process stands by for it.
    pub(super) fn not_ready(&self, fault: NotReady) -> LaunchError {
        match fault {
            NotReady::Worker(error) => self.not_spawned(error),
            NotReady::Folder(fault) => self.failed(fault),
        }
    }

    /// A step within its time.
    pub(super) async fn within<T>(
        &self,
        step: &'static str,
        future: impl Future<Output = T>,
    ) -> Result<T, LaunchError> {
        let outcome = timeout(self.limit, future).await;
        outcome.map_err(|_| self.late(step))
    }

    fn late(&self, step: &'static str) -> LaunchError {
        LaunchError::Timeout {
            plugin: self.label.to_owned(),
            step,
            limit: self.limit,
        }
    }

    /// A call that the plugin has to answer.
    pub(super) async fn call<T>(
        &self,
        step: &'static str,
        call: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T, LaunchError> {
        let answer = self.within(step, call).await?;
        answer
            .map(Response::into_inner)
            .map_err(|status| self.refused(step, &status))
    }

    /// A call that a plugin need not know.
    pub(super) async fn optional<T: Default>(
        &self,
        step: &'static str,
        call: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T, LaunchError> {
        let answer = async { call::or_nothing(call.await) };
        self.call(step, answer).await
    }

    fn refused(&self, step: &'static str, status: &Status) -> LaunchError {
        // Servers of gRPC end a call whose time is up as cancelled, often before this side's own clock strikes.
        if call::is_late(status) || status.code() == Code::Cancelled {
            return self.late(step);
        }
        self.failed(format_args!("its {step} failed: {}", call::shown(status)))
    }
}

/// The version that the host calls itself by, as the plugin would learn it from the system view.
pub(super) async fn server_version(plan: &LaunchPlan, startup: &Startup<'_>) -> String {
    let scope = plan.services.setup_scope(startup.deadline());
    let environment = scope.system().plugin_environment().await;
    environment.map_or_else(
        |_| env!("CARGO_PKG_VERSION").to_owned(),
        |facts| facts.version,
    )
}
