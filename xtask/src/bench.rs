//! Measures each way to run a plugin beside its floor.

use anyhow::Result;

use crate::guests;
use crate::shell::{program_at_root, step, target};

/// Builds what is missing and prints the figures: with all cores, then with both ends of every call on one.
///
/// # Errors
///
/// When something cannot be built, or a call fails.
pub(crate) fn run() -> Result<()> {
    guests::build()?;
    measure("measure each way to run a plugin beside its floor", &[])?;
    measure("measure the same on one core", &["--pinned"])
}

/// Shows that the benchmark still runs; its figures mean nothing.
///
/// # Errors
///
/// When a call fails. The guests have to be built already.
pub(crate) fn smoke() -> Result<()> {
    measure("run the benchmark briefly", &["--smoke"])?;
    measure("run it briefly on one core", &["--smoke", "--pinned"])
}

fn measure(what: &str, words: &[&str]) -> Result<()> {
    let program = target().join("debug").join("palisade-bench");
    step(what, program_at_root(program, words))
}
