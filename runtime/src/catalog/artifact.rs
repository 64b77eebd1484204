//! The plugin directory as a capability, and the only maker of [`Verified`].

use std::path::Path;
use std::sync::Arc;

use crate::{Digest, RegisterError, RuntimeKind};

/// The plugin directory, opened once; files are opened beneath it with no symlink followed.
#[derive(Clone)]
pub struct PluginDirectory(Arc<std::os::fd::OwnedFd>);

impl PluginDirectory {
    /// Opens the directory at an absolute path that is no symlink.
    pub fn open(_path: &Path) -> Result<Self, RegisterError> {
        todo!()
    }
}

/// Bytes that matched their digest, held so that they cannot change: a sealed memory file for a process, private
/// memory for a component.
#[derive(Clone)]
pub struct Verified {
    inner: Arc<Inner>,
}

struct Inner {
    digest: Digest,
    runtime: RuntimeKind,
    sealed: std::os::fd::OwnedFd,
    size: u64,
}

impl Verified {
    /// What the bytes hash to.
    pub fn digest(&self) -> Digest {
        self.inner.digest
    }

    /// How they run.
    pub fn runtime(&self) -> RuntimeKind {
        self.inner.runtime
    }

    /// How many they are.
    pub fn size(&self) -> u64 {
        self.inner.size
    }

    /// The sealed memory file (write, shrink, grow and seal are sealed) that holds them.
    pub fn sealed(&self) -> &std::os::fd::OwnedFd {
        &self.inner.sealed
    }
}
