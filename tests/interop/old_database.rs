//! A plugin of 2021, on go-plugin 1.0 and with mutual TLS: it lacks the service for what is printed, and makes its socket
//! among its temporary files, wherever its host would have it.

use std::sync::Arc;

use palisade_demo::built;
use palisade_runtime::ErrorKind;
use palisade_runtime::catalog::Manifest;
use palisade_runtime::contract::PluginType;
use palisade_runtime::driver::DatabasePlugin;
use palisade_tests::Harness;
use serde_json::json;

use crate::database::{again, check_life, soon, start};
use crate::peers::{OLD_DATABASES, Peer, cases, manifest, register};

cases! {
    CASES for OLD_DATABASES;
    a_plugin_of_go_plugin_1_0_starts_is_pinged_and_shuts_down,
    what_it_prints_after_its_handshake_does_no_harm,
    where_its_entry_names_another_place_for_its_sockets_it_is_refused,
}

async fn a_plugin_of_go_plugin_1_0_starts_is_pinged_and_shuts_down(h: Harness, peer: Peer) {
    assert!(is_built_with(
        peer,
        "github.com/hashicorp/go-plugin\tv1.0.1"
    ));
    let plugin = launch(&h, peer).await;
    assert!(!plugin.multiplexes());
    check_life(&plugin, peer).await;
}

/// It goes nowhere: this go-plugin gives a plugin pipes of its own to print to, and nobody the other ends.
async fn what_it_prints_after_its_handshake_does_no_harm(h: Harness, peer: Peer) {
    let plugin = launch(&h, peer).await;
    let config = json!({ "print": "said aloud\n1|5|unix|/elsewhere|grpc|" });
    let database = start(&plugin, config).await.unwrap();
    plugin.ping(soon()).await.unwrap();
    assert_eq!(database.ask_kind(soon()).await.unwrap(), peer.name());
}

/// It knows no other place for its socket than that for its temporary files.
async fn where_its_entry_names_another_place_for_its_sockets_it_is_refused(h: Harness, peer: Peer) {
    let manifest = Manifest {
        env: vec!["TMPDIR=/tmp".to_owned()],
        ..manifest(&h, peer, PluginType::Database, &[])
    };
    h.runtime.register(manifest).await.unwrap();
    let name = peer.name().parse().unwrap();
    let error = h.runtime.launch_database(&name, None).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::LaunchFailed);
    let text = error.to_string();
    for part in ["listens at /tmp/plugin", "PLUGIN_UNIX_SOCKET_DIR"] {
        assert!(text.contains(part), "{text}");
    }
}

/// As it is: the first start finds out where its socket is, and the second knows.
async fn launch(h: &Harness, peer: Peer) -> Arc<dyn DatabasePlugin> {
    register(h, peer, PluginType::Database, &[]).await;
    drop(again(h, peer).await);
    again(h, peer).await
}

/// Whether the peer's executable names this version of a module among those that it was built of.
fn is_built_with(peer: Peer, module: &str) -> bool {
    let executable = std::fs::read(built::peer(peer.name())).unwrap();
    let mut places = executable.windows(module.len());
    places.any(|place| place == module.as_bytes())
}
