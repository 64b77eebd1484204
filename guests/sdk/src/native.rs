//! The same plugin as a native executable.

use std::process::ExitCode;
use std::sync::Arc;

use palisade_contract::Plugin;

/// Serves the plugin over go-plugin until the host ends it. The [`plugin!`](crate::plugin) macro calls this.
pub fn main(plugin: Arc<dyn Plugin>) -> ExitCode {
    palisade_native_shim::serve(plugin)
}
