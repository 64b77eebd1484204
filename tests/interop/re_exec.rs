//! A plugin that executes itself again by the path that it finds for itself: an entry says so, and what runs is still what
//! was hashed.

use palisade_runtime::ErrorKind;
use palisade_runtime::catalog::Manifest;
use palisade_runtime::contract::PluginType;
use palisade_runtime::{MountError, NewMount};
use palisade_tests::{Harness, reaped};
use rustix::process::{Signal, kill_process};
use serde_json::json;

use crate::peers::{Peer, RE_EXEC, cases, enable, manifest, process, register};

cases! {
    CASES for RE_EXEC;
    one_that_executes_itself_does_not_start_unless_its_entry_says_so,
    one_that_executes_itself_executes_the_bytes_that_were_hashed,
}

async fn one_that_executes_itself_does_not_start_unless_its_entry_says_so(h: Harness, peer: Peer) {
    register(&h, peer, PluginType::Secret, &[]).await;
    let mount = NewMount {
        plugin: peer.name().to_owned(),
        ..NewMount::default()
    };
    let refused = h.runtime.enable("p".parse().unwrap(), mount).await;
    let Err(MountError::Launch(error)) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(error.kind(), ErrorKind::LaunchFailed);
    // It says so itself.
    assert!(error.to_string().contains("re-exec: "), "{error}");
}

async fn one_that_executes_itself_executes_the_bytes_that_were_hashed(h: Harness, peer: Peer) {
    let manifest = Manifest {
        re_executes: true,
        ..manifest(&h, peer, PluginType::Secret, &[])
    };
    h.runtime.register(manifest).await.unwrap();
    enable(&h, peer, "p").await;
    let first = process(&h, "p");
    h.write("p/kv/a", json!({ "value": "kept" })).await.unwrap();
    // Whatever lies at its path now is not what it executes.
    h.place(peer.name(), b"\x7fELF of somebody else");
    kill_process(first, Signal::KILL).unwrap();
    reaped(first).await;
    assert_eq!(h.read("p/kv/a").await.unwrap()["value"], "kept");
    assert_ne!(process(&h, "p"), first);
}
