//! The spawner: one thread that starts what the server asks for, notices every end, and leaves nothing behind.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::Mode;
use rustix::net::SendFlags;
use rustix::process::{
    PidfdFlags, Resource, Rlimit, Signal, WaitIdStatus, getppid, getrlimit, kill_process_group,
    pidfd_open, set_child_subreaper, setrlimit, umask,
};

use super::command::{self, Descriptors};
use super::fork::Child;
use super::message::{self, ProcessExit, Report, SIGNAL_KILL, Start};
use super::sandbox::{Cgroups, Group};
use orphans::Orphans;

mod orphans;

/// How often orphans of running plugins are looked for, in seconds.
const ORPHANS_EVERY: Timespec = Timespec {
    tv_sec: 1,
    tv_nsec: 0,
};

/// How long a server that has let go of its spawner may take to die.
const LAST_WAIT: Timespec = Timespec {
    tv_sec: 5,
    tv_nsec: 0,
};

/// How soon a killed orphan is looked for again, so that it can be reaped.
const ORPHANS_SOON: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 20_000_000,
};

/// Serves until the server is gone. Returns the exit code of the process.
pub(super) fn run(socket: BorrowedFd<'_>) -> u8 {
    // What a plugin forks and abandons comes to this process, and not to init, where it would outlive everything.
    // A failure costs only that.
    let _ = set_child_subreaper(Some(rustix::process::getpid()));
    let Ok(server) = server_process() else {
        return 1;
    };
    let mut spawner = Spawner {
        socket,
        running: Vec::new(),
        orphans: Orphans::default(),
        cgroups: None,
        emptying: Vec::new(),
        remnants: BTreeSet::new(),
    };
    raise_descriptor_limit();
    // What is made for a process has to be readable for its user, whatever mask the server was started with.
    umask(Mode::from_raw_mode(0o022));
    while spawner.turn(server.as_fd()) {}
    spawner.end_everything();
    spawner.clear_up_after(server.as_fd());
    0
}

/// Each process that runs is a descriptor here. Plugins and jobs have limits of their own.
fn raise_descriptor_limit() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let highest = Rlimit {
        current: maximum,
        maximum,
    };
    // A failure leaves the limit as it is.
    let _ = setrlimit(Resource::Nofile, highest);
}

/// A descriptor that becomes readable when the server has died. The end of the socket tells as much, unless a
/// descriptor of it has leaked into a process that lives on.
fn server_process() -> io::Result<OwnedFd> {
    let parent = getppid().ok_or(io::ErrorKind::NotFound)?;
    Ok(pidfd_open(parent, PidfdFlags::empty())?)
}

/// One process that was started and not yet reaped.
struct Running {
    id: u64,
    child: Child,
    group: Option<Group>,
}

struct Spawner<'a> {
    socket: BorrowedFd<'a>,
    running: Vec<Running>,
    orphans: Orphans,
    /// Found when the first process is to be walled in: most programs start none.
    cgroups: Option<Cgroups>,
    /// Groups of processes that have ended, in which something may be left to be reaped.
    emptying: Vec<Group>,
    /// Folders that the server would have removed at its end.
    remnants: BTreeSet<String>,
}

