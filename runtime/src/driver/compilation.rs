//! How far the compilation of an artifact is, and how those of a server went, for people and for figures.

use std::time::{Duration, SystemTime};

/// Where one artifact is on its way to code that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Compilation {
    /// In line behind others.
    Waiting {
        /// Since when.
        since: SystemTime,
    },
    /// In its worker.
    Compiling {
        /// Since when.
        since: SystemTime,
    },
    /// Ready to run.
    Compiled {
        /// Since when.
        since: SystemTime,
        /// How long that took, without waiting in line.
        took: Duration,
        /// Whether it was compiled before, and lay on disk.
        from_disk: bool,
    },
    /// Not ready; the next start tries again.
    Failed {
        /// Since when.
        since: SystemTime,
        /// Why.
        fault: String,
    },
}

impl Compilation {
    /// The word in listings.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Waiting { .. } => "waiting",
            Self::Compiling { .. } => "compiling",
            Self::Compiled { .. } => "compiled",
            Self::Failed { .. } => "failed",
        }
    }

    /// Since when it is there.
    pub fn since(&self) -> SystemTime {
        match self {
            Self::Waiting { since }
            | Self::Compiling { since }
            | Self::Compiled { since, .. }
            | Self::Failed { since, .. } => *since,
        }
    }

    /// Whether nothing more happens by itself.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self, Self::Compiled { .. } | Self::Failed { .. })
    }
}

/// How all compilations of a server went since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CompilationCounts {
    /// Under way now.
    pub compiling: u64,
    /// In line now.
    pub waiting: u64,
    /// Done.
    pub compiled: u64,
    /// Failed.
    pub failed: u64,
    /// Turned away, because the line was full.
    pub turned_away: u64,
    /// Found on disk, and not compiled.
    pub disk_hits: u64,
    /// Not found there.
    pub disk_misses: u64,
    /// Found there and not used: changed, cut short, swapped, or of another version or key.
    pub disk_rejections: u64,
}
