//! What becomes of a process that dies, of what it was about to write, and of one whose server dies.

use std::time::{Duration, Instant};

use palisade_runtime::CallError;

use super::{Host, await_end, kill, start_server};

/// The machine may be busy: the best of so many tries counts.
const TRIES: usize = 5;

trials!["supervision::";
    a_death_is_noticed_within_a_tenth_of_a_second,
    a_death_within_a_transaction_leaves_nothing_of_it,
    the_death_of_the_server_ends_the_plugin_within_two_seconds,
];

async fn a_death_is_noticed_within_a_tenth_of_a_second(host: Host) {
    let mut best = Duration::MAX;
    for _ in 0..TRIES {
        let plugin = host.launch().await;
        let process = plugin.pid();
        let begun = Instant::now();
        kill(process);
        assert_eq!(plugin.instance.exited().await.reason, "killed by signal 9");
        best = best.min(begun.elapsed());
    }
    assert!(best < Duration::from_millis(100), "{best:?}");
}

async fn a_death_within_a_transaction_leaves_nothing_of_it(host: Host) {
    let plugin = host.launch().await;
    let died = plugin.read("transaction/die").await;
    assert!(matches!(died, Err(CallError::Crashed { sent: true, .. })));
    let next = host.launch().await;
    assert_eq!(next.list("store/t/").await, Vec::<String>::new());
    // The control: the same writes, committed.
    next.read("transaction/commit").await.expect("it answers");
    assert_eq!(next.list("store/t/").await, ["a", "b"]);
}

async fn the_death_of_the_server_ends_the_plugin_within_two_seconds(_: Host) {
    let mut best = Duration::MAX;
    for _ in 0..TRIES {
        let (mut server, plugin) = start_server();
        let begun = Instant::now();
        server.kill().expect("the server can be killed");
        server.wait().expect("the server can be reaped");
        await_end(plugin).await;
        best = best.min(begun.elapsed());
        if best < Duration::from_secs(2) {
            return;
        }
    }
    panic!("{best:?}");
}
