//! What a child of the spawner becomes, step by step, between its birth and what it executes.
#![expect(
    unsafe_code,
    reason = "a child is made and turned into another program, neither of which the compiler can follow"
)]

use std::ffi::{CString, c_char};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd as _, AsRawFd, OwnedFd};
use std::panic::catch_unwind;
use std::ptr;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{
    Gid, PidfdFlags, Resource, Rlimit, Signal, Uid, chdir, getegid, geteuid, getpid, getrlimit,
    pidfd_open, set_parent_process_death_signal, setrlimit, setsid,
};
use rustix::thread::set_no_new_privs;

use super::fork::{Child, Side, fork};
use super::message::{Limit, Program, Start};
use super::role::{JOB_NAME, ROLE_VARIABLE};
use super::sandbox::{self, Group, Sandbox, at, probe};

/// The last signal number of Linux.
const SIGNAL_MAX: i32 = 64;

/// The exit code of a child that could not become what it was to be.
const FAILED: i32 = 127;

/// The three descriptors of a start message.
pub(super) struct Descriptors {
    /// The executable, or the standard input of a job.
    pub(super) first: OwnedFd,
    /// Standard output.
    pub(super) stdout: OwnedFd,
    /// Standard error.
    pub(super) stderr: OwnedFd,
}

/// Starts the child that a message describes, as a member of `group`. Returns once it executes what it is to be.
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

/// What the child says before it ends; nothing when it executes, because the pipe is closed by that.
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
    Execute(Image),
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
        } = descriptors;
        let (purpose, stdin) = match &start.program {
            Program::Given(argv) => {
                let env = start
                    .env
                    .iter()
                    .map(|(name, value)| format!("{name}={value}"));
                let image = Image::new(first, argv.iter().cloned(), env)?;
                (Purpose::Execute(image), nothing()?)
            }
            Program::Job(role) => {
                let env = format!("{ROLE_VARIABLE}={}", role.as_str());
                let image = Image::new(itself()?, [JOB_NAME.to_owned()], [env])?;
                (Purpose::Execute(image), first)
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
        let become_it = std::panic::AssertUnwindSafe(|| self.become_it(is_member));
        let outcome = catch_unwind(become_it);
        let code = match outcome {
            Ok(Ok(code)) => code,
            Ok(Err(fault)) => complain(faults, &fault),
            Err(_) => complain(faults, "the child panicked"),
        };
        // SAFETY: ends this process at once. Nothing may run that the spawner registered for its own end.
        unsafe { libc::_exit(code) }
    }

    /// The steps, in the order that leaves no window. Returns only as a probe.
    fn become_it(&self, is_member: bool) -> Result<i32, String> {
        setsid().map_err(at("new session"))?;
        self.group.map_or(Ok(()), |group| group.enter(is_member))?;
        for (limit, value) in &self.start.limits {
            set_limit(*limit, *value).map_err(at("resource limit"))?;
        }
        forget_signal_handling();
        self.wall_in()?;
        die_with(&self.spawner).map_err(at("parent's death"))?;
        chdir(self.start.directory.as_deref().unwrap_or("/")).map_err(at("working directory"))?;
        self.place_descriptors().map_err(at("descriptors"))?;
        if let Some(sandbox) = &self.start.sandbox {
            sandbox::enter_last(sandbox)?;
        }
        match (&self.purpose, &self.start.sandbox) {
            (Purpose::Execute(image), sandbox) => Err(at("exec")(image.execute(sandbox.as_ref()))),
            (Purpose::Probe(outside, layer), Some(sandbox)) => {
                Ok(i32::from(!probe::holds(*layer, sandbox, outside)))
            }
            (Purpose::Probe(..), None) => Err("a probe without a sandbox".to_owned()),
        }
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
            Purpose::Execute(image) => Some(&image.file),
            Purpose::Probe(..) => None,
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
    // SAFETY: marking descriptors closes none of them now, so nothing that owns one is deceived.
    let result = unsafe {
        libc::syscall(
            libc::SYS_close_range,
            3,
            u32::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// An open file to execute, with its arguments and environment as the kernel wants them.
///
/// Executed by descriptor: it is the very file that was hashed, and what is no executable is refused, where the C
/// library's `execvp` would hand it to a shell.
struct Image {
    file: OwnedFd,
    argv: CStrings,
    env: CStrings,
}

impl Image {
    fn new(
        file: OwnedFd,
        argv: impl IntoIterator<Item = String>,
        env: impl IntoIterator<Item = String>,
    ) -> io::Result<Self> {
        Ok(Self {
            file,
            argv: CStrings::new(argv)?,
            env: CStrings::new(env)?,
        })
    }

    /// Replaces this process; returns only when it cannot. With a sandbox in which it is a file, that copy of the same
    /// bytes is executed, so that it finds itself.
    fn execute(&self, sandbox: Option<&Sandbox>) -> io::Error {
        let (directory, path, flags) = match sandbox.and_then(Sandbox::image_path) {
            Some(path) => (libc::AT_FDCWD, path, 0),
            None => (self.file.as_raw_fd(), c"", libc::AT_EMPTY_PATH),
        };
        // SAFETY: path, arguments and environment end in NUL and null, and live until the process is replaced.
        unsafe {
            libc::syscall(
                libc::SYS_execveat,
                directory,
                path.as_ptr(),
                self.argv.pointers.as_ptr(),
                self.env.pointers.as_ptr(),
                flags,
            )
        };
        io::Error::last_os_error()
    }
}

/// C strings, and the array of pointers to them that ends in null.
struct CStrings {
    pointers: Vec<*const c_char>,
    _strings: Vec<CString>,
}

impl CStrings {
    fn new(strings: impl IntoIterator<Item = String>) -> io::Result<Self> {
        let strings = strings.into_iter().map(CString::new);
        let strings = strings.collect::<Result<Vec<_>, _>>()?;
        let ends_in_null = strings
            .iter()
            .map(|string| string.as_ptr())
            .chain([ptr::null()]);
        Ok(Self {
            pointers: ends_in_null.collect(),
            _strings: strings,
        })
    }
}
