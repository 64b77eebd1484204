//! The command line, environment, limits and descriptors of a child of the spawner, and the steps between fork and exec.
#![expect(
    unsafe_code,
    reason = "what has to be set between fork and exec can only be set in `pre_exec`"
)]

use std::ffi::{CString, c_char};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::ptr;

use rustix::process::{
    Pid, Resource, Rlimit, Signal, getpid, getppid, getrlimit, set_parent_process_death_signal,
    setrlimit, setsid,
};
use rustix::thread::set_no_new_privs;

use super::message::{Limit, Program, Start};
use super::role::{JOB_NAME, ROLE_VARIABLE};

/// The last signal number of Linux.
const SIGNAL_MAX: i32 = 64;

/// The three descriptors of a start message.
pub(super) struct Descriptors {
    /// The executable, or the standard input of a job.
    pub(super) first: OwnedFd,
    /// Standard output.
    pub(super) stdout: OwnedFd,
    /// Standard error.
    pub(super) stderr: OwnedFd,
}

/// Starts the child that a message describes.
pub(super) fn spawn(start: &Start, descriptors: Descriptors) -> io::Result<Child> {
    let Descriptors {
        first,
        stdout,
        stderr,
    } = descriptors;
    let (mut command, image) = match &start.program {
        Program::Given(argv) => (of_image(), Some(Image::new(first, argv, &start.env)?)),
        Program::Job(role) => (of_job(role.as_str(), first), None),
    };
    command
        .current_dir(start.directory.as_deref().unwrap_or("/"))
        .stdout(Stdio::from(stdout))
        .stderr(Stdio::from(stderr));
    prepare_in_child(&mut command, getpid(), rlimits(&start.limits), image);
    command.spawn()
}

/// A command whose last step before its own exec replaces the child by an [`Image`]; its program is never reached.
fn of_image() -> Command {
    let mut command = Command::new("/nonexistent");
    command.env_clear().stdin(Stdio::null());
    command
}

/// A command that runs this executable as a job worker; its only environment variable says which.
fn of_job(role: &str, input: OwnedFd) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command
        .env_clear()
        .env(ROLE_VARIABLE, role)
        .arg0(JOB_NAME)
        .stdin(Stdio::from(input));
    command
}

fn rlimits(limits: &[(Limit, u64)]) -> Vec<(Resource, Rlimit)> {
    limits
        .iter()
        .map(|(limit, value)| (resource(*limit), rlimit(*limit, *value)))
        .collect()
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

/// At the soft limit of processor time comes SIGXCPU, by which the cause is known, and at the hard one SIGKILL.
fn rlimit(limit: Limit, value: u64) -> Rlimit {
    let extra = u64::from(limit == Limit::CpuSeconds);
    Rlimit {
        current: Some(value),
        maximum: Some(value.saturating_add(extra)),
    }
}

fn prepare_in_child(
    command: &mut Command,
    spawner: Pid,
    limits: Vec<(Resource, Rlimit)>,
    image: Option<Image>,
) {
    let enter = move || {
        enter_child(spawner, &limits)?;
        image.as_ref().map_or(Ok(()), |image| Err(image.execute()))
    };
    // SAFETY: the spawner has one thread, so no lock is held by another at the fork; besides, what runs in the child
    // makes system calls only and does not allocate.
    unsafe { command.pre_exec(enter) };
}

/// The steps in the child, in the order that leaves no window.
fn enter_child(spawner: Pid, limits: &[(Resource, Rlimit)]) -> io::Result<()> {
    setsid()?;
    die_with(spawner)?;
    for (resource, limit) in limits {
        setrlimit(*resource, clamped(*resource, limit))?;
    }
    forget_signal_handling();
    set_no_new_privs(true)?;
    // Landlock and seccomp belong here: after the privileges are fixed, before the descriptors are closed.
    close_descriptors_at_exec()
}

fn die_with(spawner: Pid) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // The spawner may have died before the line above.
    if getppid() == Some(spawner) {
        Ok(())
    } else {
        Err(io::ErrorKind::BrokenPipe.into())
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

/// Ignored signals stay ignored over an exec. `Command` itself has emptied the mask.
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
}

/// Closes everything but the three standard descriptors at exec, whatever flags the others have. They have to live
/// until then: the executable is one of them, and so is the pipe on which `Command` reports a failed exec.
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
    fn new(file: OwnedFd, argv: &[String], env: &[(String, String)]) -> io::Result<Self> {
        let env = env.iter().map(|(name, value)| format!("{name}={value}"));
        Ok(Self {
            file,
            argv: CStrings::new(argv.iter().cloned())?,
            env: CStrings::new(env)?,
        })
    }

    /// Replaces this process; returns only when it cannot.
    fn execute(&self) -> io::Error {
        // SAFETY: path, arguments and environment end in NUL and null, and live until the process is replaced.
        unsafe {
            libc::syscall(
                libc::SYS_execveat,
                self.file.as_raw_fd(),
                c"".as_ptr(),
                self.argv.pointers.as_ptr(),
                self.env.pointers.as_ptr(),
                libc::AT_EMPTY_PATH,
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

// SAFETY: the pointers go to the heap memory of `_strings`, which this value owns and nobody changes.
unsafe impl Send for CStrings {}
// SAFETY: as above.
unsafe impl Sync for CStrings {}

impl CStrings {
    fn new(strings: impl Iterator<Item = String>) -> io::Result<Self> {
        let strings = strings.map(CString::new).collect::<Result<Vec<_>, _>>()?;
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
