//! The walls that a job puts up around itself once it runs, before it reads its input.
//!
//! A job is this very executable, and its loader needs files and code. What it needs from then on is memory, a clock, its
//! input and its output. So the strictest walls go up here; those that outlast an exec are the spawner's.

use rustix::process::setpriority_process;

use super::sandbox::{self, at};

/// How much lower than the server's the priority of a job is, in steps of `nice`.
const NICENESS: i32 = 10;

/// Closes everything that a job has no use for. What stood open before, its three descriptors, is all it has.
///
/// # Errors
///
/// Which wall could not be put up, and why. The job must not go on then.
pub(super) fn enter() -> Result<(), String> {
    setpriority_process(None, NICENESS).map_err(at("priority"))?;
    sandbox::close()
}
