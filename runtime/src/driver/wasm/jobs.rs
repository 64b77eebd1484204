//! Has components inspected and compiled by worker processes, and says in the runtime's words how that went.

use std::os::fd::AsFd;
use std::time::Duration;

use super::admit;
use super::bounds::Bounds;
use crate::catalog::{Artifact, Survey};
use crate::worker::{JobBudget, JobError, JobInput, JobRole};
use crate::{LaunchError, Profile, RegisterError, Timeouts, Workers};

/// Memory of an inspector: the file, and the little that it remembers of it.
const INSPECT_MEMORY_BYTES: u64 = 256 << 20;

/// The longest answer of an inspector: names of imports and exports.
const INSPECTION_BYTES_MAX: u64 = 1 << 20;

/// Processor time of a compiler of ordinary components. One of a megabyte takes a second or two. Its time by the clock is
/// longer: it gives way to everything else.
const COMPILE_CPU: Duration = Duration::from_secs(30);

/// What compiling one component may take.
fn compile_budget(profile: Profile, timeouts: &Timeouts) -> JobBudget {
    let wall = timeouts.compile_of(profile);
    match profile {
        // Ordinary components of a few MiB take a tenth of the memory. Code is some four times as large as what it was
        // compiled from.
        Profile::Ordinary => JobBudget {
            memory_bytes: 1 << 30,
            cpu: COMPILE_CPU.min(wall),
            wall,
            output_bytes_max: 128 << 20,
        },
        // Python's takes 0.4 GiB and 17 seconds, and becomes 37 MB of code.
        Profile::Large => JobBudget {
            memory_bytes: 2 << 30,
            cpu: wall,
            wall,
            output_bytes_max: 256 << 20,
        },
    }
}

/// Has a component read and decides whether it may be registered. Nothing of it runs, and none of it is parsed here.
///
/// # Errors
///
/// [`RegisterError::Import`] with every import that is not granted, [`RegisterError::Component`] when it is malformed,
/// over a limit, of another contract or without a backend, [`RegisterError::Worker`] when the worker is to blame.
pub(crate) async fn inspect_artifact(
    workers: &Workers,
    artifact: &Artifact,
    profile: Profile,
    timeout: Duration,
) -> Result<Survey, RegisterError> {
    let survey = survey_artifact(workers, artifact, profile, timeout).await?;
    admit::admit(&survey)?;
    Ok(survey)
}

/// Has a component read, and tells what is in it, whatever that is.
///
/// # Errors
///
/// [`RegisterError::Component`] when it is malformed or over a limit, [`RegisterError::Worker`] when the worker is to
/// blame.
pub(crate) async fn survey_artifact(
    workers: &Workers,
    artifact: &Artifact,
    profile: Profile,
    timeout: Duration,
) -> Result<Survey, RegisterError> {
    check_size(artifact, profile).map_err(RegisterError::Component)?;
    let budget = JobBudget {
        memory_bytes: INSPECT_MEMORY_BYTES,
        // One thread cannot use more than passes by the clock.
        cpu: timeout,
        wall: timeout,
        output_bytes_max: INSPECTION_BYTES_MAX,
    };
    let input = JobInput::File(artifact.sealed().as_fd());
    let answer = workers
        .run_job(JobRole::Inspect(profile), input, budget)
        .await;
    admit::survey(&answer.map_err(|error| match error {
        JobError::Worker(error) => RegisterError::Worker(error.to_string()),
        error => RegisterError::Component(error.to_string()),
    })?)
}

/// Has a component compiled.
pub(super) async fn compile_artifact(
    workers: &Workers,
    artifact: &Artifact,
    plugin: &str,
    profile: Profile,
    timeouts: &Timeouts,
) -> Result<Vec<u8>, LaunchError> {
    let refused = |fault| LaunchError::Compile {
        plugin: plugin.to_owned(),
        fault,
    };
    check_size(artifact, profile).map_err(refused)?;
    let budget = compile_budget(profile, timeouts);
    let input = JobInput::File(artifact.sealed().as_fd());
    let answer = workers
        .run_job(JobRole::Compile(profile), input, budget)
        .await;
    answer.map_err(|error| match error {
        JobError::Worker(error) => LaunchError::Worker(error.to_string()),
        error => refused(error.to_string()),
    })
}

fn check_size(artifact: &Artifact, profile: Profile) -> Result<(), String> {
    Bounds::of(profile).check(artifact.size(), |it| it.file_bytes, "bytes")
}
