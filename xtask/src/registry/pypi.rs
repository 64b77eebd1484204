//! PyPI, in Python environments: the compilers for Python and C, and OpenBao.

use std::path::Path;

use anyhow::Result;

use super::{Registry, kept_beneath_target};
use crate::shell::{program_at_root, step};

/// The compilers.
pub(crate) static PYPI: Registry = Registry {
    name: "PyPI",
    purpose: "the plugins in Python and C",
    required_by: "PALISADE_REQUIRE_LANGUAGES",
    versions: "guests/toolchains.txt",
    folder: "languages/python",
    programs: "bin",
    needs: PYTHON,
    install,
};

/// A server to compare with.
pub(crate) static OPENBAO: Registry = Registry {
    name: "PyPI",
    purpose: "what is compared with OpenBao",
    required_by: "PALISADE_REQUIRE_OPENBAO",
    versions: "tests/interop/openbao.txt",
    folder: "openbao",
    programs: "bin",
    needs: PYTHON,
    install,
};

const PYTHON: &[(&str, &[&str])] = &[("python3", &["-m", "venv", "--help"])];

fn install(registry: &Registry, folder: &Path) -> Result<()> {
    let mut make = program_at_root("python3", &["-m", "venv", "--clear"]);
    make.arg(folder);
    step("make a Python environment beneath target/", make)?;
    let python = program_at_root(folder.join("bin").join("python"), &[]);
    let mut install = kept_beneath_target(python);
    install.args(["-m", "pip", "install", "--quiet", "--no-deps"]);
    install.args(["--disable-pip-version-check", "--only-binary", ":all:"]);
    install.args(["--requirement", registry.versions]);
    let what = format!(
        "install what {} names (some 100 MB from PyPI, the first time)",
        registry.versions
    );
    step(&what, install)
}
