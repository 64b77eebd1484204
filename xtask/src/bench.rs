//! Measures each way to run a plugin beside its floor.

use std::process::Command;

use anyhow::Result;

use crate::guests::{self, COMPONENT_TOOL};
use crate::shell::{program_at_root, root, step, target};

/// The part that measures beside Vault's core, which is built for it alone.
const VAULT: &str = "vault";

/// Builds what is missing and prints the figures: with all cores, then with both ends of every call on one; or those of
/// the parts that are named, with all cores.
///
/// # Errors
///
/// When something cannot be built, a call fails, or there is no such part.
pub(crate) fn run(parts: &[&str]) -> Result<()> {
    guests::build()?;
    build()?;
    if parts.contains(&VAULT) {
        build_vault()?;
    }
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

/// Vault's core and the plugin that it is asked by, both with Go.
fn build_vault() -> Result<()> {
    let folder = target().join("debug").join("interop");
    std::fs::create_dir_all(&folder)?;
    let built = |name: &str, module: &str, package: &str| {
        let mut go = Command::new("go");
        go.args(["build", "-trimpath", "-o"])
            .arg(folder.join(name))
            .arg(package)
            .current_dir(root().join(module));
        go
    };
    step(
        "build a plugin on Vault's SDK with Go",
        built("vault-mock", "tests/interop/go", "./vault-mock"),
    )?;
    step(
        "build Vault's core with Go (some minutes, and some hundred megabytes of modules, the first time)",
        built("vault-core", "benches/vault-core", "."),
    )
}

fn measure(what: &str, words: &[&str]) -> Result<()> {
    let program = target().join("debug").join("palisade-bench");
    step(what, program_at_root(program, words))
}
