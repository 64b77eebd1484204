//! Writes `docs/conformance.md` from the suite itself, so that the list cannot claim a case that is not there.

use anyhow::Result;

use crate::shell::{cargo, step};

/// Asks the conformance suite to write its list.
///
/// # Errors
///
/// When the suite does not build or cannot write the file.
pub(crate) fn run() -> Result<()> {
    step(
        "write docs/conformance.md",
        cargo(&[
            "test",
            "--locked",
            "--workspace",
            "--test",
            "conformance",
            "--",
            "--write-case-list",
        ]),
    )
}
