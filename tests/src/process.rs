//! Processes that a test watches from outside.

use std::time::{Duration, Instant};

use rustix::process::{Pid, test_kill_process};

/// Waits until a process is dead and reaped: it has no entry any more.
///
/// # Panics
///
/// When it is still there after ten seconds.
pub async fn reaped(process: Pid) {
    let begun = Instant::now();
    while test_kill_process(process).is_ok() {
        assert!(
            begun.elapsed() < Duration::from_secs(10),
            "it is still there"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
