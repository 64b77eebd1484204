//! A plugin of old, whose full launch takes a wrapping token: it is asked what it is, and the error says what to do.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use palisade_runtime::contract::PluginType;
use palisade_runtime::{ErrorKind, LaunchError, MountError, NewMount};
use palisade_tests::{Harness, reaped};
use rustix::process::Pid;

use crate::peers::{PROTOCOL_FOUR, Peer, cases, manifest, processes_with};

cases! {
    CASES for PROTOCOL_FOUR;
    an_old_plugin_tells_what_it_is_and_the_error_what_to_do,
    one_that_ends_for_want_of_a_token_is_known_by_its_last_words,
}

async fn an_old_plugin_tells_what_it_is_and_the_error_what_to_do(h: Harness, peer: Peer) {
    check(&h, peer, "automtls", &[]).await;
}

async fn one_that_ends_for_want_of_a_token_is_known_by_its_last_words(h: Harness, peer: Peer) {
    check(&h, peer, "token", &["-before-automtls"]).await;
}

async fn check(h: &Harness, peer: Peer, mark: &str, args: &[&str]) {
    let mark = format!("INTEROP_MARK={mark}-{}", std::process::id());
    let mut manifest = manifest(h, peer, PluginType::Secret, args);
    manifest.env.push(mark.clone());
    h.runtime.register(manifest).await.unwrap();
    let mut processes = HashSet::new();
    // One is to run and one is asked. On a busy machine both may be gone before either was seen, and the next try tells.
    while processes.is_empty() {
        let (refused, seen) = enabled_under_watch(h, peer, &mark).await;
        check_error(&refused);
        assert!(h.runtime.mounts().is_empty());
        processes = seen;
    }
    for process in processes {
        reaped(process).await;
    }
    assert_eq!(processes_with(&mark), HashSet::new());
}

fn check_error(refused: &MountError) {
    let MountError::Launch(LaunchError::OldProtocol {
        version: 4,
        description: Some(description),
        ..
    }) = refused
    else {
        panic!("{refused}")
    };
    assert_eq!(description.plugin_type, PluginType::Secret);
    assert_eq!(description.special_paths.unauthenticated, ["special"]);
    assert_eq!(refused.kind(), ErrorKind::LaunchFailed);
    let text = refused.to_string();
    for part in [
        "protocol-four speaks version 4 of the backend protocol",
        "of type secret and of version \"v0.0.0+mock\"",
        "takes a wrapping token",
        "`plugin.ServeMultiplex`",
    ] {
        assert!(text.contains(part), "{text}");
    }
}

/// Enables the peer, and tells which processes with that variable there were meanwhile.
async fn enabled_under_watch(h: &Harness, peer: Peer, mark: &str) -> (MountError, HashSet<Pid>) {
    let mount = NewMount {
        plugin: peer.name().to_owned(),
        ..NewMount::default()
    };
    // On a thread of its own: it has to look while the processes come and go.
    let over = Arc::new(AtomicBool::new(false));
    let watch = {
        let (over, mark) = (Arc::clone(&over), mark.to_owned());
        std::thread::spawn(move || {
            let mut seen = HashSet::new();
            while !over.load(Ordering::Relaxed) {
                seen.extend(processes_with(&mark));
            }
            seen
        })
    };
    let outcome = h.runtime.enable("p".parse().unwrap(), mount).await;
    over.store(true, Ordering::Relaxed);
    (outcome.unwrap_err(), watch.join().unwrap())
}
