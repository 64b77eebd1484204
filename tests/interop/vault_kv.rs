//! Vault's own key-value engine, unchanged does what ours does.

use std::time::{Duration, Instant};

use palisade_runtime::NewMount;
use palisade_runtime::contract::PluginType;
use palisade_tests::{Harness, corpus, texts};

use crate::peers::{Peer, VAULT_KV, cases, enable_as, register};

macro_rules! with_vaults_engine {
    ($($name:ident),* $(,)?) => {
        cases! { CASES for VAULT_KV; $($name),* }

        $(async fn $name(h: Harness, peer: Peer) {
            mount_kv(&h, peer).await;
            corpus::$name(h).await;
        })*
    };
}

palisade_tests::kv_corpus!(with_vaults_engine);

/// Enables its version 2, and waits until it has found out that there is nothing of version 1 to take over.
async fn mount_kv(h: &Harness, peer: Peer) {
    register(h, peer, PluginType::Secret, &[]).await;
    let mount = NewMount {
        options: texts(&[("version", "2")]),
        ..NewMount::default()
    };
    enable_as(h, peer, "kv", mount).await;
    let begun = Instant::now();
    while let Err(error) = h.read("kv/config").await {
        assert!(begun.elapsed() < Duration::from_secs(10), "{error}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
