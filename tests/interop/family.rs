//! A process that does not want to end, and one that it has left behind: whatever ends the plugin ends both.
//!
//! What is left behind is nobody's child, leads a session of its own, ignores every gentle signal and holds the plugin's
//! standard output and error.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use palisade_runtime::Timeouts;
use palisade_runtime::contract::PluginType;
use palisade_tests::{Harness, reaped};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::peers::{FAMILY, Peer, cases, enable, manifest, processes_with};

/// How often the plugin is told to leave somebody behind until somebody is seen. Whoever is nobody's child is ended when
/// any plugin of the spawner ends, and other tests have plugins.
const TRIES: usize = 50;

cases! {
    CASES for FAMILY;
    a_stop_ends_a_stubborn_family_within_its_grace_and_a_second,
    a_kill_ends_what_was_left_behind_within_a_second,
    a_shutdown_ends_a_stubborn_family_within_its_grace_and_a_second,
}

async fn a_stop_ends_a_stubborn_family_within_its_grace_and_a_second(h: Harness, peer: Peer) {
    let family = start(&h, peer, "stop").await;
    let since = Instant::now();
    h.disable("p").await.unwrap();
    family
        .ends_by(since + grace() + Duration::from_secs(1))
        .await;
}

async fn a_kill_ends_what_was_left_behind_within_a_second(h: Harness, peer: Peer) {
    let family = start(&h, peer, "kill").await;
    let since = Instant::now();
    kill_process(family.plugin, Signal::KILL).unwrap();
    family.ends_by(since + Duration::from_secs(1)).await;
}

async fn a_shutdown_ends_a_stubborn_family_within_its_grace_and_a_second(h: Harness, peer: Peer) {
    let family = start(&h, peer, "shutdown").await;
    let since = Instant::now();
    h.shutdown().await;
    family
        .ends_by(since + grace() + Duration::from_secs(1))
        .await;
}

/// The plugin's process, and all that have its mark.
struct Family {
    mark: String,
    plugin: Pid,
    members: HashSet<Pid>,
}

impl Family {
    async fn ends_by(self, deadline: Instant) {
        for &process in &self.members {
            let gone = tokio::time::timeout_at(deadline.into(), reaped(process)).await;
            assert!(gone.is_ok(), "process {process:?} lives on");
        }
        assert_eq!(processes_with(&self.mark), HashSet::new());
    }
}

async fn start(h: &Harness, peer: Peer, test: &str) -> Family {
    let mark = format!("INTEROP_MARK={test}-{}", std::process::id());
    let mut manifest = manifest(h, peer, PluginType::Secret, &[]);
    manifest.env = vec!["FAMILY_STUBBORN=1".to_owned(), mark.clone()];
    h.runtime.register(manifest).await.unwrap();
    let plugin = enable(h, peer, "p").await.process_id.unwrap();
    let plugin = Pid::from_raw(plugin.cast_signed()).unwrap();
    for _ in 0..TRIES {
        // It may be ended before it has told its number.
        let _ = h.write("p/spawn", Value::Null).await;
        let members = processes_with(&mark);
        if members.len() > 1 {
            assert!(members.contains(&plugin), "{plugin:?}: {members:?}");
            return Family {
                mark,
                plugin,
                members,
            };
        }
    }
    panic!("the plugin leaves nobody behind")
}

fn grace() -> Duration {
    Timeouts::default().grace
}
