//! The second command of the README, and all that CI runs: format, lints, licences, documentation, guests, tests.

use anyhow::Result;

use crate::shell::{cargo, say, step, succeeds};
use crate::toolchain::{ensure_components, ensure_wasm_target};
use crate::{bench, guests, languages, registry};

/// Runs everything, the quickest first, and stops at the first failure.
///
/// # Errors
///
/// Which step failed.
pub(crate) fn run() -> Result<()> {
    ensure_components()?;
    ensure_wasm_target()?;
    check_format()?;
    check_supply()?;
    check_lints()?;
    check_documentation()?;
    guests::build()?;
    languages::build()?;
    let openbao = registry::OPENBAO.set_up()?;
    bench::smoke()?;
    run_tests()?;
    if openbao.is_some() {
        bench::smoke_beside_openbao()?;
    }
    say("all checks passed");
    Ok(())
}

fn check_format() -> Result<()> {
    step("check the format", cargo(&["fmt", "--all", "--check"]))
}

fn check_lints() -> Result<()> {
    let words = ["clippy", "--locked", "--workspace", "--all-targets"];
    step(
        "check the lints (some minutes the first time)",
        cargo(&[&words[..], &["--", "--deny", "warnings"]].concat()),
    )
}

/// Licences, bans and sources. Advisories need a database from the network and are left to people.
///
/// Without cargo-deny the tidy test still holds the bans and the sources against the lock file.
fn check_supply() -> Result<()> {
    if !succeeds(cargo(&["deny", "--version"])) {
        say("skip the licence check: cargo-deny is not installed");
        println!("    install it with: cargo install cargo-deny --locked");
        return Ok(());
    }
    step(
        "check licences, bans and sources of the dependencies",
        cargo(&["deny", "--locked", "check", "licenses", "bans", "sources"]),
    )
}

/// After clippy this is quick: both read the same metadata of the dependencies.
fn check_documentation() -> Result<()> {
    let mut command = cargo(&["doc", "--locked", "--workspace", "--no-deps"]);
    command.env("RUSTDOCFLAGS", "--deny warnings");
    step("check the documentation", command)
}

fn run_tests() -> Result<()> {
    step(
        "run all tests",
        cargo(&["test", "--locked", "--workspace", "--no-fail-fast"]),
    )
}
