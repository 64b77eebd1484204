//! Keeps a panic of the plugin inside the call that it happened in.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;
use palisade_contract::{PluginError, PluginErrorKind};

/// What the future gives, or an internal error when it panics. The panic's text is in the log, not in the answer.
pub(crate) async fn guarded<T>(
    what: &'static str,
    future: impl Future<Output = Result<T, PluginError>>,
) -> Result<T, PluginError> {
    // What the plugin left half done is its own state, which the trait lets it share between calls anyway.
    AssertUnwindSafe(future)
        .catch_unwind()
        .await
        .unwrap_or_else(|_| Err(panicked(what)))
}

fn panicked(what: &'static str) -> PluginError {
    PluginError::new(
        PluginErrorKind::Internal,
        format!("the plugin panicked in {what}; its log says where"),
    )
}
