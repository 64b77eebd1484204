//! A Go process that nobody asks anything: nothing is sent to it, so that its server has no pings to complain of.

use std::time::Duration;

use palisade_tests::Harness;
use rustix::process::Pid;

use crate::peers::{BAO_PEERS, Peer, cases, mount, process};

/// How many seconds a process is left alone, if not as long as by default.
const SECONDS_VARIABLE: &str = "PALISADE_IDLE_SECONDS";

/// By default.
const SECONDS: u64 = 3;

/// What belongs to a request may come so long after its answer.
const SETTLING: Duration = Duration::from_millis(500);

cases! {
    CASES for BAO_PEERS;
    nothing_is_sent_to_a_process_that_is_left_alone,
}

/// How long a process is left alone.
pub(crate) fn time() -> Duration {
    let stated = std::env::var(SECONDS_VARIABLE);
    let seconds = stated.map_or(SECONDS, |seconds| {
        seconds.parse().expect("a number of seconds")
    });
    Duration::from_secs(seconds)
}

async fn nothing_is_sent_to_a_process_that_is_left_alone(h: Harness, peer: Peer) {
    mount(&h, peer, "p").await;
    h.read("p/pid").await.unwrap();
    let process = process(&h, "p");
    tokio::time::sleep(SETTLING).await;
    let before = bytes_read(process);
    tokio::time::sleep(time()).await;
    assert_eq!(bytes_read(process), before);
    // The control: what one request sends is seen.
    h.read("p/pid").await.unwrap();
    assert!(bytes_read(process) > before);
    assert_eq!(crate::peers::process(&h, "p"), process);
}

/// How many bytes a process has read in its life, of whatever.
fn bytes_read(process: Pid) -> u64 {
    let path = format!("/proc/{}/io", process.as_raw_nonzero());
    let counted = std::fs::read_to_string(path).unwrap();
    let line = counted
        .lines()
        .find_map(|line| line.strip_prefix("rchar: "));
    line.unwrap().parse().unwrap()
}
