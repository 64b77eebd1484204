//! What a process is started with, whatever kind of plugin it is.

use std::sync::Arc;

use palisade_contract::PluginType;

use super::command::TEMPORARY;
use super::dialect::Dialect;
use crate::catalog::{Program, Verified};
use crate::driver::{DatabasePlan, LaunchPlan, Needs};
use crate::services::PluginLog;
use crate::{Grants, LaunchError, Limits, ProcessOptions};

/// The part of a plan that the process itself is made of.
#[derive(Clone)]
pub(super) struct ProcessPlan {
    pub(super) label: String,
    pub(super) plugin_type: PluginType,
    pub(super) program: Verified,
    pub(super) process: ProcessOptions,
    pub(super) limits: Arc<Limits>,
    pub(super) grants: Grants,
    /// The version that the server calls itself by.
    pub(super) server_version: String,
    pub(super) dialect: Dialect,
    /// Whether its temporary files are where its sockets are.
    pub(super) temporary_files_beside_sockets: bool,
    /// Where its output goes.
    pub(super) log: Arc<PluginLog>,
}

impl ProcessPlan {
    /// For a mount. Who prints a line in a process that mounts share is unknown, so its output is the entry's.
    ///
    /// # Errors
    ///
    /// It is linked into the server.
    pub(super) fn of_backend(
        plan: &LaunchPlan,
        server_version: String,
    ) -> Result<Self, LaunchError> {
        let log = match plan.process.dedicated {
            true => Arc::clone(plan.services.log()),
            false => PluginLog::new(&plan.label, "", plan.limits.log_bytes),
        };
        Ok(Self {
            label: plan.label.clone(),
            plugin_type: plan.plugin_type,
            program: file(&plan.program, &plan.label)?,
            process: plan.process.clone(),
            limits: Arc::clone(&plan.limits),
            grants: plan.grants.clone(),
            server_version,
            dialect: Dialect::Backend,
            temporary_files_beside_sockets: false,
            log,
        })
    }

    /// The same process, asked for nothing but what it is.
    pub(super) fn for_metadata(&self) -> Self {
        Self {
            dialect: Dialect::Metadata,
            ..self.clone()
        }
    }

    /// Whether the entry says itself where its temporary files are.
    pub(super) fn names_its_temporary_folder(&self) -> bool {
        let mut lines = self.process.env.iter();
        lines.any(|line| line.split('=').next() == Some(TEMPORARY))
    }

    /// The same process, with its temporary files where its sockets are.
    pub(super) fn with_temporary_files_beside_sockets(&self) -> Self {
        Self {
            temporary_files_beside_sockets: true,
            ..self.clone()
        }
    }

    /// For databases.
    ///
    /// # Errors
    ///
    /// It is linked into the server.
    pub(super) fn of_database(plan: &DatabasePlan) -> Result<Self, LaunchError> {
        Ok(Self {
            label: plan.label.clone(),
            plugin_type: PluginType::Database,
            program: file(&plan.program, &plan.label)?,
            process: plan.process.clone(),
            limits: Arc::new(plan.limits.clone()),
            grants: plan.grants.clone(),
            server_version: plan.server_version.clone(),
            dialect: Dialect::Database,
            temporary_files_beside_sockets: false,
            log: Arc::clone(&plan.log),
        })
    }

    pub(super) fn needs(&self) -> Needs<'_> {
        Needs {
            limits: &self.limits,
            grants: &self.grants,
            process: &self.process,
        }
    }

    /// Whether both are of the same process: everything but where its output goes is the same.
    pub(super) fn is_of_the_process_of(&self, other: &Self) -> bool {
        let Self {
            label,
            plugin_type,
            program,
            process,
            limits,
            grants,
            server_version,
            dialect,
            temporary_files_beside_sockets: _,
            log: _,
        } = self;
        (label, plugin_type, process, limits)
            == (
                &other.label,
                &other.plugin_type,
                &other.process,
                &other.limits,
            )
            && (grants, server_version, dialect)
                == (&other.grants, &other.server_version, &other.dialect)
            && program.digest() == other.program.digest()
    }
}

fn file(program: &Program, label: &str) -> Result<Verified, LaunchError> {
    match program {
        Program::Verified(verified) => Ok(verified.clone()),
        Program::Builtin(_) => Err(LaunchError::Failed {
            plugin: label.to_owned(),
            fault: "it is linked into the server, and has no process".to_owned(),
        }),
    }
}
