//! Where programs come from that are not built here: a registry of packages, of which some are installed in exact versions,
//! in a folder of its own beneath `target/`.

mod npm;
mod pypi;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::shell::{program_at_root, root, say, succeeds, target};

pub(crate) use npm::NPM;
pub(crate) use pypi::{OPENBAO, PYPI};

/// A registry, and how what is needed of it becomes a folder of programs.
pub(crate) struct Registry {
    name: &'static str,
    /// What cannot be done without it.
    pub(crate) purpose: &'static str,
    /// The environment variable that makes it a failure when that cannot be done; what checks everything sets it.
    required_by: &'static str,
    /// The file that names exact versions.
    pub(crate) versions: &'static str,
    /// The folder beneath `target/`, and where programs are in it.
    folder: &'static str,
    programs: &'static str,
    /// What has to be there already, each as a program and words with which it succeeds.
    needs: &'static [(&'static str, &'static [&'static str])],
    install: fn(&Registry, &Path) -> Result<()>,
}

/// A folder with everything in it.
pub(crate) struct Toolchain {
    programs: PathBuf,
}

/// What came of setting it up.
enum Outcome {
    /// It is there.
    Ready(Toolchain),
    /// It cannot be here, and why.
    Missing(String),
}

impl Registry {
    /// Installs everything, unless it is there in just these versions. Where it cannot be had, that is said and left for the
    /// tests to say again, unless the environment requires it.
    ///
    /// # Errors
    ///
    /// When files cannot be written, or when it is required and cannot be had.
    pub(crate) fn set_up(&self) -> Result<Option<Toolchain>> {
        let (purpose, variable) = (self.purpose, self.required_by);
        match self.installed()? {
            Outcome::Ready(toolchain) => Ok(Some(toolchain)),
            Outcome::Missing(reason) if std::env::var_os(variable).is_some() => {
                anyhow::bail!("{reason}, and {variable} requires {purpose}")
            }
            Outcome::Missing(reason) => {
                say(&format!("skip {purpose}: {reason}"));
                Ok(None)
            }
        }
    }

    fn installed(&self) -> Result<Outcome> {
        let folder = target().join(self.folder);
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
        if let Err(error) = (self.install)(self, &folder) {
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
    pub(crate) fn command(&self, program: &str) -> Command {
        kept_beneath_target(program_at_root(self.programs.join(program), &[]))
    }
}

/// What installers and compilers keep stays beneath `target/` too.
fn kept_beneath_target(mut command: Command) -> Command {
    let cache = target().join("languages").join("cache");
    command.env("ZIG_GLOBAL_CACHE_DIR", &cache);
    command.env("ZIG_LOCAL_CACHE_DIR", &cache);
    command.env("npm_config_cache", cache.join("npm"));
    command.env_remove("VIRTUAL_ENV");
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    command
}
