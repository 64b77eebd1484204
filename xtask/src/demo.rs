//! The first command of the README: sets up whatever is missing, then shows one plugin in every mode.

use anyhow::Result;

use crate::guests;

/// Sets up and runs the demonstration.
///
/// # Errors
///
/// When something cannot be built, or the demonstration fails.
pub(crate) fn run() -> Result<()> {
    guests::run()
}
