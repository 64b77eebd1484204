//! Makes sure of what `rust-toolchain.toml` cannot promise: the WebAssembly target, rustfmt and clippy.
//!
//! A `targets` key in that file is ignored where automatic installation is off, and where it is on it reinstalls the
//! whole toolchain. `rustup target add` does just what is needed.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::shell::{cargo, program_at_root, step, succeeds};

/// What components are built for.
pub(crate) const WASM_TARGET: &str = "wasm32-wasip2";

/// Adds the WebAssembly target if the compiler lacks it.
///
/// # Errors
///
/// With what to do, when rustup is absent or cannot fetch the target.
pub(crate) fn ensure_wasm_target() -> Result<()> {
    if has_target()? {
        return Ok(());
    }
    if !has_rustup() {
        bail!(
            "the Rust compiler has no standard library for {WASM_TARGET}, and there is no rustup to fetch it. \
             Install rustup from https://rustup.rs, or your distribution's package for that target, and try again."
        );
    }
    step(
        &format!("fetch the target {WASM_TARGET} (about 20 MB)"),
        rustup(&["target", "add", WASM_TARGET]),
    )
}

/// Adds rustfmt and clippy if they are missing.
///
/// # Errors
///
/// With what to do, when rustup is absent or cannot fetch them.
pub(crate) fn ensure_components() -> Result<()> {
    for (verb, component) in [("fmt", "rustfmt"), ("clippy", "clippy")] {
        if succeeds(cargo(&[verb, "--version"])) {
            continue;
        }
        if !has_rustup() {
            bail!("`cargo {verb}` is missing, and there is no rustup to fetch {component}");
        }
        step(
            &format!("fetch {component}"),
            rustup(&["component", "add", component]),
        )?;
    }
    Ok(())
}

/// The compiler names the directory of a target's standard library whether it is there or not.
fn has_target() -> Result<bool> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = program_at_root(
        rustc,
        &["--print", "target-libdir", "--target", WASM_TARGET],
    )
    .output()
    .context("could not start rustc")?;
    let directory = String::from_utf8_lossy(&output.stdout);
    Ok(output.status.success() && Path::new(directory.trim()).is_dir())
}

fn has_rustup() -> bool {
    succeeds(rustup(&["--version"]))
}

/// Cargo's proxy has set `RUSTUP_TOOLCHAIN`, so that this meets the toolchain that runs us.
fn rustup(words: &[&str]) -> Command {
    program_at_root("rustup", words)
}
