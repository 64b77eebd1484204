//! The walls around a process, and the order in which a child puts them up around itself.
//!
//! A wall is a [`Layer`]. Which of them this machine has is not read from version numbers but tried, by [`probe`]; what
//! was found to hold is asked for at every start, and a start at which one of them cannot be put up fails.

mod cgroup;
mod landlock;
mod mounts;
mod namespaces;
mod paths;
pub(super) mod probe;
mod seccomp;
mod user;

use std::collections::BTreeSet;
use std::ffi::CStr;
use std::fmt;
use std::os::fd::OwnedFd;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::GrammarError;

pub(super) use cgroup::{Cgroups, Group};
pub(super) use namespaces::{map_user, namespaces};
pub use paths::MachineFiles;

/// One wall around a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "&str", try_from = "String")]
pub enum Layer {
    /// A cap on the memory of a process and all its descendants.
    MemoryLimit,
    /// A cap on their number, threads included.
    ProcessLimit,
    /// Their share of the processors when those are busy.
    CpuWeight,
    /// All of them can be killed at once, whatever they did to get away.
    GroupKill,
    /// A user of its own.
    User,
    /// A file system of its own: libraries to read, one folder to write.
    MountNamespace,
    /// It sees its own descendants only, and they end with it.
    ProcessNamespace,
    /// No shared memory or queues with others.
    IpcNamespace,
    /// No network unless granted.
    NetworkNamespace,
    /// Files outside its own cannot be opened.
    LandlockFiles,
    /// No TCP unless granted.
    LandlockNetwork,
    /// No signal to others, and no abstract socket of theirs.
    LandlockSignals,
    /// The system calls that a plugin has no use for are refused.
    Seccomp,
}

impl Layer {
    /// All of them, in the order in which they are listed.
    pub const ALL: [Self; 13] = [
        Self::MemoryLimit,
        Self::ProcessLimit,
        Self::CpuWeight,
        Self::GroupKill,
        Self::User,
        Self::MountNamespace,
        Self::ProcessNamespace,
        Self::IpcNamespace,
        Self::NetworkNamespace,
        Self::LandlockFiles,
        Self::LandlockNetwork,
        Self::LandlockSignals,
        Self::Seccomp,
    ];

    /// The word in configuration, status and errors.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MemoryLimit => "cgroup.memory",
            Self::ProcessLimit => "cgroup.pids",
            Self::CpuWeight => "cgroup.cpu",
            Self::GroupKill => "cgroup.kill",
            Self::User => "user",
            Self::MountNamespace => "namespace.mount",
            Self::ProcessNamespace => "namespace.pid",
            Self::IpcNamespace => "namespace.ipc",
            Self::NetworkNamespace => "namespace.net",
            Self::LandlockFiles => "landlock.files",
            Self::LandlockNetwork => "landlock.network",
            Self::LandlockSignals => "landlock.signals",
            Self::Seccomp => "seccomp",
        }
    }
}

impl From<Layer> for &str {
    fn from(layer: Layer) -> Self {
        layer.as_str()
    }
}

impl TryFrom<String> for Layer {
    type Error = GrammarError;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        name.parse()
    }
}

impl FromStr for Layer {
    type Err = GrammarError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|layer| layer.as_str() == name);
        found.ok_or_else(|| {
            let names = Self::ALL.map(Self::as_str).join(", ");
            GrammarError::new("layer", name, &format!("there are {names}"))
        })
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What one process is walled in by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sandbox {
    /// The walls to put up.
    pub layers: BTreeSet<Layer>,
    /// The user and group that it becomes, with [`Layer::User`].
    pub user: u32,
    /// Memory of it and its descendants, in bytes.
    pub memory_bytes: u64,
    /// Processes and threads of it and its descendants.
    pub processes: u32,
    /// Its share of busy processors; 100 is everybody's.
    pub cpu_weight: u32,
    /// Whether it may use the network.
    pub network: bool,
    /// Whether it finds itself as a file, so that it can execute itself again. Needs [`Layer::MountNamespace`].
    pub as_file: bool,
}

impl Sandbox {
    /// Whether this wall is asked for.
    pub(super) fn has(&self, layer: Layer) -> bool {
        self.layers.contains(&layer)
    }

    /// The user that the process becomes, if it becomes another.
    pub(crate) fn own_user(&self) -> Option<u32> {
        self.has(Layer::User).then_some(self.user)
    }

    /// Where the image is a file, if it is to be one.
    pub(super) fn image_path(&self) -> Option<&'static CStr> {
        (self.as_file && self.has(Layer::MountNamespace)).then_some(paths::ITSELF)
    }
}

/// Puts the walls up around this process, a fresh child with one thread; `folder` is the one it may write to, and `image`
/// what it will execute.
///
/// In the order that leaves no window: the file system is built while that is permitted, then the privileges go, then
/// what needs none is given up.
///
/// # Errors
///
/// Which wall could not be put up, and why.
pub(super) fn enter(
    sandbox: &Sandbox,
    folder: Option<&str>,
    image: Option<&OwnedFd>,
) -> Result<(), String> {
    if sandbox.has(Layer::MountNamespace) {
        mounts::enter(sandbox, folder, image).map_err(at(Layer::MountNamespace.as_str()))?;
    }
    user::enter(sandbox).map_err(at(Layer::User.as_str()))?;
    landlock::enter(sandbox, folder).map_err(at(Layer::LandlockFiles.as_str()))
}

/// The last wall: nothing that was needed to put up the others is permitted behind it.
///
/// # Errors
///
/// That it could not be put up, and why.
pub(super) fn enter_last(sandbox: &Sandbox) -> Result<(), String> {
    if !sandbox.has(Layer::Seccomp) {
        return Ok(());
    }
    seccomp::enter(sandbox.network).map_err(at(Layer::Seccomp.as_str()))
}

/// The walls of a process that has open whatever it needs: no file, no network, no other process, no code made of data.
///
/// # Errors
///
/// Which wall could not be put up, and why.
pub(super) fn close() -> Result<(), String> {
    landlock::close().map_err(at(Layer::LandlockFiles.as_str()))?;
    seccomp::close().map_err(at(Layer::Seccomp.as_str()))
}

/// Names the step that failed.
pub(super) fn at<E: fmt::Display>(step: &'static str) -> impl Fn(E) -> String {
    move |fault| format!("{step}: {fault}")
}
