//! OpenBao's key-value store, version 2, as a plugin: every write makes a new version, old ones stay readable.
//!
//! This is the example to copy. Each file has one idea:
//!
//! | file | idea |
//! |---|---|
//! | `config` | the mount's settings, cached in memory |
//! | `record` | what is stored: a key's metadata, and the data of each of its versions |
//! | `data` | `data/…`: read, write, patch, delete the newest |
//! | `versions` | `delete/…`, `undelete/…`, `destroy/…`: by version number |
//! | `metadata` | `metadata/…`: list keys, read and change what is known of a key, remove it whole |
//! | `custom_metadata` | the texts that people attach to a key |
//! | `subkeys` | `subkeys/…`: the shape of the data without its values |
//! | `merge` | JSON merge patch |
//! | `invalid` | a helpful answer to every other path |
//!
//! Paths, answers, error texts and warnings are OpenBao's, so its command line and its client libraries work.
//! Data is kept as the text that the client sent, so a number of thirty digits comes back as it was.

mod config;
mod custom_metadata;
mod data;
mod fields;
mod invalid;
mod merge;
mod metadata;
mod moment;
mod record;
mod subkeys;
mod versions;

use palisade_plugin::{Backend, Host, PluginError, Router, SetupConfig, SpecialPaths};

use crate::config::ConfigCache;

palisade_plugin::plugin! {
    type: secret,
    // Empty: the operator's registration names the version, so one build serves under any.
    version: "",
    special_paths: special_paths(),
    setup: setup,
}

/// What a mount remembers in memory.
struct Kv {
    config: ConfigCache,
}

async fn setup(_: SetupConfig, _: &dyn Host) -> Result<Box<dyn Backend>, PluginError> {
    let kv = Kv {
        config: ConfigCache::default(),
    };
    Router::new(kv)
        .help(
            "A key-value store with versions. Every write of a key makes a new version, as many as\n\
             the key or the mount keeps; each can be read, deleted, restored and destroyed by its\n\
             number.",
        )
        .invalidate(|kv: &Kv, key| kv.config.invalidate(key))
        .path_at("config", config::path)
        .path_at("data/", data::path)
        .path_at("metadata/", metadata::path)
        .path_at("delete/", versions::delete_path)
        .path_at("undelete/", versions::undelete_path)
        .path_at("destroy/", versions::destroy_path)
        .path_at("subkeys/", subkeys::path)
        // The first path that matches answers, so this one comes last.
        .path_at("", invalid::path)
        .build()
}

/// The data itself is sealed twice where the server can do that; and no read of this plugin changes anything.
fn special_paths() -> SpecialPaths {
    SpecialPaths {
        seal_wrap_storage: vec![record::VERSIONS.to_owned()],
        safe_reads: vec!["*".to_owned()],
        ..SpecialPaths::default()
    }
}

#[cfg(test)]
mod tests;
