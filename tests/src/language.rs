//! The key-value engine in other languages than Rust: components that were built through the WIT package alone.
#![expect(clippy::print_stderr, reason = "the terminal is told what is skipped")]

use std::path::PathBuf;

use palisade_runtime::Profile;
use palisade_runtime::catalog::Manifest;

use crate::guest::target_directory;
use crate::{Guest, Harness};

/// The environment variable with which a component that is not built fails the tests instead of skipping them.
const REQUIRED_VARIABLE: &str = "PALISADE_REQUIRE_LANGUAGES";

/// One of the languages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// Made by componentize-py, with the interpreter in it.
    Python,
    /// Made by zig's C compiler and wit-bindgen's bindings.
    C,
    /// Made by componentize-qjs, with the engine in it.
    JavaScript,
}

impl Language {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Python, Self::C, Self::JavaScript];

    /// The word in names of tests.
    pub fn name(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::C => "c",
            Self::JavaScript => "js",
        }
    }

    /// How large its components are.
    pub fn profile(self) -> Profile {
        match self {
            Self::Python => Profile::Large,
            Self::C | Self::JavaScript => Profile::Ordinary,
        }
    }

    /// What has to be there to build it.
    fn needs(self) -> &'static str {
        match self {
            Self::Python | Self::C => "python3 and PyPI",
            Self::JavaScript => "node, npm and its registry",
        }
    }

    /// Whether the component is built. Says so where it is not, and why that may be.
    ///
    /// # Panics
    ///
    /// When it is not built, and the environment requires it.
    pub fn is_built(self) -> bool {
        let path = self.component();
        if path.is_file() {
            return true;
        }
        let needs = self.needs();
        let advice = format!("build it with `cargo xtask guests --languages`, which needs {needs}");
        let required = std::env::var_os(REQUIRED_VARIABLE).is_some();
        assert!(!required, "{} is not built: {advice}", path.display());
        eprintln!("skipped: {} is not built; {advice}", path.display());
        false
    }

    /// The component.
    pub fn component(self) -> PathBuf {
        let file = format!("kv-{}.wasm", self.name());
        target_directory().join("languages").join(file)
    }

    /// A registration of the engine in this language, in the harness's mode, once its file is in the plugin directory.
    ///
    /// # Panics
    ///
    /// When it is not built.
    pub fn manifest(self, harness: &Harness) -> Manifest {
        let bytes = std::fs::read(self.component()).expect("the component is built");
        let digest = harness.place(Guest::Kv.name(), &bytes);
        Manifest {
            profile: Some(self.profile()),
            ..harness.manifest(Guest::Kv, digest)
        }
    }

    /// Registers the engine in this language and enables it at the path where the one in Rust would be.
    ///
    /// # Panics
    ///
    /// When that fails.
    pub async fn mount(self, harness: &Harness) {
        let registered = harness.runtime.register(self.manifest(harness)).await;
        registered.expect("the component can be registered");
        let mount = harness.enable(Guest::Kv.name(), Guest::Kv, &[]).await;
        mount.expect("the component can be enabled");
    }
}
