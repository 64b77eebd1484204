//! Builds the example plugins in other languages than Rust, with toolchains from PyPI and npm's registry in folders of their
//! own beneath `target/`: nothing is installed outside of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use anyhow::{Context, Result};

use crate::guests::COMPONENT_TOOL;
use crate::registry::{NPM, PYPI, Registry, Toolchain};
use crate::shell::{cargo, program_at_root, root, say, step, target};

/// One plugin, and how its sources become what `palisade-component` takes.
struct Plugin {
    /// Its folder beneath `guests/`.
    folder: &'static str,
    /// Where its compiler comes from.
    registry: &'static Registry,
    build: fn(&Toolchain, source: &Path, output: &Path) -> Result<Command>,
}

static PLUGINS: [Plugin; 3] = [
    Plugin {
        folder: "kv-python",
        registry: &PYPI,
        build: python,
    },
    Plugin {
        folder: "kv-c",
        registry: &PYPI,
        build: c,
    },
    Plugin {
        folder: "kv-js",
        registry: &NPM,
        build: javascript,
    },
];

/// Builds all of them, and says where they are. Where a language's toolchain cannot be had, that is said and left for the
/// tests to say again, unless the environment requires them.
///
/// # Errors
///
/// When a build fails, or when they are required and cannot be built.
pub(crate) fn build() -> Result<()> {
    let mut ready = Vec::new();
    for registry in [&PYPI, &NPM] {
        if let Some(toolchain) = registry.set_up()? {
            ready.push((registry, toolchain));
        }
    }
    if ready.is_empty() {
        return Ok(());
    }
    build_tool()?;
    let mut ready = ready.iter();
    ready.try_for_each(|(registry, toolchain)| build_with(registry, toolchain))
}

/// All executables, since cargo would choose other features for this one alone and compile what it shares again.
fn build_tool() -> Result<()> {
    step(
        "build the tool that makes components (some minutes the first time)",
        cargo(&["build", "--locked", "--workspace", "--bins"]),
    )
}

fn build_with(registry: &Registry, toolchain: &Toolchain) -> Result<()> {
    PLUGINS
        .iter()
        .filter(|plugin| std::ptr::eq(plugin.registry, registry))
        .try_for_each(|plugin| plugin.make(toolchain))
}

impl Plugin {
    fn make(&self, toolchain: &Toolchain) -> Result<()> {
        let source = root().join("guests").join(self.folder);
        let output = component(self.folder);
        if self.is_newer(&output, &source)? {
            say(&format!("{} is up to date", output.display()));
            return Ok(());
        }
        let raw = output.with_extension("raw.wasm");
        let what = format!("build guests/{}", self.folder);
        step(&what, (self.build)(toolchain, &source, &raw)?)?;
        step(
            &format!("say in guests/{} what it is", self.folder),
            described(&raw, &output),
        )
    }

    /// Whether a file is there and younger than everything beneath a folder, the toolchain's versions and the ways to build.
    fn is_newer(&self, file: &Path, folder: &Path) -> Result<bool> {
        let changed = |path: &Path| fs::metadata(path).and_then(|it| it.modified());
        let Ok(made) = changed(file) else {
            return Ok(false);
        };
        let versions = changed(&root().join(self.registry.versions))?;
        let ways = youngest(&root().join("xtask"))?;
        Ok(made > versions.max(ways).max(youngest(folder)?))
    }
}

/// Where the component of a folder of `guests/` is.
fn component(folder: &str) -> PathBuf {
    target().join("languages").join(format!("{folder}.wasm"))
}

/// `--stub-wasi`: it takes clock and randomness from the contract, and the interpreter needs nothing else; with WASI it
/// would import file systems and sockets. It is built from a copy, since the interpreter leaves what it compiled beside it.
fn python(toolchain: &Toolchain, source: &Path, output: &Path) -> Result<Command> {
    let copy = output.with_extension("source");
    if copy.exists() {
        fs::remove_dir_all(&copy)?;
    }
    copy_folder(source, &copy)?;
    let mut command = toolchain.command("componentize-py");
    command.arg("--wit-path").arg(root().join("wit/v0.1.0"));
    command.args(["--world", "secrets", "componentize", "plugin"]);
    command.args(["--stub-wasi", "--output"]).arg(output);
    command.arg("--python-path").arg(copy);
    Ok(command)
}

/// A stack of 64 KiB: the default of 16 MiB would lie in every store's memory.
fn c(toolchain: &Toolchain, source: &Path, output: &Path) -> Result<Command> {
    let mut command = toolchain.command("python");
    command.args(["-m", "ziglang", "cc", "-target", "wasm32-wasi"]);
    command.args(["-mexec-model=reactor", "-std=c23", "-Os"]);
    command.args(["-Wall", "-Wextra", "-Werror"]);
    command.args(["-Wl,-z,stack-size=65536", "-Wl,--strip-debug", "-o"]);
    command.arg(output).args(sources(source));
    Ok(command)
}

/// `--sync`: the contract has no asynchronous functions, and hosts refuse what they are made of.
fn javascript(toolchain: &Toolchain, source: &Path, output: &Path) -> Result<Command> {
    let mut command = toolchain.command("componentize-qjs");
    command.arg("--wit").arg(root().join("wit/v0.1.0"));
    command.args(["--world", "secrets", "--sync"]);
    command.arg("--js").arg(source.join("plugin.js"));
    command.arg("--output").arg(output);
    Ok(command)
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        match entry.file_type()?.is_dir() {
            true => copy_folder(&entry.path(), &target)?,
            false => drop(fs::copy(entry.path(), target)?),
        }
    }
    Ok(())
}

/// The C files of a plugin, its bindings among them.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = ["", "bindings"]
        .iter()
        .filter_map(|inner| fs::read_dir(folder.join(inner)).ok())
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|it| it == "c"))
        .collect();
    files.sort();
    files
}

fn described(raw: &Path, output: &Path) -> Command {
    let program = target().join("debug").join(COMPONENT_TOOL);
    let mut command = program_at_root(program, &["--type", "secret", "--output"]);
    command.arg(output).arg(raw);
    command
}

fn youngest(folder: &Path) -> Result<SystemTime> {
    let mut youngest = SystemTime::UNIX_EPOCH;
    let entries = fs::read_dir(folder);
    for entry in entries.with_context(|| format!("could not read {}", folder.display()))? {
        let entry = entry?;
        let changed = match entry.file_type()?.is_dir() {
            true => self::youngest(&entry.path())?,
            false => entry.metadata()?.modified()?,
        };
        youngest = youngest.max(changed);
    }
    Ok(youngest)
}