impl Spawner<'_> {
    /// Waits for something to happen and deals with it; false once the server is gone.
    fn turn(&mut self, server: BorrowedFd<'_>) -> bool {
        let Some(ready) = self.wait(server) else {
            return true; // interrupted
        };
        self.reap(&ready.ended);
        self.orphans.sweep(&self.running);
        self.emptying.retain(|group| !group.remove());
        !ready.server_gone && (!ready.message || self.answer())
    }

    fn wait(&self, server: BorrowedFd<'_>) -> Option<Ready> {
        let mut fds = Vec::with_capacity(self.running.len() + 2);
        fds.push(PollFd::from_borrowed_fd(self.socket, PollFlags::IN));
        fds.push(PollFd::from_borrowed_fd(server, PollFlags::IN));
        fds.extend(
            self.running
                .iter()
                .map(|one| PollFd::new(&one.child.pidfd, PollFlags::IN)),
        );
        poll(&mut fds, self.patience().as_ref()).ok()?;
        let ready = |fd: &PollFd<'_>| !fd.revents().is_empty();
        let ended = self.running.iter().zip(&fds[2..]);
        Some(Ready {
            message: ready(&fds[0]),
            server_gone: ready(&fds[1]),
            ended: ended
                .filter(|(_, fd)| ready(fd))
                .map(|(one, _)| one.id)
                .collect(),
        })
    }

    /// How long to wait at most.
    fn patience(&self) -> Option<Timespec> {
        if self.orphans.are_dying() || !self.emptying.is_empty() {
            Some(ORPHANS_SOON)
        } else {
            (!self.running.is_empty()).then_some(ORPHANS_EVERY)
        }
    }

    /// Reads one request and answers it; false when the server is gone.
    fn answer(&mut self) -> bool {
        let Some((start, descriptors)) = message::receive::<Start>(self.socket) else {
            return false;
        };
        self.remnants.extend(start.remnant.clone());
        match self.start(&start, descriptors) {
            Ok(child) => self.welcome(child),
            Err(fault) => self.report(
                &Report::Failed {
                    id: start.id,
                    fault,
                },
                &[],
            ),
        }
    }

    fn start(&mut self, start: &Start, descriptors: Vec<OwnedFd>) -> Result<Running, String> {
        let descriptors = Descriptors::of_message(descriptors)
            .ok_or("a start message without its three descriptors")?;
        let group = match &start.sandbox {
            Some(sandbox) => {
                let cgroups = self.cgroups.get_or_insert_with(Cgroups::open);
                cgroups.make(sandbox)?
            }
            None => None,
        };
        match command::spawn(start, descriptors, group.as_ref()) {
            Ok(child) => Ok(Running {
                id: start.id,
                child,
                group,
            }),
            Err(fault) => {
                self.emptying.extend(group);
                Err(fault)
            }
        }
    }

    fn welcome(&mut self, child: Running) -> bool {
        let pid = child.child.pid.as_raw_pid().unsigned_abs();
        let told = self.report(
            &Report::Started { id: child.id, pid },
            &[child.child.pidfd.as_fd()],
        );
        self.running.push(child);
        told
    }

    fn reap(&mut self, ended: &[u64]) {
        let (gone, running): (Vec<_>, Vec<_>) = std::mem::take(&mut self.running)
            .into_iter()
            .partition(|one| ended.contains(&one.id));
        self.running = running;
        for one in gone {
            let exit = one.end();
            self.report(&Report::Exited { id: one.id, exit }, &[]);
            self.emptying.extend(one.group);
        }
    }

    /// False when the server is gone, which the next turn notices as well.
    fn report(&self, report: &Report, descriptors: &[BorrowedFd<'_>]) -> bool {
        let bytes = message::encode(report).expect("a report is a few hundred bytes at most");
        message::send(self.socket, &bytes, descriptors, SendFlags::empty()).is_ok()
    }

    fn end_everything(&mut self) {
        for one in &self.running {
            one.kill_all();
        }
        for one in std::mem::take(&mut self.running) {
            one.end();
            self.emptying.extend(one.group);
        }
        self.orphans.end_all();
        for group in &self.emptying {
            group.remove();
        }
        if let Some(cgroups) = &self.cgroups {
            cgroups.close();
        }
    }

    /// Removes what a dead server left. One that lives, and has only let go of this process, clears up itself.
    fn clear_up_after(&self, server: BorrowedFd<'_>) {
        let mut dead = [PollFd::from_borrowed_fd(server, PollFlags::IN)];
        if self.remnants.is_empty() || !matches!(poll(&mut dead, Some(&LAST_WAIT)), Ok(1..)) {
            return;
        }
        for folder in &self.remnants {
            // It is not there after an orderly end.
            let _ = fs::remove_dir_all(folder);
        }
    }
}

/// What a wait found.
struct Ready {
    message: bool,
    server_gone: bool,
    ended: Vec<u64>,
}

impl Running {
    /// Whoever left the session is still in the control group.
    fn kill_all(&self) {
        let _ = kill_process_group(self.child.pid, Signal::KILL);
        if let Some(group) = &self.group {
            group.kill();
        }
    }

    /// Kills what is left of it, then reaps. In this order: until it is reaped, nobody else can have its number.
    fn end(&self) -> ProcessExit {
        self.kill_all();
        let exit = self.child.reap().map(|status| exit_of(&status));
        match exit.unwrap_or(ProcessExit::Unknown) {
            ProcessExit::Signal(SIGNAL_KILL) if self.ran_out_of_memory() => {
                ProcessExit::OutOfMemory
            }
            exit => exit,
        }
    }

    fn ran_out_of_memory(&self) -> bool {
        self.group.as_ref().is_some_and(Group::ran_out_of_memory)
    }
}

fn exit_of(status: &WaitIdStatus) -> ProcessExit {
    let code = status.exit_status().map(ProcessExit::Code);
    code.or_else(|| status.terminating_signal().map(ProcessExit::Signal))
        .unwrap_or(ProcessExit::Unknown)
}
