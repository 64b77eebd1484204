//! Ends what plugins forked and abandoned.
//!
//! A process that leaves its plugin's session and its parent comes to the spawner, which is the reaper of all its
//! descendants. It stays alive only while it is in the session of a plugin that runs; otherwise it is killed.

use std::fs;

use rustix::process::{Pid, Signal, WaitOptions, getpid, getsid, kill_process, waitpid};

use super::Running;

/// How many rounds the last sweep of a dying spawner makes: each kills one more generation of descendants.
const LAST_ROUNDS: u32 = 1000;

#[derive(Default)]
pub(super) struct Orphans {
    dying: bool,
}

impl Orphans {
    /// Kills every orphan outside the sessions of running plugins, and reaps what has ended.
    pub(super) fn sweep(&mut self, running: &[Running]) {
        self.dying = false;
        for pid in children() {
            if running.iter().any(|one| one.pid == pid) || !is_doomed(pid, running) {
                continue;
            }
            let _ = kill_process(pid, Signal::KILL);
            self.dying |= !reaped(pid);
        }
    }

    /// Whether one was killed that could not be reaped yet.
    pub(super) fn are_dying(&self) -> bool {
        self.dying
    }

    /// Kills every child there is, until none is left.
    pub(super) fn end_all(&mut self) {
        for _ in 0..LAST_ROUNDS {
            let left = children();
            if left.is_empty() {
                return;
            }
            for pid in left {
                let _ = kill_process(pid, Signal::KILL);
                let _ = waitpid(Some(pid), WaitOptions::empty());
            }
        }
    }
}

/// An orphan that has ended has no session to speak of, and is only reaped by being doomed.
fn is_doomed(pid: Pid, running: &[Running]) -> bool {
    if reaped(pid) {
        return false;
    }
    getsid(Some(pid)).map_or(true, |session| running.iter().all(|one| one.pid != session))
}

fn reaped(pid: Pid) -> bool {
    !matches!(waitpid(Some(pid), WaitOptions::NOHANG), Ok(None))
}

/// The children of this process. They are its own until it reaps them, so no number here can be a stranger's.
fn children() -> Vec<Pid> {
    let path = format!("/proc/self/task/{}/children", getpid().as_raw_nonzero());
    let list = fs::read_to_string(path).unwrap_or_default();
    list.split_ascii_whitespace()
        .filter_map(|word| word.parse().ok().and_then(Pid::from_raw))
        .collect()
}
