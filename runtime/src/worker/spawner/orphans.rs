//! Ends what plugins forked and abandoned.
//!
//! A process that leaves its plugin's session and its parent comes to the spawner, which is the reaper of all its
//! descendants. It stays alive only while it is in the session of a plugin that runs; otherwise it is killed.

use std::fs;

use rustix::process::{Pid, Signal, WaitOptions, getpid, getsid, kill_process, waitpid};

use super::Running;

/// How many rounds the last sweep of a dying spawner makes: each kills one more generation of descendants.
const LAST_ROUNDS: u32 = 1000;

/// How many rounds one sweep makes before the spawner looks after its messages again.
const SWEEP_ROUNDS: u32 = 64;

#[derive(Default)]
pub(super) struct Orphans {
    dying: bool,
}

impl Orphans {
    /// Kills every orphan outside the sessions of running plugins, and reaps what has ended. The children of one that was
    /// reaped come to this process, so it looks again until a round reaps nothing.
    pub(super) fn sweep(&mut self, running: &[Running]) {
        for _ in 0..SWEEP_ROUNDS {
            if !self.round(running) {
                return;
            }
        }
        // More may be left: look again soon.
        self.dying = true;
    }

    /// Whether anything was reaped.
    fn round(&mut self, running: &[Running]) -> bool {
        self.dying = false;
        let mut any = false;
        for pid in children() {
            if running.iter().any(|one| one.child.pid == pid) {
                continue;
            }
            if reaped(pid) {
                any = true;
            } else if is_doomed(pid, running) {
                let _ = kill_process(pid, Signal::KILL);
                let gone = reaped(pid);
                any |= gone;
                self.dying |= !gone;
            }
        }
        any
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

fn is_doomed(pid: Pid, running: &[Running]) -> bool {
    getsid(Some(pid)).map_or(true, |session| {
        running.iter().all(|one| one.child.pid != session)
    })
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
