//! What an operator registered, and the bytes on disk that belong to it.
//!
//! Registering reads and never runs anything. The catalog knows neither the drivers nor the lifecycle.

mod artifact;
mod entry;
mod manifest;

pub use artifact::{PluginDirectory, Verified};
pub use entry::{Entry, EntryKey, EntrySummary};
pub use manifest::Manifest;

use std::sync::Arc;

use palisade_contract::Plugin;

/// What a launch runs.
#[derive(Clone)]
pub enum Program {
    /// A plugin linked into the server.
    Builtin(Arc<dyn Plugin>),
    /// The very bytes that were hashed.
    Verified(Verified),
}
