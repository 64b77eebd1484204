//! The plugin half of go-plugin: serves a [`Plugin`] as a native process to Palisade, OpenBao or Vault.
//!
//! A plugin's `main` is one call:
//!
//! ```no_run
//! # fn my_plugin() -> std::sync::Arc<dyn palisade_contract::Plugin> { unimplemented!() }
//! fn main() -> std::process::ExitCode {
//!     palisade_native_shim::serve(my_plugin())
//! }
//! ```
//!
//! What a plugin prints afterwards reaches the host's log: its standard output through go-plugin's stdio stream, its
//! standard error as it is. A panic while a call is answered becomes an internal error of that call, and the process lives.

mod accept;
mod aside;
mod broker;
mod channel;
mod guard;
mod instances;
mod listener;
mod log;
mod parent;
mod process;
mod remote;
mod server;
mod services;
mod stdout;
mod stop;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use palisade_contract::Plugin;
use palisade_protocol::cert::CertError;
use palisade_protocol::env::EnvError;

/// How long tasks that outlive the server may take to be dropped.
const RUNTIME_GRACE: Duration = Duration::from_millis(100);

/// Serves `plugin` until the host ends it, and returns what `main` returns.
///
/// Call it first in `main`, before anything starts a thread: it takes the launch's variables out of the environment.
/// Started by hand, the program says on standard error that it is a plugin and fails.
pub fn serve(plugin: Arc<dyn Plugin>) -> ExitCode {
    match run(plugin) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            log::complain(&fault);
            ExitCode::FAILURE
        }
    }
}

fn run(plugin: Arc<dyn Plugin>) -> Result<(), StartError> {
    let env = process::take_environment()?;
    log::install_panic_hook();
    let stdout = process::take_stdout().map_err(StartError::Stdout)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(StartError::Runtime)?;
    let outcome = runtime.block_on(server::run(plugin, env, stdout));
    runtime.shutdown_timeout(RUNTIME_GRACE);
    outcome
}

/// Why a plugin could not begin to serve.
#[derive(Debug, thiserror::Error)]
enum StartError {
    #[error(transparent)]
    Env(#[from] EnvError),
    #[error(
        "the host gave no certificate in PLUGIN_CLIENT_CERT. This plugin is served over mutual TLS only: use a host that \
         offers protocol version 5 with AutoMTLS"
    )]
    NoCertificate,
    #[error(transparent)]
    Certificate(#[from] CertError),
    #[error("cannot take over standard output: {0}")]
    Stdout(#[source] std::io::Error),
    #[error("cannot start the runtime: {0}")]
    Runtime(#[source] std::io::Error),
    #[error("cannot listen: {0}")]
    Listen(#[from] listener::ListenError),
    #[error("cannot print the handshake line: {0}")]
    Announce(#[source] std::io::Error),
}
