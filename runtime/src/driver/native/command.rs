//! What a plugin's process gets: limits, command line and environment.

use std::collections::BTreeMap;
use std::os::fd::AsFd;

use palisade_protocol::cert::Identity;
use palisade_protocol::env::{LaunchEnv, OF_ONE_LAUNCH};

use super::dialect::Dialect;
use super::plan::ProcessPlan;
use super::run_dir::RunDir;
use crate::worker::{Execution, Layer, Limit, Sandbox, Surroundings};

/// Descriptors of a plugin: a connection for each host call in flight would be far fewer.
const DESCRIPTORS: u64 = 1024;

/// The largest file it may write, in bytes: as much as its temporary folder holds. What it writes beside its sockets is
/// on the server's own file system.
const FILE_BYTES: u64 = 16 << 20;

/// The size of a core file at which the kernel makes none, not even for a program that takes them from a pipe: with zero
/// it still asks such a program.
const NO_CORE: u64 = 1;

/// Where a process puts its temporary files. A plugin on go-plugin before 1.5 makes its sockets there too.
pub(super) const TEMPORARY: &str = "TMPDIR";

/// What surrounds the process, whichever plugin it becomes.
pub(super) fn surroundings(directory: &RunDir, sandbox: Sandbox) -> Surroundings {
    Surroundings {
        directory: Some(directory.text().to_owned()),
        remnant: Some(directory.root_text().to_owned()),
        limits: vec![
            (Limit::Core, NO_CORE),
            (Limit::Descriptors, DESCRIPTORS),
            (Limit::FileBytes, FILE_BYTES),
        ],
        sandbox: Some(sandbox),
    }
}

/// Everything that the process is given: its entry's arguments and environment, and what the protocol needs.
pub(super) fn of<'a>(
    plan: &'a ProcessPlan,
    directory: &RunDir,
    identity: Option<&Identity>,
    walls: &Sandbox,
) -> Result<Execution<'a>, CommandError> {
    let mut env = of_the_entry(&plan.process.env)?;
    // Without a file system of its own there may be no other place that it can write to.
    if plan.temporary_files_beside_sockets || !walls.layers.contains(&Layer::MountNamespace) {
        let place = env.entry(TEMPORARY.to_owned());
        place.or_insert_with(|| directory.text().to_owned());
    }
    env.extend(of_the_protocol(plan, directory, identity)?);
    Ok(Execution {
        executable: plan.program.sealed().as_fd(),
        argv: argv(plan),
        env: env.into_iter().collect(),
    })
}

fn argv(plan: &ProcessPlan) -> Vec<String> {
    let name = plan.label.replace(char::is_whitespace, "-");
    [name]
        .into_iter()
        .chain(plan.process.args.iter().cloned())
        .collect()
}

/// What the operator set, without the names that belong to the protocol: they would mislead the plugin.
fn of_the_entry(env: &[String]) -> Result<BTreeMap<String, String>, CommandError> {
    let pairs = env.iter().map(|line| {
        let pair = line.split_once('=').filter(|(name, _)| !name.is_empty());
        pair.ok_or_else(|| CommandError::Variable(clipped(line)))
    });
    let mut variables = BTreeMap::new();
    for pair in pairs {
        let (name, value) = pair?;
        if !OF_ONE_LAUNCH.contains(&name) {
            variables.insert(name.to_owned(), value.to_owned());
        }
    }
    Ok(variables)
}

fn of_the_protocol(
    plan: &ProcessPlan,
    directory: &RunDir,
    identity: Option<&Identity>,
) -> Result<Vec<(String, String)>, CommandError> {
    let launch = LaunchEnv {
        application: plan.dialect.application(),
        server_version: &plan.server_version,
        protocol_versions: plan.dialect.versions(),
        certificate: identity.map(Identity::certificate),
        socket_dir: Some(directory.path()),
        metadata_mode: plan.dialect == Dialect::Metadata,
    };
    let text = |(name, value): (String, std::ffi::OsString)| match value.into_string() {
        Ok(value) => Ok((name, value)),
        Err(_) => Err(CommandError::Variable(name)),
    };
    launch.variables().into_iter().map(text).collect()
}

/// The name only: the value may be secret.
fn clipped(line: &str) -> String {
    let name = line.split('=').next().unwrap_or_default();
    name.chars().take(64).flat_map(char::escape_debug).collect()
}

/// What is wrong with an entry's command.
#[derive(Debug, thiserror::Error)]
pub(super) enum CommandError {
    /// A variable without name or value.
    #[error("the environment variable {0:?} of its entry is not of the form NAME=value")]
    Variable(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_cannot_set_what_belongs_to_the_protocol() {
        let lines = ["A=1=2", "PLUGIN_CLIENT_CERT=x", "B="].map(str::to_owned);
        let variables = of_the_entry(&lines).expect("all are pairs");
        let expected =
            [("A", "1=2"), ("B", "")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(variables, BTreeMap::from(expected));
    }

    #[test]
    fn a_variable_without_a_value_is_refused_by_name() {
        for line in ["NAME", "=value"] {
            assert!(of_the_entry(&[line.to_owned()]).is_err());
        }
    }
}
