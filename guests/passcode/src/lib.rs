//! Logs people in by a name and a passcode, as small as an auth plugin can be.
//!
//! | path | what it does |
//! |---|---|
//! | `users/NAME` | writes, reads and removes a user: a code, policies, how long a login lasts |
//! | `users/` | lists the users |
//! | `login/NAME` | needs no token; answers a right code with a login |
//!
//! It shows what an auth plugin has that a secrets plugin has not: a path without a token, the `Auth` of an answer, the
//! look-ahead at an alias, and the renewal of a login.

mod code;
mod login;
mod user;

use palisade_plugin::{Backend, Host, PluginError, Router, SetupConfig, SpecialPaths};

palisade_plugin::plugin! {
    type: auth,
    version: "v0.1.0",
    special_paths: special_paths(),
    setup: setup,
}

/// A mount has nothing to remember: everything is in storage.
struct Passcode;

async fn setup(_: SetupConfig, _: &dyn Host) -> Result<Box<dyn Backend>, PluginError> {
    Router::new(Passcode)
        .help("Logs people in by a name and a passcode.")
        .path(user::list_path())
        .path(user::path())
        .path(login::path())
        .renew(login::renew)
        .build()
}

fn special_paths() -> SpecialPaths {
    SpecialPaths {
        unauthenticated: vec!["login/*".to_owned()],
        ..SpecialPaths::default()
    }
}

#[cfg(test)]
mod tests;
