//! A plugin that misbehaves on purpose, to prove that nobody else is harmed.

mod echo;
mod store;

use palisade_plugin::{Backend, Host, PluginError, Router, SetupConfig};

palisade_plugin::plugin! {
    type: secret,
    version: "v0.1.0",
    setup: setup,
}

/// What a mount remembers in memory.
struct Hostile;

async fn setup(_: SetupConfig, _: &dyn Host) -> Result<Box<dyn Backend>, PluginError> {
    Router::new(Hostile)
        .help("Misbehaves on purpose, path by path.")
        .path(echo::path())
        .path(store::path())
        .build()
}
