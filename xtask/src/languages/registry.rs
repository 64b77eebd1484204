//! Where toolchains come from: a registry of packages, of which some are installed in exact versions, in a folder of its own
//! beneath `target/languages/`.

mod npm;
mod pypi;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::shell::{program_at_root, root, succeeds, target};

/// A registry, and how what is needed of it becomes a folder of programs.
pub(super) struct Registry {
    name: &'static str,
    /// The languages whose plugins it is for.
    pub(super) languages: &'static str,
    /// The file that names exact versions.
    pub(super) versions: &'static str,
    /// The folder beneath `target/languages/`, and where programs are in it.
    folder: &'static str,
    programs: &'static str,
    /// What has to be there already, each as a program and words with which it succeeds.
    needs: &'static [(&'static str, &'static [&'static str])],
    install: fn(&Path) -> Result<()>,
}

/// All of them.
pub(super) static REGISTRIES: [&Registry; 2] = [&pypi::PYPI, &npm::NPM];

pub(super) use npm::NPM;
pub(super) use pypi::PYPI;

/// A folder with everything in it.
pub(super) struct Toolchain {
    programs: PathBuf,
}

/// What came of setting it up.
pub(super) enum Outcome {
    /// It is there.
    Ready(Toolchain),
    /// It cannot be here, and why.
    Missing(String),
}

impl Registry {
    /// Installs everything, unless it is there in just these versions.
    ///
    /// # Errors
    ///
    /// When files cannot be written.
    pub(super) fn set_up(&self) -> Result<Outcome> {
        let folder = folder().join(self.folder);
        let toolchain = Toolchain {
            programs: folder.join(self.programs),
        };
        let installed = folder.join("installed");
        let wanted = self.wanted()?;
        if fs::read_to_string(&installed).is_ok_and(|found| found == wanted) {
            return Ok(Outcome::Ready(toolchain));
        }
        if let Some(reason) = self.lacks() {
            return Ok(Outcome::Missing(reason));
        }
        fs::create_dir_all(&folder)?;
        if let Err(error) = (self.install)(&folder) {
            let reason = format!("{error:#} (is {} within reach?)", self.name);
            return Ok(Outcome::Missing(reason));
        }
        fs::write(&installed, wanted)?;
        Ok(Outcome::Ready(toolchain))
    }

    fn wanted(&self) -> Result<String> {
        let path = root().join(self.versions);
        fs::read_to_string(&path).with_context(|| format!("could not read {}", path.display()))
    }

    /// What is not installed on this machine.
    fn lacks(&self) -> Option<String> {
        let mut needs = self.needs.iter();
        let (program, words) =
            needs.find(|(program, words)| !succeeds(program_at_root(program, words)))?;
        Some(format!(
            "`{program} {}` does not work here",
            words.join(" ")
        ))
    }
}

impl Toolchain {
    /// One of its programs.
    pub(super) fn command(&self, program: &str) -> Command {
        kept_beneath_target(program_at_root(self.programs.join(program), &[]))
    }
}

fn folder() -> PathBuf {
    target().join("languages")
}

/// What installers and compilers keep stays beneath `target/` too.
fn kept_beneath_target(mut command: Command) -> Command {
    let cache = folder().join("cache");
    command.env("ZIG_GLOBAL_CACHE_DIR", &cache);
    command.env("ZIG_LOCAL_CACHE_DIR", &cache);
    command.env("npm_config_cache", cache.join("npm"));
    command.env_remove("VIRTUAL_ENV");
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    command
}
