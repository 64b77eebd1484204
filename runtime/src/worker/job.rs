//! Has one job done in a process of its own, under a budget, and tells the ways to fail apart.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use super::link::{Link, Order, WorkerError};
use super::memory_file;
use super::message::{Limit, ProcessExit, Program};
use super::process::Process;
use super::protections::Protections;
use super::role::JobRole;
use super::sandbox::{Layer, Sandbox};
use super::work::Verdict;

/// Address space on top of the memory budget: the executable itself, and reservations that cost nothing.
const ADDRESS_SPACE_EXTRA: u64 = 1 << 30;

/// The stack of the worker's main thread, on which the job runs.
const STACK_BYTES: u64 = 8 << 20;

/// Descriptors of a worker: three, and a few to read `/proc`.
const DESCRIPTORS: u64 = 16;

/// What a job holds besides its budget and its output, in bytes: the pages of the executable that it writes to, and its
/// stack.
const MEMORY_EXTRA: u64 = 64 << 20;

/// Its share of the processors when those are busy; everybody else has 100.
const CPU_WEIGHT: u32 = 20;

/// The walls that stand around a job from its start. The others it puts up itself.
const LAYERS: [Layer; 3] = [Layer::MemoryLimit, Layer::ProcessLimit, Layer::CpuWeight];

/// How much of what a worker wrote to standard error stands in an error, in bytes.
const WORDS_BYTES_MAX: u64 = 2 << 10;

/// SIGXCPU, with which the kernel says that the processor time is used up.
const SIGNAL_CPU: i32 = 24;

/// SIGXFSZ, with which the kernel says that a file would grow too large.
const SIGNAL_FILE_SIZE: i32 = 25;

/// What a job reads.
#[derive(Clone, Copy)]
pub enum JobInput<'a> {
    /// These bytes.
    Bytes(&'a [u8]),
    /// The whole content of a file, read by position.
    File(BorrowedFd<'a>),
}

/// What a job may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JobBudget {
    /// Private memory, in bytes.
    pub memory_bytes: u64,
    /// Processor time; rounded up to whole seconds, which is as fine as the kernel counts.
    pub cpu: Duration,
    /// Time by the clock, from the request on.
    pub wall: Duration,
    /// The longest output, in bytes.
    pub output_bytes_max: u64,
}

/// Why a job gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// The job's own answer.
    #[error("{0}")]
    Refused(String),
    /// It asked for more memory than it may have.
    #[error("the {role} worker asked for more than its {limit} bytes of memory")]
    OverMemory {
        /// Which job.
        role: &'static str,
        /// What it may have.
        limit: u64,
    },
    /// It took too long, by the clock or in processor time.
    #[error("the {role} worker was not done within {limit:?}")]
    TimedOut {
        /// Which job.
        role: &'static str,
        /// How long it had.
        limit: Duration,
    },
    /// It made more than it may.
    #[error("the {role} worker made more than {limit} bytes")]
    OverOutput {
        /// Which job.
        role: &'static str,
        /// How many it may make.
        limit: u64,
    },
    /// It was killed: by a stack overflow, by somebody else, by the kernel.
    #[error("the {role} worker was {exit}{words}")]
    Killed {
        /// Which job.
        role: &'static str,
        /// How.
        exit: ProcessExit,
        /// What it said about it, if anything.
        words: String,
    },
    /// It panicked, or ended without an answer.
    #[error("the {role} worker failed: {fault}")]
    Failed {
        /// Which job.
        role: &'static str,
        /// How.
        fault: String,
    },
    /// It could not be started.
    #[error(transparent)]
    Worker(#[from] WorkerError),
}

/// The files of a job.
struct Files {
    output: OwnedFd,
    words: OwnedFd,
}

pub(super) async fn run(
    link: &Link,
    protections: &Protections,
    role: JobRole,
    input: JobInput<'_>,
    budget: JobBudget,
) -> Result<Vec<u8>, JobError> {
    let files = Files::new().map_err(|error| failed(role, error))?;
    let sandbox = sandbox(protections, budget);
    let process = start(link, sandbox, role, input, budget, &files).await?;
    let Some(exit) = process.exited_within(budget.wall).await else {
        return Err(JobError::TimedOut {
            role: role.as_str(),
            limit: budget.wall,
        });
    };
    let output = files.output(role, budget)?;
    match Verdict::parse(output) {
        Some(Verdict::Done(bytes)) if exit == ProcessExit::Code(0) => Ok(bytes),
        Some(Verdict::Refused(text)) => Err(JobError::Refused(text)),
        Some(Verdict::Panicked(text)) => Err(failed(role, text)),
        _ => Err(death(role, exit, budget, &files)),
    }
}

