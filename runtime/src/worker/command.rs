//! What a child of the spawner becomes, step by step, between its birth and what it executes.
#![expect(
    unsafe_code,
    reason = "a child is made and turned into another program, neither of which the compiler can follow"
)]

use std::ffi::CStr;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd, RawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{
    DumpableBehavior, Gid, PidfdFlags, Resource, Rlimit, Signal, Uid, chdir, getegid, geteuid,
    getpid, getrlimit, pidfd_open, set_dumpable_behavior, set_parent_process_death_signal,
    setrlimit, setsid,
};
use rustix::thread::{set_name, set_no_new_privs};

use super::fork::{Child, Side, fork};
use super::gate;
use super::image::Image;
use super::message::{Limit, Program, Start};
use super::role::{JOB_NAME, ROLE_VARIABLE};
use super::sandbox::{self, Group, at, probe};

/// The last signal number of Linux.
const SIGNAL_MAX: i32 = 64;

/// The first descriptor after the three standard ones.
const FIRST_OTHER: RawFd = 3;

/// The exit code of a child that could not become what it was to be.
const FAILED: i32 = 127;

/// The name of a process that stands by, at most 15 bytes.
const STANDBY_NAME: &CStr = c"palisade-ready";

/// The descriptors of a start message.
pub(super) struct Descriptors {
    /// The gate at which it stands by, or the standard input of a job.
    pub(super) first: OwnedFd,
    /// Standard output.
    pub(super) stdout: OwnedFd,
    /// Standard error.
    pub(super) stderr: OwnedFd,
    /// What it will execute, if it is to find itself as a file.
    pub(super) image: Option<OwnedFd>,
}

impl Descriptors {
    /// In the order in which they come.
    pub(super) fn of_message(descriptors: Vec<OwnedFd>) -> Option<Self> {
        let mut descriptors = descriptors.into_iter();
        Some(Self {
            first: descriptors.next()?,
            stdout: descriptors.next()?,
            stderr: descriptors.next()?,
            image: descriptors.next(),
        })
    }
}

/// Starts the child that a message describes, as a member of `group`. Returns once it stands by behind its walls, or
/// executes what it is to be.
///
/// # Errors
///
/// Which step failed, and why.
pub(super) fn spawn(
    start: &Start,
    descriptors: Descriptors,
    group: Option<&Group>,
) -> Result<Child, String> {
    let birth = Birth::prepare(start, descriptors, group).map_err(|fault| fault.to_string())?;
    let (report, faults) = pipe_with(PipeFlags::CLOEXEC).map_err(|fault| fault.to_string())?;
    match birth.fork().map_err(|fault| fault.to_string())? {
        (Side::Child, is_member) => birth.live(faults, is_member),
        (Side::Parent(child), _) => {
            drop(faults);
            match complaint(report) {
                None => Ok(child),
                Some(fault) => {
                    child.reap();
                    Err(fault)
                }
            }
        }
    }
}

/// What the child says before it ends; nothing when it stands by or executes, because both close the pipe.
fn complaint(report: OwnedFd) -> Option<String> {
    let mut text = String::new();
    match File::from(report).read_to_string(&mut text) {
        Ok(0) => None,
        Ok(_) => Some(text),
        Err(fault) => Some(fault.to_string()),
    }
}

/// Everything a child needs, gathered before it is born.
struct Birth<'a> {
    start: &'a Start,
    group: Option<&'a Group>,
    purpose: Purpose,
    stdin: OwnedFd,
    stdout: OwnedFd,
    stderr: OwnedFd,
    /// Readable once the spawner has died.
    spawner: OwnedFd,
    user: (Uid, Gid),
    /// Flags for `clone3`.
    namespaces: i32,
}

/// What the child is for.
enum Purpose {
    StandBy {
        gate: OwnedFd,
        image: Option<OwnedFd>,
    },
    Work(Image),
    Probe(probe::Outside, sandbox::Layer),
}

impl<'a> Birth<'a> {
    fn prepare(
        start: &'a Start,
        descriptors: Descriptors,
        group: Option<&'a Group>,
    ) -> io::Result<Self> {
        let Descriptors {
            first,
            stdout,
            stderr,
            image,
        } = descriptors;
        let (purpose, stdin) = match &start.program {
            Program::StandBy => (Purpose::StandBy { gate: first, image }, nothing()?),
            Program::Job(role) => {
                let env = format!("{ROLE_VARIABLE}={}", role.as_str());
                let image = Image::new(itself()?, [JOB_NAME.to_owned()], [env])?;
                (Purpose::Work(image), first)
            }
            Program::Probe(layer) => (Purpose::Probe(probe::Outside::look(), *layer), nothing()?),
        };
        Ok(Self {
            start,
            group,
            purpose,
            stdin,
            stdout,
            stderr,
            spawner: pidfd_open(getpid(), PidfdFlags::empty())?,
            user: (geteuid(), getegid()),
            namespaces: start.sandbox.as_ref().map_or(0, sandbox::namespaces),
        })
    }

