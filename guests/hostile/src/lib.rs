//! A plugin that misbehaves on purpose, path by path, to prove that nobody else is harmed by it.
//!
//! It is written once and misbehaves the same way as a process and as a component, so that a test compares the two.
//! Besides that it has plain paths (`echo`, `store`, `tx`) that show what a plugin sees of its host.
//!
//! Mount options make it misbehave before the first request; see the module `options`.

mod cache;
mod die;
mod echo;
mod facts;
mod fail;
mod files;
mod options;
mod output;
mod store;
mod transaction;
mod write_then;

use std::sync::atomic::AtomicU64;

use palisade_plugin::{Backend, Host, PluginError, Router, SetupConfig, SpecialPaths};

use crate::cache::Cache;
use crate::options::Options;

palisade_plugin::plugin! {
    type: secret,
    version: "v0.1.0",
    special_paths: special_paths(),
    setup: setup,
}

/// What a mount remembers in memory.
struct Hostile {
    options: Options,
    cache: Cache,
    count: AtomicU64,
}

async fn setup(config: SetupConfig, host: &dyn Host) -> Result<Box<dyn Backend>, PluginError> {
    let options = Options::of(&config);
    options.misbehave_in_setup(host).await?;
    let hostile = Hostile {
        options,
        cache: Cache::default(),
        count: AtomicU64::new(0),
    };
    Router::new(hostile)
        .help("Misbehaves on purpose, path by path.")
        .initialize(options::initialize)
        .invalidate(|hostile: &Hostile, key| hostile.cache.forget(key))
        .path_at("echo", echo::path)
        .path_at("store/", store::path)
        .path_at("key", store::raw_path)
        .path_at("reads/", store::reads_path)
        .path_at("tx", transaction::path)
        .path_at("tx-race/", transaction::race_path)
        .path_at("write-then/", write_then::path)
        .path_at("fail/", fail::path)
        .path_at("files", files::path)
        .path_at("cache/", cache::path)
        .paths_at(&die::PATHS)
        .paths_at(&facts::PATHS)
        .paths_at(&output::PATHS)
        .build()
}

/// Some reads do no more than read; most do harm.
fn special_paths() -> SpecialPaths {
    SpecialPaths {
        safe_reads: ["echo*", "store/*", "wait"].map(str::to_owned).into(),
        ..SpecialPaths::default()
    }
}

#[cfg(test)]
mod tests;
