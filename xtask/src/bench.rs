//! Measures each way to run a plugin beside its floor.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::guests::{self, COMPONENT_TOOL};
use crate::registry;
use crate::shell::{cargo, program_at_root, root, step, target};

/// The word for a server as it is shipped.
const RELEASE: &str = "--release";

/// The parts that measure beside another server, which is built or fetched for them alone.
const VAULT: &str = "vault";
const OPENBAO: &str = "openbao";

/// The plugins through which OpenBao is asked, and the last of them through which Vault is.
const BAO_MOCK: &str = "bao-mock";
const VAULT_MOCK: &str = "vault-mock";

/// Builds what is missing and prints the figures: with all cores, then with both ends of every call on one; or those of
/// the parts that are named, with all cores. With `--release` the server under load is the one that is shipped.
///
/// # Errors
///
/// When something cannot be built, a call fails, or there is no such part.
pub(crate) fn run(words: &[&str]) -> Result<()> {
    let (flags, parts): (Vec<&str>, Vec<&str>) = words.iter().partition(|word| **word == RELEASE);
    guests::build()?;
    build()?;
    let server = (!flags.is_empty()).then(build_release).transpose()?;
    if parts.contains(&VAULT) {
        build_vault()?;
    }
    if parts.contains(&OPENBAO) {
        fetch_openbao()?;
    }
    let what = "measure each way to run a plugin beside its floor";
    measure(what, &parts, server.as_deref())?;
    if !parts.is_empty() {
        return Ok(());
    }
    let pinned = ["--pinned", "calls", "peers", "launches"];
    measure("measure calls and starts on one core", &pinned, None)
}

/// Shows that the benchmark still runs; its figures mean nothing.
///
/// # Errors
///
/// When it cannot be built, or a call fails. The guests have to be built already.
pub(crate) fn smoke() -> Result<()> {
    build()?;
    let long = ["--smoke", "fairness", "soak"];
    let pinned = ["--smoke", "--pinned", "calls"];
    measure("run the benchmark briefly", &["--smoke"], None)?;
    measure("run its long parts briefly", &long, None)?;
    measure("run it briefly on one core", &pinned, None)
}

/// The same of what measures beside OpenBao, where the tests built the plugins that are asked.
///
/// # Errors
///
/// As [`smoke`].
pub(crate) fn smoke_beside_openbao() -> Result<()> {
    let built = [BAO_MOCK, VAULT_MOCK].map(|mock| peers().join(mock).exists());
    match built {
        [true, true] => measure("run it briefly beside OpenBao", &["--smoke", OPENBAO], None),
        _ => Ok(()),
    }
}

fn build() -> Result<()> {
    guests::build_workspace("build the benchmark", &[COMPONENT_TOOL])
}

/// The server as it is shipped; where it is then.
fn build_release() -> Result<PathBuf> {
    step(
        "build the server as it is shipped (some ten minutes the first time)",
        cargo(&["build", "--release", "--locked", "--package", "palisade"]),
    )?;
    Ok(target().join("release").join("palisade"))
}

/// Vault's core and the plugin that it is asked by, both with Go.
fn build_vault() -> Result<()> {
    build_mock(VAULT_MOCK)?;
    step(
        "build Vault's core with Go (some minutes, and some hundred megabytes of modules, the first time)",
        go_build("vault-core", "benches/vault-core", ".")?,
    )
}

/// OpenBao as it is released, and the plugins that it is asked by.
fn fetch_openbao() -> Result<()> {
    registry::OPENBAO
        .set_up()?
        .context("there is nothing to compare with")?;
    [BAO_MOCK, VAULT_MOCK].into_iter().try_for_each(build_mock)
}

/// A plugin on the SDK of another server, as the interoperability tests build it too.
fn build_mock(name: &str) -> Result<()> {
    let what = format!("build {name} with Go");
    step(
        &what,
        go_build(name, "tests/interop/go", &format!("./{name}"))?,
    )
}

/// Where the executables in Go are.
pub(crate) fn peers() -> PathBuf {
    target().join("debug").join("interop")
}

fn go_build(name: &str, module: &str, package: &str) -> Result<Command> {
    let folder = peers();
    std::fs::create_dir_all(&folder)?;
    let mut go = Command::new("go");
    go.args(["build", "-trimpath", "-o"])
        .arg(folder.join(name))
        .arg(package)
        .current_dir(root().join(module));
    Ok(go)
}

fn measure(what: &str, words: &[&str], server: Option<&Path>) -> Result<()> {
    let program = target().join("debug").join("palisade-bench");
    let mut command = program_at_root(program, words);
    command.envs(server.map(|server| ("PALISADE_SERVER", server)));
    step(what, command)
}