    /// Makes the child, and tells whether it was born into its group of version 2. Old kernels make none there.
    fn fork(&self) -> io::Result<(Side, bool)> {
        let home = self.group.and_then(Group::home);
        if let Some(home) = home {
            // SAFETY: the spawner has one thread, and the child ends in `live`.
            if let Ok(side) = unsafe { fork(self.namespaces, Some(home.as_fd())) } {
                return Ok((side, true));
            }
        }
        // SAFETY: as above.
        Ok((unsafe { fork(self.namespaces, None) }?, false))
    }

    /// The life of the child. It never returns into the spawner's code, of which it is a copy.
    fn live(&self, faults: OwnedFd, is_member: bool) -> ! {
        let walled_in = unpanicking(|| self.stand_behind_walls(is_member)).flatten();
        let code = match walled_in {
            Ok(()) => unpanicking(|| self.fulfil(faults)).unwrap_or_else(|fault| self.fail(&fault)),
            Err(fault) => complain(faults, &fault),
        };
        // SAFETY: ends this process at once. Nothing may run that the spawner registered for its own end.
        unsafe { libc::_exit(code) }
    }

    /// The steps, in the order that leaves no window.
    fn stand_behind_walls(&self, is_member: bool) -> Result<(), String> {
        setsid().map_err(at("new session"))?;
        self.group.map_or(Ok(()), |group| group.enter(is_member))?;
        forget_signal_handling();
        self.survive_large_files();
        self.wait_its_turn();
        self.wall_in()?;
        // Behind the walls, one of which may be a large file.
        for (limit, value) in &self.start.limits {
            set_limit(*limit, *value).map_err(at("resource limit"))?;
        }
        die_with(&self.spawner).map_err(at("parent's death"))?;
        chdir(self.start.directory.as_deref().unwrap_or("/")).map_err(at("working directory"))?;
        self.place_descriptors().map_err(at("descriptors"))?;
        self.hide().map_err(at("hiding"))?;
        match &self.start.sandbox {
            Some(sandbox) => sandbox::enter_last(sandbox),
            None => Ok(()),
        }
    }

    /// What the child is for. Returns its exit code, unless it becomes another program.
    fn fulfil(&self, faults: OwnedFd) -> i32 {
        match (&self.purpose, &self.start.sandbox) {
            (Purpose::StandBy { gate, .. }, _) => self.stand_by(gate, faults),
            (Purpose::Work(image), _) => complain(faults, &at("exec")(image.execute(None))),
            (Purpose::Probe(outside, layer), Some(sandbox)) => {
                i32::from(!probe::holds(*layer, sandbox, outside))
            }
            (Purpose::Probe(..), None) => complain(faults, "a probe without a sandbox"),
        }
    }

    /// Waits for what to execute, with nothing of the spawner in hand.
    fn stand_by(&self, gate: &OwnedFd, faults: OwnedFd) -> i32 {
        // It is closed with all others, which tells the spawner that this process stands by.
        std::mem::forget(faults);
        let order = close_all_but(gate).map(|()| gate::wait(gate.as_fd()));
        let fault = match order {
            Ok(None) => return 0, // nobody wants it any more
            Ok(Some((arguments, executable))) => match Image::of(executable, arguments) {
                Ok(image) => image.execute(self.start.sandbox.as_ref()),
                Err(fault) => fault,
            },
            Err(fault) => fault,
        };
        self.fail(&at("exec")(fault))
    }

    /// Tells whoever stands at the gate, if there is one.
    fn fail(&self, fault: &str) -> i32 {
        if let Purpose::StandBy { gate, .. } = &self.purpose {
            gate::refuse(gate.as_fd(), fault);
        }
        FAILED
    }

    /// Over the limit of a file's size, if it has one, a plugin is told so, as on a disk that is full, and not killed.
    fn survive_large_files(&self) {
        let limits = &self.start.limits;
        let is_limited = limits.iter().any(|(limit, _)| *limit == Limit::FileBytes);
        if let (Purpose::StandBy { .. }, true) = (&self.purpose, is_limited) {
            // SAFETY: no handler is installed.
            unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
        }
    }

    /// A plugin that wakes interrupts nobody: it gets its share of the processors all the same, when whoever runs has done
    /// what it was about. Otherwise it interrupts the server after each write that wakes it, and its threads each other.
    fn wait_its_turn(&self) {
        if let Purpose::StandBy { .. } = &self.purpose {
            let priority = 0_i32; // the only one that this policy has
            // Called directly, because musl's function refuses to. A server that may not ask for it, such as one that
            // runs only when nothing else does, has plugins that go on as it does.
            //
            // SAFETY: the kernel reads one number, which outlives the call.
            unsafe {
                libc::syscall(
                    libc::SYS_sched_setscheduler,
                    0,
                    libc::SCHED_BATCH,
                    &raw const priority,
                )
            };
        }
    }

    /// Under its own name, which is for people, and closed to whoever would look into its memory.
    fn hide(&self) -> io::Result<()> {
        if let Purpose::StandBy { .. } = &self.purpose {
            let _ = set_name(STANDBY_NAME);
            set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
        }
        Ok(())
    }

