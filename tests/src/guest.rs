//! The guests in every build: linked in, as an executable, as a component.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use palisade_contract::{Plugin, PluginType};

use crate::Mode;

/// A plugin that the suites run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guest {
    /// The key-value engine.
    Kv,
    /// Misbehaves on purpose.
    Hostile,
    /// The Go SDKs' mock plugin, path for path.
    Mock,
    /// Logs in with a passcode.
    Passcode,
}

impl Guest {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Kv, Self::Hostile, Self::Mock, Self::Passcode];

    /// Its name in the catalog, which is also its executable's.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kv => "kv",
            Self::Hostile => "hostile",
            Self::Mock => "mock",
            Self::Passcode => "passcode",
        }
    }

    /// What it is for.
    pub fn plugin_type(self) -> PluginType {
        match self {
            Self::Kv | Self::Hostile | Self::Mock => PluginType::Secret,
            Self::Passcode => PluginType::Auth,
        }
    }

    /// Itself, linked in.
    pub fn plugin(self) -> Arc<dyn Plugin> {
        match self {
            Self::Kv => palisade_kv::plugin(),
            Self::Hostile => palisade_hostile::plugin(),
            Self::Mock => palisade_mock::plugin(),
            Self::Passcode => palisade_passcode::plugin(),
        }
    }

    /// The file that runs in a mode; none for a builtin.
    pub fn artifact(self, mode: Mode) -> Option<PathBuf> {
        match mode {
            Mode::Builtin => None,
            Mode::Native => Some(self.executable()),
            Mode::WasmCall | Mode::WasmMount => Some(self.component()),
        }
    }

    /// The native executable.
    pub fn executable(self) -> PathBuf {
        built(profile_directory().join(self.name()))
    }

    /// The component.
    pub fn component(self) -> PathBuf {
        built(component_directory().join(format!("palisade_{}.wasm", self.name())))
    }
}

/// Where components are built.
fn component_directory() -> PathBuf {
    target_directory().join("wasm32-wasip2").join("component")
}

/// Where everything is built.
pub(crate) fn target_directory() -> PathBuf {
    let profile = profile_directory();
    let target = profile.parent();
    let target = target.expect("a profile lies in the target directory");
    target.to_path_buf()
}

/// This executable is `<target>/<profile>/deps/<test>`.
fn profile_directory() -> PathBuf {
    let executable = std::env::current_exe().expect("a test knows where it is");
    executable
        .ancestors()
        .nth(2)
        .expect("cargo puts tests two folders deep")
        .to_path_buf()
}

fn built(path: PathBuf) -> PathBuf {
    let is_built = Path::is_file(&path);
    assert!(
        is_built,
        "{} is not built; run `cargo xtask guests`",
        path.display()
    );
    path
}
