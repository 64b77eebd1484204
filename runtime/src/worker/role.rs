//! What a process was started as, and how it is told.
//!
//! Three things have to agree before a process takes itself for a worker: the name it was called by, one environment
//! variable, and (for the spawner) the kind of its standard input. A user who sets one of them by accident gets the
//! ordinary program.

use std::env;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd};

use rustix::net::sockopt::{socket_domain, socket_type};
use rustix::net::{AddressFamily, SocketType};
use serde::{Deserialize, Serialize};

use crate::Profile;

/// The environment variable that names the role.
pub(super) const ROLE_VARIABLE: &str = "PALISADE_WORKER_ROLE";

/// The name that the spawner is called by, as `ps` shows it.
pub(super) const SPAWNER_NAME: &str = "palisade-spawner";

/// The name that a job worker is called by.
pub(super) const JOB_NAME: &str = "palisade-job";

/// What a worker process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Starts and reaps the others.
    Spawner,
    /// Does one job and ends.
    Job(JobRole),
}

/// A job that is done in a process of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobRole {
    /// Reads the structure of a component of that profile without compiling it.
    Inspect(Profile),
    /// Compiles a component of that profile.
    Compile(Profile),
    /// Misbehaves on purpose, to prove that the limits bite.
    Canary,
}

impl JobRole {
    const ALL: [Self; 5] = [
        Self::Inspect(Profile::Ordinary),
        Self::Inspect(Profile::Large),
        Self::Compile(Profile::Ordinary),
        Self::Compile(Profile::Large),
        Self::Canary,
    ];

    /// The word in the environment variable, and in errors.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Inspect(Profile::Ordinary) => "inspect",
            Self::Inspect(Profile::Large) => "inspect-large",
            Self::Compile(Profile::Ordinary) => "compile",
            Self::Compile(Profile::Large) => "compile-large",
            Self::Canary => "canary",
        }
    }
}

/// What this process was started as; `None` for an ordinary start.
pub(super) fn of_this_process() -> Option<Role> {
    let name = env::args_os().next()?;
    let word = env::var_os(ROLE_VARIABLE)?;
    let role = role_of(&name, &word)?;
    let fits = match role {
        Role::Spawner => is_spawner_socket(std::io::stdin().as_fd()),
        Role::Job(_) => env::args_os().len() == 1,
    };
    fits.then_some(role)
}

fn role_of(name: &OsString, word: &OsStr) -> Option<Role> {
    if name == SPAWNER_NAME && word == SPAWNER_NAME {
        return Some(Role::Spawner);
    }
    if name != JOB_NAME {
        return None;
    }
    JobRole::ALL
        .into_iter()
        .find(|job| word == job.as_str())
        .map(Role::Job)
}

fn is_spawner_socket(stdin: BorrowedFd<'_>) -> bool {
    socket_type(stdin) == Ok(SocketType::SEQPACKET)
        && socket_domain(stdin) == Ok(AddressFamily::UNIX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role(name: &str, word: &str) -> Option<Role> {
        role_of(&OsString::from(name), OsStr::new(word))
    }

    #[test]
    fn name_and_variable_have_to_agree() {
        assert_eq!(role(SPAWNER_NAME, SPAWNER_NAME), Some(Role::Spawner));
        assert_eq!(role("palisade", SPAWNER_NAME), None);
        assert_eq!(role(SPAWNER_NAME, "compile"), None);
        assert_eq!(role(JOB_NAME, SPAWNER_NAME), None);
        let compile = |profile| Some(Role::Job(JobRole::Compile(profile)));
        assert_eq!(role(JOB_NAME, "compile"), compile(Profile::Ordinary));
        assert_eq!(role(JOB_NAME, "compile-large"), compile(Profile::Large));
    }

    #[test]
    fn an_ordinary_process_is_no_worker() {
        assert_eq!(of_this_process(), None);
    }

    #[test]
    fn a_standard_input_that_is_no_packet_socket_makes_no_spawner() {
        let (reader, _writer) = rustix::pipe::pipe().expect("a pipe can be made");
        assert!(!is_spawner_socket(reader.as_fd()));
    }
}
