//! The mock plugin of the Go SDKs, path for path, so that one suite runs on theirs and on ours in every mode.
//!
//! | path | what it does |
//! |---|---|
//! | `kv/NAME` | writes, reads and deletes one text |
//! | `kv/` | lists the names |
//! | `special` | needs no token |
//! | `raw` | answers with a status, a content type and a body of its own |
//! | `internal` | writes and reads a text in memory, which a change of the key `internal` empties |
//! | `errors/rpc`, `errors/kill` | fail with the text of a connection that is shut down |
//! | `errors/type` | fails with the kind of error that `err_type` numbers |

mod errors;
mod kv;
mod memory;
mod plain;

use palisade_plugin::{Backend, Host, PluginError, Router, SetupConfig, SpecialPaths};

use crate::memory::Memory;

palisade_plugin::plugin! {
    type: secret,
    version: "v0.0.0+mock",
    special_paths: special_paths(),
    setup: setup,
}

async fn setup(_: SetupConfig, _: &dyn Host) -> Result<Box<dyn Backend>, PluginError> {
    Router::new(Memory::default())
        .help("The reference plugin of the conformance suite.")
        .invalidate(Memory::invalidate)
        .path(kv::list_path())
        .path(kv::path())
        .path(plain::special_path())
        .path(plain::raw_path())
        .path(memory::path())
        .paths(errors::paths())
        .build()
}

fn special_paths() -> SpecialPaths {
    SpecialPaths {
        unauthenticated: vec!["special".to_owned()],
        ..SpecialPaths::default()
    }
}
