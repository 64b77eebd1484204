//! What every process is started with, whatever kind of plugin it is.

use std::sync::Arc;

use super::dialect::Dialect;
use crate::catalog::Program;
use crate::driver::{DatabasePlan, LaunchPlan};
use crate::services::PluginLog;
use crate::{Grants, Limits, ProcessOptions};

/// The part of a plan that the process itself is made of.
#[derive(Clone, Copy)]
pub(super) struct ProcessPlan<'a> {
    pub(super) label: &'a str,
    pub(super) program: &'a Program,
    pub(super) process: &'a ProcessOptions,
    pub(super) limits: &'a Limits,
    pub(super) grants: &'a Grants,
    pub(super) log: &'a Arc<PluginLog>,
    /// The version that the server calls itself by.
    pub(super) server_version: &'a str,
    pub(super) dialect: Dialect,
}

impl<'a> ProcessPlan<'a> {
    /// For a mount.
    pub(super) fn of_backend(plan: &'a LaunchPlan, server_version: &'a str) -> Self {
        Self {
            label: &plan.label,
            program: &plan.program,
            process: &plan.process,
            limits: &plan.limits,
            grants: &plan.grants,
            log: plan.services.log(),
            server_version,
            dialect: Dialect::Backend,
        }
    }

    /// The same process, asked for nothing but what it is.
    pub(super) fn for_metadata(self) -> Self {
        Self {
            dialect: Dialect::Metadata,
            ..self
        }
    }

    /// For databases.
    pub(super) fn of_database(plan: &'a DatabasePlan) -> Self {
        Self {
            label: &plan.label,
            program: &plan.program,
            process: &plan.process,
            limits: &plan.limits,
            grants: &plan.grants,
            log: &plan.log,
            server_version: &plan.server_version,
            dialect: Dialect::Database,
        }
    }
}
