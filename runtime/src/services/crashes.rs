//! The last crashes of one mount, for those who ask why: few of them, and as few lines of the log.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::Crash;

/// Crashes that are kept of each mount.
const KEPT_MAX: usize = 8;

/// How far apart the log's lines on crashes of one mount are, at least: a plugin may crash at every request.
const LOG_INTERVAL: Duration = Duration::from_secs(1);

/// What is remembered of a mount's crashes, over all starts of its plugin.
#[derive(Default)]
pub(crate) struct Crashes {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    total: u64,
    last: VecDeque<Arc<Crash>>,
    logged: Option<Instant>,
    unlogged: u64,
}

impl Crashes {
    /// Keeps one, and says so in the log unless it has just said so of another.
    pub(crate) fn keep(&self, accessor: &str, crash: Crash) {
        let crash = Arc::new(crash);
        if let Some(unlogged) = self.add(Arc::clone(&crash), Instant::now()) {
            log(accessor, &crash, unlogged);
        }
    }

    /// How many there were, and the last of them, oldest first.
    pub(crate) fn seen(&self) -> (u64, Vec<Arc<Crash>>) {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        (inner.total, inner.last.iter().cloned().collect())
    }

    /// How many the log has not told of, if it is to tell of this one.
    fn add(&self, crash: Arc<Crash>, now: Instant) -> Option<u64> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.total += 1;
        if inner.last.len() == KEPT_MAX {
            inner.last.pop_front();
        }
        inner.last.push_back(crash);
        let is_due = |logged: Instant| now.saturating_duration_since(logged) >= LOG_INTERVAL;
        if !inner.logged.is_none_or(is_due) {
            inner.unlogged += 1;
            return None;
        }
        inner.logged = Some(now);
        Some(std::mem::take(&mut inner.unlogged))
    }
}

fn log(accessor: &str, crash: &Crash, unlogged: u64) {
    let calls: Vec<_> = crash
        .last_host_calls
        .iter()
        .map(ToString::to_string)
        .collect();
    tracing::warn!(
        target: "palisade::plugin",
        plugin = %crash.plugin,
        accessor,
        step = crash.step,
        kind = crash.kind.code(),
        fault = %crash.fault,
        backtrace = %crash.backtrace.join(" < "),
        fuel_used = crash.fuel_used,
        memory_bytes = crash.memory_bytes,
        ran_ms = u64::try_from(crash.ran.as_millis()).unwrap_or(u64::MAX),
        host_calls = crash.host_calls,
        last_host_calls = %calls.join(", "),
        not_logged_before = unlogged,
        "a component crashed"
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;
    use std::time::SystemTime;

    fn crash(fuel_used: u64) -> Arc<Crash> {
        Arc::new(Crash {
            at: SystemTime::UNIX_EPOCH,
            plugin: "kv".to_owned(),
            step: "handle-request",
            kind: ErrorKind::Trap,
            fault: "unreachable".to_owned(),
            backtrace: Vec::new(),
            fuel_used,
            memory_bytes: 0,
            ran: Duration::ZERO,
            host_calls: 0,
            last_host_calls: Vec::new(),
        })
    }

    #[test]
    fn only_the_last_are_kept_and_all_are_counted() {
        let (crashes, now) = (Crashes::default(), Instant::now());
        for number in 0..20 {
            crashes.add(crash(number), now);
        }
        let (total, last) = crashes.seen();
        let kept: Vec<_> = last.iter().map(|crash| crash.fuel_used).collect();
        assert_eq!((total, kept), (20, (12..20).collect()));
    }

    #[test]
    fn the_log_tells_of_one_a_second_and_how_many_it_did_not_tell_of() {
        let (crashes, start) = (Crashes::default(), Instant::now());
        assert_eq!(crashes.add(crash(0), start), Some(0));
        for _ in 0..5 {
            assert_eq!(crashes.add(crash(0), start), None);
        }
        assert_eq!(crashes.add(crash(0), start + LOG_INTERVAL), Some(5));
    }
}
