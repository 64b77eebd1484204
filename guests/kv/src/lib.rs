//! Placeholder.
use palisade_plugin::{Backend, Host, PluginError, Router, SetupConfig};
palisade_plugin::plugin! { type: secret, version: "", setup: setup }
async fn setup(_: SetupConfig, _: &dyn Host) -> Result<Box<dyn Backend>, PluginError> {
    Router::new(()).build()
}
