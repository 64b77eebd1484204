//! The first command of the README: sets up whatever is missing, then shows one plugin in every mode.

use anyhow::Result;

use crate::guests;
use crate::shell::{program_at_root, step, target};

/// Sets up and runs the demonstration.
///
/// # Errors
///
/// When something cannot be built, or the demonstration fails.
pub(crate) fn run() -> Result<()> {
    guests::run()?;
    let program = target().join("debug").join("palisade-demo");
    step(
        "run one plugin in every mode, crash it, compare",
        program_at_root(program, &[]),
    )
}
