//! Runs other programs where the user sees them: each is announced, inherits the terminal and is timed.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

/// The repository's root: this package lies directly beneath it.
pub(crate) fn root() -> PathBuf {
    let package = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    package
        .parent()
        .expect("this package is a folder of the repository")
        .to_path_buf()
}

/// The one target directory, wherever the user has put it.
pub(crate) fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(directory) => root().join(directory),
        None => root().join("target"),
    }
}

/// The cargo that runs us, or the one in the path.
pub(crate) fn cargo(words: &[&str]) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    program_at_root(program, words)
}

/// Any program, run at the repository's root.
pub(crate) fn program_at_root(program: impl AsRef<std::ffi::OsStr>, words: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(words).current_dir(root());
    command
}

/// Says what is about to happen.
pub(crate) fn say(line: &str) {
    println!("\n==> {line}");
}

/// Runs a step to its end, in sight of the user.
///
/// # Errors
///
/// When the program cannot be started or does not succeed.
pub(crate) fn step(what: &str, mut command: Command) -> Result<()> {
    say(what);
    let begun = Instant::now();
    let status = command
        .status()
        .with_context(|| format!("could not start {:?}", command.get_program()))?;
    if !status.success() {
        bail!("{what}: failed ({status}); the lines above say why");
    }
    println!("    done in {:.1} s", begun.elapsed().as_secs_f32());
    Ok(())
}

/// Whether a program starts and succeeds, unseen.
pub(crate) fn succeeds(mut command: Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
