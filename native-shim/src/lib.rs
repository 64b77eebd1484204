//! Placeholder.

use std::process::ExitCode;
use std::sync::Arc;

use palisade_contract::Plugin;

/// Serves the plugin until the host ends it.
pub fn serve(plugin: Arc<dyn Plugin>) -> ExitCode {
    let _ = plugin;
    ExitCode::FAILURE
}
