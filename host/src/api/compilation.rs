//! How the compilation of a component is shown.

use std::time::UNIX_EPOCH;

use palisade_runtime::catalog::Entry;
use palisade_runtime::driver::Compilation;
use palisade_runtime::{MountInfo, Runtime, RuntimeKind};
use serde_json::{Value, json};

use super::server::rfc3339;

/// Where the artifact of an entry is; nothing for one that is not compiled.
pub(super) fn of_entry(runtime: &Runtime, entry: &Entry) -> Option<Value> {
    let profile = entry.limits.profile;
    let state = || runtime.compilation(profile, entry.sha256);
    (entry.runtime == RuntimeKind::Wasm).then(|| shown(state().as_ref()))
}

/// Where the component that a mount runs, or will run at its first request, is.
pub(super) fn of_mount(runtime: &Runtime, mount: &MountInfo) -> Option<Value> {
    let digest = mount
        .running_sha256
        .filter(|_| mount.runtime == RuntimeKind::Wasm)?;
    Some(shown(runtime.compilation(mount.profile, digest).as_ref()))
}

fn shown(state: Option<&Compilation>) -> Value {
    let Some(state) = state else {
        // Since the start of this server; it is compiled, or read from the cache, when it is first needed.
        return json!({ "state": "idle" });
    };
    let since = state.since().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut shown = json!({ "state": state.as_str(), "since": rfc3339(since.as_secs()) });
    match state {
        Compilation::Compiled {
            took, from_disk, ..
        } => {
            shown["from_disk"] = json!(from_disk);
            shown["took_ms"] = json!(took.as_millis() as u64);
        }
        Compilation::Failed { fault, .. } => shown["fault"] = json!(fault),
        Compilation::Waiting { .. } | Compilation::Compiling { .. } => {}
    }
    shown
}

/// How all of them went.
pub(super) fn summary(runtime: &Runtime) -> Value {
    let counts = runtime.compilation_counts();
    json!({
        "compiling": counts.compiling,
        "waiting": counts.waiting,
        "compiled": counts.compiled,
        "failed": counts.failed,
        "turned_away": counts.turned_away,
        "disk_hits": counts.disk_hits,
        "disk_misses": counts.disk_misses,
        "disk_rejections": counts.disk_rejections,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn each_state_has_its_word_and_its_time() {
        let since = UNIX_EPOCH + Duration::from_secs(60);
        let failed = Compilation::Failed {
            since,
            fault: "too large".to_owned(),
        };
        let expected =
            json!({"state": "failed", "since": "1970-01-01T00:01:00Z", "fault": "too large"});
        assert_eq!(shown(Some(&failed)), expected);
        let compiling = Compilation::Compiling { since };
        assert_eq!(shown(Some(&compiling))["state"], "compiling");
        assert_eq!(shown(None), json!({"state": "idle"}));
    }
}
