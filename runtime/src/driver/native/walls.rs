//! Which walls one plugin's process gets: all that hold on this machine, around what its entry may use.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::driver::Needs;
use crate::worker::{Layer, Protections, Sandbox, WorkerError};
use crate::{Grant, ProcessOptions, Workers};

/// The first of the users that processes become. Neither people nor services get numbers here, and container managers
/// stay below.
const FIRST_USER: u32 = 0x7000_0000;

/// How many of them there are.
const USERS: u32 = 1 << 24;

/// Whose a process is of which nobody has said yet whose it will be.
const NOBODY: u32 = FIRST_USER - 1;

/// Gives each process a user that no other has.
pub(super) struct Users {
    next: AtomicU32,
}

impl Default for Users {
    /// From somewhere: another server on this machine then does not give out the same.
    fn default() -> Self {
        let [a, b, c, d, ..] = *uuid::Uuid::new_v4().as_bytes();
        Self {
            next: AtomicU32::new(u32::from_ne_bytes([a, b, c, d])),
        }
    }
}

impl Users {
    pub(super) fn next(&self) -> u32 {
        FIRST_USER + self.next.fetch_add(1, Ordering::Relaxed) % USERS
    }
}

/// The walls around a process with such needs, which has no user yet; `required` are those that no process goes without.
///
/// # Errors
///
/// That one which the operator requires does not hold here.
pub(super) async fn around(
    needs: Needs<'_>,
    workers: &Workers,
    required: &BTreeSet<Layer>,
) -> Result<Sandbox, Unwalled> {
    let protections = workers.protections().await?;
    match missing(needs.process, required, protections) {
        Some((layer, fault)) => Err(Unwalled::Lacking(layer, fault.to_owned())),
        None => Ok(sandbox(needs, protections)),
    }
}

/// Why there are no walls.
#[derive(Debug)]
pub(super) enum Unwalled {
    /// One that has to stand does not hold on this machine, and why.
    Lacking(Layer, String),
    /// The spawner is missing.
    Worker(WorkerError),
}

impl From<WorkerError> for Unwalled {
    fn from(error: WorkerError) -> Self {
        Self::Worker(error)
    }
}

/// A wall that the process may not be without, and why it does not hold.
fn missing<'a>(
    process: &ProcessOptions,
    required: &BTreeSet<Layer>,
    protections: &'a Protections,
) -> Option<(Layer, &'a str)> {
    // A file of its own lies in a file system of its own.
    let as_file = process.re_executes.then_some(Layer::MountNamespace);
    let needed = required.iter().chain(&process.required_layers).copied();
    needed
        .chain(as_file)
        .find_map(|layer| Some((layer, protections.fault(layer)?)))
}

fn sandbox(needs: Needs<'_>, protections: &Protections) -> Sandbox {
    let Needs {
        limits,
        grants,
        process,
    } = needs;
    Sandbox {
        layers: protections.holding().clone(),
        user: NOBODY,
        memory_bytes: limits.memory_bytes,
        processes: limits.processes,
        cpu_weight: limits.cpu_weight,
        network: grants.has(&Grant::Network),
        as_file: process.re_executes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine_without(layer: Layer) -> Protections {
        Protections::of([(layer, "no such thing here")])
    }

    #[test]
    fn what_the_server_or_the_entry_requires_has_to_hold() {
        let machine = machine_without(Layer::MemoryLimit);
        let (nothing, memory) = (BTreeSet::new(), BTreeSet::from([Layer::MemoryLimit]));
        let entry = ProcessOptions {
            required_layers: memory.clone(),
            ..ProcessOptions::default()
        };
        let lacking = Some((Layer::MemoryLimit, "no such thing here"));
        let undemanding = ProcessOptions::default();
        assert_eq!(missing(&undemanding, &nothing, &machine), None);
        assert_eq!(missing(&undemanding, &memory, &machine), lacking);
        assert_eq!(missing(&entry, &nothing, &machine), lacking);
        let other = machine_without(Layer::Seccomp);
        assert_eq!(missing(&entry, &memory, &other), None);
    }

    #[test]
    fn a_process_that_executes_itself_needs_a_file_system_of_its_own() {
        let process = ProcessOptions {
            re_executes: true,
            ..ProcessOptions::default()
        };
        let machine = machine_without(Layer::MountNamespace);
        assert!(missing(&process, &BTreeSet::new(), &machine).is_some());
    }

    #[test]
    fn no_two_processes_are_the_same_user() {
        let users = Users::default();
        let given: BTreeSet<_> = (0..1000).map(|_| users.next()).collect();
        assert_eq!(given.len(), 1000);
        let bounds = FIRST_USER..FIRST_USER + USERS;
        assert!(given.iter().all(|user| bounds.contains(user)));
    }
}
