//! What an operator says when registering, before anything of it is believed.

use palisade_contract::PluginType;

use crate::{Isolation, RuntimeKind};

/// A registration as it arrives. [`Entry`](super::Entry) is what becomes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// What the plugin is for.
    pub plugin_type: PluginType,
    /// Its name in the catalog.
    pub name: String,
    /// Its version; empty for none.
    pub version: String,
    /// The file beneath the plugin directory; empty for one named like the plugin.
    pub command: String,
    /// Arguments for a native plugin.
    pub args: Vec<String>,
    /// Environment for a native plugin, each `NAME=value`; its whole environment besides what the protocol sets.
    pub env: Vec<String>,
    /// The SHA-256 of the file, in hexadecimal.
    pub sha256: String,
    /// How to run it; found from the artifact when not stated, refused when it contradicts it.
    pub runtime: Option<RuntimeKind>,
    /// How a component's requests are kept apart.
    pub isolation: Option<Isolation>,
}
