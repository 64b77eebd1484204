//! A crash of a component as JSON.

use palisade_runtime::Crash;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// All that is known of it. There is nothing of a request in it.
pub(super) fn object(crash: &Crash) -> Value {
    let at = OffsetDateTime::from(crash.at).format(&Rfc3339);
    json!({
        "time": at.unwrap_or_default(),
        "plugin": crash.plugin,
        "step": crash.step,
        "kind": crash.kind.code(),
        "fault": crash.fault,
        "backtrace": crash.backtrace,
        "fuel_used": crash.fuel_used,
        "memory_bytes": crash.memory_bytes,
        "ran_us": u64::try_from(crash.ran.as_micros()).unwrap_or(u64::MAX),
        "host_calls": crash.host_calls,
        "last_host_calls": crash.last_host_calls,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use palisade_runtime::{ErrorKind, HostCall, HostCallOutcome};
    use std::time::{Duration, SystemTime};

    #[test]
    fn a_crash_is_shown_with_its_time_and_its_calls() {
        let shown = object(&Crash {
            at: SystemTime::UNIX_EPOCH,
            plugin: "notes v1.0.0".to_owned(),
            step: "handle-request",
            kind: ErrorKind::Trap,
            fault: "unreachable".to_owned(),
            backtrace: vec!["handle".to_owned()],
            fuel_used: 7,
            memory_bytes: 65_536,
            ran: Duration::from_millis(2),
            host_calls: 40,
            last_host_calls: vec![HostCall {
                interface: "palisade:plugin/storage",
                function: "get",
                outcome: HostCallOutcome::Error,
                micros: 12,
            }],
        });
        assert_eq!(shown["time"], "1970-01-01T00:00:00Z");
        assert_eq!(
            (&shown["kind"], &shown["ran_us"]),
            (&json!("trap"), &json!(2000))
        );
        assert_eq!(
            shown["last_host_calls"][0],
            json!({"interface": "palisade:plugin/storage", "function": "get", "outcome": "error", "micros": 12})
        );
    }
}
