//! A well-formed registration.

use palisade_contract::PluginType;

use crate::{
    Digest, Grants, Limits, PluginName, PluginVersion, ProcessOptions, Profile, RuntimeKind,
};

/// What identifies an entry.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryKey {
    /// What the plugin is for.
    pub plugin_type: PluginType,
    /// Its name.
    pub name: PluginName,
    /// Its version, if it was registered with one.
    pub version: Option<PluginVersion>,
}

/// What an operator registered, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What identifies it.
    pub key: EntryKey,
    /// The file beneath the plugin directory.
    pub command: String,
    /// What the file's bytes must hash to.
    pub sha256: Digest,
    /// How it runs.
    pub runtime: RuntimeKind,
    /// What it may use.
    pub limits: Limits,
    /// What it may do besides.
    pub grants: Grants,
    /// How the process of a native plugin is started; for a component only the environment is stated.
    pub process: ProcessOptions,
}

/// One line of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntrySummary {
    /// What the plugin is for.
    pub plugin_type: PluginType,
    /// Its name.
    pub name: String,
    /// Its version: empty, or with a leading `v`; a builtin's carries `+builtin.palisade`.
    pub version: String,
    /// How it runs.
    pub runtime: RuntimeKind,
    /// How large it may be, if it is a component.
    pub profile: Option<Profile>,
    /// The file's digest; none for a builtin.
    pub sha256: Option<Digest>,
    /// For a builtin, whether a registered entry of its name and type wins over it.
    pub shadowed: bool,
}
