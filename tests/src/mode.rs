//! The ways to run one plugin, which all have to behave alike.

use palisade_runtime::{Isolation, RuntimeKind};

/// One way to run a plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Linked into the host.
    Builtin,
    /// A process that speaks go-plugin.
    Native,
    /// A component with a fresh store for each request.
    WasmCall,
    /// A component with a pool of long-lived stores.
    WasmMount,
}

impl Mode {
    /// All of them, in the order of listings.
    pub const ALL: [Self; 4] = [Self::Builtin, Self::Native, Self::WasmCall, Self::WasmMount];

    /// The word in names of tests.
    pub fn name(self) -> &'static str {
        match self {
            Self::Builtin => "builtin",
            Self::Native => "native",
            Self::WasmCall => "wasm_call",
            Self::WasmMount => "wasm_mount",
        }
    }

    /// The runtime that a mount in this mode must report.
    pub fn runtime(self) -> RuntimeKind {
        match self {
            Self::Builtin => RuntimeKind::Builtin,
            Self::Native => RuntimeKind::Native,
            Self::WasmCall | Self::WasmMount => RuntimeKind::Wasm,
        }
    }

    /// How a component's requests are kept apart.
    pub fn isolation(self) -> Option<Isolation> {
        match self {
            Self::WasmCall => Some(Isolation::Call),
            Self::WasmMount => Some(Isolation::Mount),
            Self::Builtin | Self::Native => None,
        }
    }

    /// Whether it is a component.
    pub fn is_wasm(self) -> bool {
        self.runtime() == RuntimeKind::Wasm
    }
}