impl Files {
    fn new() -> io::Result<Self> {
        let output = memory_file::create("palisade-job-output")?;
        let words = memory_file::create("palisade-job-words")?;
        Ok(Self { output, words })
    }

    fn output(&self, role: JobRole, budget: JobBudget) -> Result<Vec<u8>, JobError> {
        let limit = budget.output_bytes_max;
        let size = memory_file::size(self.output.as_fd()).map_err(|error| failed(role, error))?;
        if size > file_bytes_max(budget) {
            return Err(JobError::OverOutput {
                role: role.as_str(),
                limit,
            });
        }
        memory_file::read(self.output.as_fd(), size).map_err(|error| failed(role, error))
    }

    /// The beginning of what the worker wrote to standard error.
    fn words(&self) -> String {
        let bytes = memory_file::read(self.words.as_fd(), WORDS_BYTES_MAX).unwrap_or_default();
        String::from_utf8_lossy(&bytes)
            .trim()
            .escape_debug()
            .to_string()
    }
}

async fn start(
    link: &Link,
    sandbox: Sandbox,
    role: JobRole,
    input: JobInput<'_>,
    budget: JobBudget,
    files: &Files,
) -> Result<Process, JobError> {
    let held;
    let input = match input {
        JobInput::File(file) => file,
        JobInput::Bytes(bytes) => {
            held = memory_file::holding("palisade-job-input", bytes)
                .map_err(|error| failed(role, error))?;
            held.as_fd()
        }
    };
    let order = Order {
        program: Program::Job(role),
        directory: None,
        remnant: None,
        limits: limits(budget),
        sandbox: Some(sandbox),
    };
    let descriptors = [input, files.output.as_fd(), files.words.as_fd()];
    Ok(link.start(order, &descriptors).await?)
}

/// Those of the walls that hold on this machine. The caps of the control group are behind the resource limits, and count
/// what those do not: files in memory, the output among them.
fn sandbox(protections: &Protections, budget: JobBudget) -> Sandbox {
    let held = LAYERS.into_iter();
    let memory_bytes = budget.memory_bytes.saturating_add(budget.output_bytes_max);
    Sandbox {
        layers: held
            .filter(|layer| protections.holding().contains(layer))
            .collect(),
        user: 0,
        memory_bytes: memory_bytes.saturating_add(MEMORY_EXTRA),
        processes: 1,
        cpu_weight: CPU_WEIGHT,
        network: false,
        as_file: false,
    }
}

fn limits(budget: JobBudget) -> Vec<(Limit, u64)> {
    let cpu = budget.cpu.as_secs() + u64::from(budget.cpu.subsec_nanos() > 0);
    vec![
        (Limit::Data, budget.memory_bytes),
        (
            Limit::AddressSpace,
            budget.memory_bytes.saturating_add(ADDRESS_SPACE_EXTRA),
        ),
        (Limit::CpuSeconds, cpu.max(1)),
        (Limit::FileBytes, file_bytes_max(budget)),
        (Limit::Descriptors, DESCRIPTORS),
        (Limit::Stack, STACK_BYTES),
        (Limit::Core, 0),
    ]
}

/// The output and the byte that says what it is.
fn file_bytes_max(budget: JobBudget) -> u64 {
    budget.output_bytes_max.saturating_add(1)
}

/// Tells from the way it ended, and from what the standard library says when an allocation fails, what the cause was.
fn death(role: JobRole, exit: ProcessExit, budget: JobBudget, files: &Files) -> JobError {
    let (role, words) = (role.as_str(), files.words());
    match exit {
        ProcessExit::OutOfMemory => JobError::OverMemory {
            role,
            limit: budget.memory_bytes,
        },
        _ if words.contains("memory allocation of") => JobError::OverMemory {
            role,
            limit: budget.memory_bytes,
        },
        ProcessExit::Signal(SIGNAL_CPU) => JobError::TimedOut {
            role,
            limit: budget.cpu,
        },
        ProcessExit::Signal(SIGNAL_FILE_SIZE) => JobError::OverOutput {
            role,
            limit: budget.output_bytes_max,
        },
        ProcessExit::Signal(_) => JobError::Killed {
            role,
            exit,
            words: clause(&words),
        },
        ProcessExit::Code(_) | ProcessExit::Unknown => JobError::Failed {
            role,
            fault: format!("it {exit} without an answer{}", clause(&words)),
        },
    }
}

fn clause(words: &str) -> String {
    match words {
        "" => String::new(),
        words => format!(", and said: {words}"),
    }
}

fn failed(role: JobRole, fault: impl std::fmt::Display) -> JobError {
    JobError::Failed {
        role: role.as_str(),
        fault: fault.to_string(),
    }
}