    /// No new privileges in any case, and whatever else is asked for.
    fn wall_in(&self) -> Result<(), String> {
        if self.namespaces & libc::CLONE_NEWUSER != 0 {
            let (user, group) = self.user;
            sandbox::map_user(user, group).map_err(at("user namespace"))?;
        }
        set_no_new_privs(true).map_err(at("no new privileges"))?;
        let Some(sandbox) = &self.start.sandbox else {
            return Ok(());
        };
        let image = match &self.purpose {
            Purpose::StandBy { image, .. } => image.as_ref(),
            Purpose::Work(_) | Purpose::Probe(..) => None,
        };
        sandbox::enter(sandbox, self.start.directory.as_deref(), image)
    }

    /// The three standard ones; all others are closed by the exec, whatever flags they have.
    fn place_descriptors(&self) -> io::Result<()> {
        close_descriptors_at_exec()?;
        rustix::stdio::dup2_stdin(&self.stdin)?;
        rustix::stdio::dup2_stdout(&self.stdout)?;
        rustix::stdio::dup2_stderr(&self.stderr)?;
        Ok(())
    }
}

/// A panic as the fault that it is: it must not get past the child's end.
fn unpanicking<T>(step: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(step)).map_err(|_| "the child panicked".to_owned())
}

fn complain(faults: OwnedFd, fault: &str) -> i32 {
    let _ = File::from(faults).write_all(fault.as_bytes());
    FAILED
}

fn nothing() -> io::Result<OwnedFd> {
    Ok(openat(
        CWD,
        "/dev/null",
        OFlags::RDWR | OFlags::CLOEXEC,
        Mode::empty(),
    )?)
}

/// This very executable.
fn itself() -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    Ok(openat(CWD, "/proc/self/exe", flags, Mode::empty())?)
}

/// Asked for after the last change of user, which would take it back.
fn die_with(spawner: &OwnedFd) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // The spawner may have died before the line above.
    let mut watched = [PollFd::new(spawner, PollFlags::IN)];
    match poll(&mut watched, Some(&Timespec::default()))? {
        0 => Ok(()),
        _ => Err(io::ErrorKind::BrokenPipe.into()),
    }
}

fn set_limit(limit: Limit, value: u64) -> io::Result<()> {
    let resource = resource(limit);
    // At the soft limit of processor time comes SIGXCPU, by which the cause is known, and at the hard one SIGKILL.
    let extra = u64::from(limit == Limit::CpuSeconds);
    let wanted = Rlimit {
        current: Some(value),
        maximum: Some(value.saturating_add(extra)),
    };
    Ok(setrlimit(resource, clamped(resource, &wanted))?)
}

fn resource(limit: Limit) -> Resource {
    match limit {
        Limit::Data => Resource::Data,
        Limit::AddressSpace => Resource::As,
        Limit::CpuSeconds => Resource::Cpu,
        Limit::FileBytes => Resource::Fsize,
        Limit::Descriptors => Resource::Nofile,
        Limit::Stack => Resource::Stack,
        Limit::Core => Resource::Core,
    }
}

/// A hard limit cannot be raised, and one that is lower already is as good.
fn clamped(resource: Resource, limit: &Rlimit) -> Rlimit {
    let hard = getrlimit(resource).maximum;
    let under = |value: Option<u64>| match (value, hard) {
        (Some(value), Some(hard)) => Some(value.min(hard)),
        (value, hard) => value.or(hard),
    };
    Rlimit {
        current: under(limit.current),
        maximum: under(limit.maximum),
    }
}

/// Ignored signals stay ignored over an exec, and so does a mask.
fn forget_signal_handling() {
    // The kernel's structure of handler, flags, restorer and mask; all zero is the default action.
    let default_action = [0_u64; 4];
    for signal in 1..=SIGNAL_MAX {
        // SAFETY: the structure outlives the call, and the default action is no function of ours. Called directly,
        // because the C library hides two of the numbers. Numbers without a changeable action are refused with EINVAL.
        unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                signal,
                default_action.as_ptr(),
                ptr::null::<u64>(),
                size_of::<u64>(),
            )
        };
    }
    let empty_mask = 0_u64;
    // SAFETY: the mask outlives the call.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const empty_mask,
            ptr::null::<u64>(),
            size_of::<u64>(),
        )
    };
}

/// Marks everything but the three standard descriptors to be closed at exec. They have to live until then: the
/// executable is one of them, and so is the pipe on which a failed step is told.
fn close_descriptors_at_exec() -> io::Result<()> {
    close_range(FIRST_OTHER, RawFd::MAX, libc::CLOSE_RANGE_CLOEXEC)
}

/// Closes everything but the three standard descriptors and this one. Whatever owns one of them must not be dropped, and
/// this process drops nothing before its end.
fn close_all_but(kept: &OwnedFd) -> io::Result<()> {
    let kept = kept.as_raw_fd();
    if kept > FIRST_OTHER {
        close_range(FIRST_OTHER, kept - 1, 0)?;
    }
    close_range(kept + 1, RawFd::MAX, 0)
}

fn close_range(first: RawFd, last: RawFd, flags: u32) -> io::Result<()> {
    // SAFETY: touches no memory. The callers say why nothing that owns a descriptor is deceived.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
