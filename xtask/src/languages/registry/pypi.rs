//! PyPI, in a Python environment: the compilers for Python and C.

use std::path::Path;

use anyhow::Result;

use super::{Registry, kept_beneath_target};
use crate::shell::{program_at_root, step};

const VERSIONS: &str = "guests/toolchains.txt";

pub(in super::super) static PYPI: Registry = Registry {
    name: "PyPI",
    languages: "Python and C",
    versions: VERSIONS,
    folder: "python",
    programs: "bin",
    needs: &[("python3", &["-m", "venv", "--help"])],
    install,
};

fn install(folder: &Path) -> Result<()> {
    let mut make = program_at_root("python3", &["-m", "venv", "--clear"]);
    make.arg(folder);
    step("make a Python environment beneath target/", make)?;
    let python = program_at_root(folder.join("bin").join("python"), &[]);
    let mut install = kept_beneath_target(python);
    install.args(["-m", "pip", "install", "--quiet", "--no-deps"]);
    install.args(["--disable-pip-version-check", "--only-binary", ":all:"]);
    install.args(["--requirement", VERSIONS]);
    step(
        &format!("install what {VERSIONS} names (about 120 MB from PyPI, the first time)"),
        install,
    )
}
