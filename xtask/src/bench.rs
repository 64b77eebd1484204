//! Measures each way to run a plugin beside its floor.

use anyhow::Result;

use crate::guests::{self, COMPONENT_TOOL};
use crate::shell::{program_at_root, step, target};

/// Builds what is missing and prints the figures: with all cores, then with both ends of every call on one; or those of
/// the parts that are named, with all cores.
///
/// # Errors
///
/// When something cannot be built, a call fails, or there is no such part.
pub(crate) fn run(parts: &[&str]) -> Result<()> {
    guests::build()?;
    build()?;
    measure("measure each way to run a plugin beside its floor", parts)?;
    if !parts.is_empty() {
        return Ok(());
    }
    measure(
        "measure calls and starts on one core",
        &["--pinned", "calls", "launches"],
    )
}

/// Shows that the benchmark still runs; its figures mean nothing.
///
/// # Errors
///
/// When it cannot be built, or a call fails. The guests have to be built already.
pub(crate) fn smoke() -> Result<()> {
    build()?;
    measure("run the benchmark briefly", &["--smoke"])?;
    measure(
        "run its long parts briefly",
        &["--smoke", "fairness", "soak"],
    )?;
    measure(
        "run it briefly on one core",
        &["--smoke", "--pinned", "calls"],
    )
}

fn build() -> Result<()> {
    guests::build_workspace("build the benchmark", &[COMPONENT_TOOL])
}

fn measure(what: &str, words: &[&str]) -> Result<()> {
    let program = target().join("debug").join("palisade-bench");
    step(what, program_at_root(program, words))
}
