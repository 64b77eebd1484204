//! A plugin in its own process, seen from a host that is written here: handshake, mutual TLS, callbacks, end.
//!
//! The executable is both. Started with the cookie it serves the plugin in `plugin.rs`; otherwise it runs the cases.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the verdict")]

mod cases;
mod host;
mod plugin;
mod services;

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Trial};

fn main() -> ExitCode {
    if std::env::var_os(palisade_protocol::env::COOKIE_NAME).is_some() {
        return palisade_native_shim::serve(Arc::new(plugin::TestPlugin));
    }
    // For the case that starts a plugin by hand.
    if std::env::var_os(host::BY_HAND).is_some() {
        return palisade_native_shim::serve(Arc::new(plugin::TestPlugin));
    }
    let trials = cases::all()
        .into_iter()
        .map(|(name, case)| {
            Trial::test(name, move || {
                case();
                Ok(())
            })
        })
        .collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
