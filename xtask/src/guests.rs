//! Builds the example plugins both ways: as native executables and as WebAssembly components.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::shell::{cargo, root, say, step, target};
use crate::toolchain::{WASM_TARGET, ensure_wasm_target};

/// The profile components are shipped with.
const COMPONENT_PROFILE: &str = "component";

/// The package that makes components of what other languages' toolchains built.
pub(crate) const COMPONENT_TOOL: &str = "palisade-component";

/// The package of the benchmarks.
const BENCHMARKS: &str = "palisade-benches";

/// Builds all, then says where they are.
///
/// # Errors
///
/// When the target is missing and cannot be fetched, or a build fails.
pub(crate) fn run() -> Result<()> {
    build()?;
    report()
}

/// Builds every guest both ways.
///
/// # Errors
///
/// As [`run`].
pub(crate) fn build() -> Result<()> {
    build_components()?;
    build_executables()
}

/// Only the libraries are built for WebAssembly: an executable would be a second, empty component.
///
/// # Errors
///
/// As [`run`].
pub(crate) fn build_components() -> Result<()> {
    ensure_wasm_target()?;
    let guests = packages()?;
    let mut words = vec!["build", "--locked", "--lib"];
    words.extend(["--target", WASM_TARGET, "--profile", COMPONENT_PROFILE]);
    for guest in &guests {
        words.extend(["--package", guest]);
    }
    step(
        "build the guests as WebAssembly components (about a minute the first time)",
        cargo(&words),
    )
}

/// The server's executables, and those of the guests. What nobody needs yet waits: the tool for other languages, and the
/// benchmarks.
///
/// # Errors
///
/// As [`run`].
pub(crate) fn build_executables() -> Result<()> {
    build_workspace(
        "build the server and the guests as executables (some minutes the first time)",
        &[COMPONENT_TOOL, BENCHMARKS],
    )
}

/// The workspace's executables in one build, without those of some packages: with a few packages alone, cargo would choose
/// other features for the shared dependencies and compile them a second time for everything else.
///
/// # Errors
///
/// As [`run`].
pub(crate) fn build_workspace(what: &str, without: &[&str]) -> Result<()> {
    let mut words = vec!["build", "--locked", "--workspace", "--bins"];
    for package in without {
        words.extend(["--exclude", package]);
    }
    step(what, cargo(&words))
}

fn report() -> Result<()> {
    say("the guests, with the SHA-256 that `palisade plugin register -sha256=` takes");
    for artifact in artifacts()? {
        let shown = artifact.strip_prefix(root()).unwrap_or(&artifact);
        println!("{}  {}", sha256(&artifact)?, shown.display());
    }
    Ok(())
}

/// Every built guest: the component and the executable of each.
fn artifacts() -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for guest in packages()? {
        let library = format!("{}.wasm", guest.replace('-', "_"));
        let executable = guest.strip_prefix("palisade-").unwrap_or(&guest);
        paths.push(
            target()
                .join(WASM_TARGET)
                .join(COMPONENT_PROFILE)
                .join(library),
        );
        paths.push(target().join("debug").join(executable));
    }
    Ok(paths)
}

/// The packages beneath `guests/` that have an executable: every plugin, and not the SDK.
fn packages() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for folder in std::fs::read_dir(root().join("guests"))? {
        let folder = folder?;
        if folder.path().join("src/main.rs").is_file() {
            names.push(format!("palisade-{}", folder.file_name().display()));
        }
    }
    names.sort();
    Ok(names)
}

fn sha256(path: &Path) -> Result<String> {
    let bytes = std::fs::read(path)
        .with_context(|| format!("{} should have been built", path.display()))?;
    Ok(hex::encode(Sha256::digest(bytes)))
}
