//! The toolchains from PyPI, in exact versions, in a Python environment beneath `target/`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::shell::{program_at_root, root, step, succeeds, target};

/// What is installed, one exact version a line.
pub(super) const REQUIREMENTS: &str = "guests/toolchains.txt";

/// A Python environment with everything in it.
pub(super) struct Toolchain {
    environment: PathBuf,
}

/// What came of setting it up.
pub(super) enum Outcome {
    /// It is there.
    Ready(Toolchain),
    /// It cannot be here, and why.
    Missing(String),
}

impl Toolchain {
    /// Makes the environment, unless it is there with just these versions.
    ///
    /// # Errors
    ///
    /// When files cannot be written.
    pub(super) fn set_up() -> Result<Outcome> {
        let folder = target().join("languages");
        let toolchain = Self {
            environment: folder.join("python"),
        };
        let installed = folder.join("installed.txt");
        let wanted = wanted()?;
        if std::fs::read_to_string(&installed).is_ok_and(|found| found == wanted) {
            return Ok(Outcome::Ready(toolchain));
        }
        if !succeeds(program_at_root("python3", &["-m", "venv", "--help"])) {
            return Ok(missing("python3 with its venv module is not installed"));
        }
        std::fs::create_dir_all(&folder)?;
        if let Err(error) = toolchain.install() {
            return Ok(missing(&format!("{error:#} (is PyPI within reach?)")));
        }
        std::fs::write(&installed, wanted)?;
        Ok(Outcome::Ready(toolchain))
    }

    fn install(&self) -> Result<()> {
        let mut make = program_at_root("python3", &["-m", "venv", "--clear"]);
        make.arg(&self.environment);
        step("make a Python environment beneath target/", make)?;
        let mut install = self.command("python");
        install.args(["-m", "pip", "install", "--quiet", "--no-deps"]);
        install.args(["--disable-pip-version-check", "--only-binary", ":all:"]);
        install.args(["--requirement", REQUIREMENTS]);
        step(
            &format!("install what {REQUIREMENTS} names (about 120 MB from PyPI, the first time)"),
            install,
        )
    }

    /// A program of the environment.
    pub(super) fn command(&self, program: &str) -> Command {
        let mut command = program_at_root(self.environment.join("bin").join(program), &[]);
        // What the compilers keep stays beneath target/ too.
        let cache = target().join("languages").join("cache");
        command.env("ZIG_GLOBAL_CACHE_DIR", &cache);
        command.env("ZIG_LOCAL_CACHE_DIR", &cache);
        command.env_remove("VIRTUAL_ENV");
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }
}

fn wanted() -> Result<String> {
    let path = root().join(Path::new(REQUIREMENTS));
    std::fs::read_to_string(&path).with_context(|| format!("could not read {}", path.display()))
}

fn missing(reason: &str) -> Outcome {
    Outcome::Missing(reason.to_owned())
}
