//! Where compiled components outlive a restart, and whose key proves that they are unchanged. An embedder's choice.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use zeroize::Zeroizing;

/// What compiled code is authenticated with.
pub type CodeKey = Zeroizing<[u8; 32]>;

/// Gives the key from behind the barrier, for as long as that is open.
pub trait CodeKeys: Send + Sync {
    /// The key; nothing while sealed. It is asked for anew at each use, so that sealing takes effect at once.
    fn key(&self) -> Option<CodeKey>;
}

/// A folder for compiled components.
#[derive(Clone)]
pub struct CodeCache {
    /// The folder: made with mode 0700 when it is not there. One that others can touch is not used.
    pub folder: PathBuf,
    /// What all files in it may have together, in bytes. Those that were not used for the longest time go first.
    pub bytes_max: u64,
    /// The key.
    pub keys: Arc<dyn CodeKeys>,
}

impl CodeCache {
    /// The default of `bytes_max`: some hundred components.
    pub const BYTES_MAX: u64 = 512 << 20;
}

impl fmt::Debug for CodeCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CodeCache")
            .field("folder", &self.folder)
            .field("bytes_max", &self.bytes_max)
            .finish_non_exhaustive()
    }
}
