//! npm's registry: the compiler for JavaScript, with the versions and digests that the plugin's own lock file names.

use std::fs;
use std::path::Path;

use anyhow::Result;

use super::{Registry, kept_beneath_target};
use crate::shell::{program_at_root, root, step};

/// The plugin whose two files say what is installed.
const PLUGIN: &str = "guests/kv-js";

/// The compiler.
pub(crate) static NPM: Registry = Registry {
    name: "npm's registry",
    purpose: "the plugins in JavaScript",
    required_by: "PALISADE_REQUIRE_LANGUAGES",
    versions: "guests/kv-js/package-lock.json",
    folder: "languages/javascript",
    programs: "node_modules/.bin",
    needs: &[("node", &["--version"]), ("npm", &["--version"])],
    install,
};

/// No package may run anything while it is installed.
fn install(_: &Registry, folder: &Path) -> Result<()> {
    for file in ["package.json", "package-lock.json"] {
        fs::copy(root().join(PLUGIN).join(file), folder.join(file))?;
    }
    let mut install = kept_beneath_target(program_at_root("npm", &["ci"]));
    install.args(["--ignore-scripts", "--no-audit", "--no-fund"]);
    install.arg("--no-update-notifier").current_dir(folder);
    step(
        &format!(
            "install what {PLUGIN}/package-lock.json names (about 40 MB from npm's registry, the first time)"
        ),
        install,
    )
}
