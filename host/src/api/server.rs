//! What the API serves from, and the few paths that are open to all.

use palisade_runtime::Runtime;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::call::{Target, Verb};
use super::compilation;
use super::error::ApiError;
use super::reply::Reply;
use crate::token::RootToken;

/// One server, unsealed and running.
pub(crate) struct Server {
    /// Catalog, mounts and plugins.
    pub(crate) runtime: Runtime,
    /// The one token.
    pub(crate) root: RootToken,
    /// What it says of itself.
    pub(crate) facts: Facts,
}

/// What a server says of itself.
pub(crate) struct Facts {
    /// The name of its cluster.
    pub(crate) cluster_name: String,
    /// Stays the same for as long as the storage does.
    pub(crate) cluster_id: String,
    /// `inmem` or `redb`.
    pub(crate) storage_type: &'static str,
}

const VERSION: &str = env!("CARGO_PKG_VERSION");

impl Server {
    /// Answers the paths that need no token; `None` for all others.
    pub(super) fn open_to_all(&self, target: &Target) -> Option<Result<Reply, ApiError>> {
        let answer = match target.path.as_str() {
            "sys/health" => self.health(),
            "sys/seal-status" => self.seal_status(),
            "sys/leader" => leader(),
            _ => return None,
        };
        Some(match target.verb {
            Verb::Read | Verb::Head => Ok(Reply::plain(&answer)),
            _ => Err(ApiError::unsupported_operation()),
        })
    }

    fn health(&self) -> Value {
        json!({
            "initialized": true,
            "sealed": false,
            "standby": false,
            "replication_performance_mode": "disabled",
            "replication_dr_mode": "disabled",
            "server_time_utc": OffsetDateTime::now_utc().unix_timestamp(),
            "version": VERSION,
            "cluster_name": self.facts.cluster_name,
            "cluster_id": self.facts.cluster_id,
            "process_protections": self.process_protections(),
            "compilations": compilation::summary(&self.runtime),
        })
    }

    /// What stands around the processes of native plugins, and what this machine lacks for it.
    fn process_protections(&self) -> Value {
        let Some(found) = self.runtime.protections() else {
            return Value::Null;
        };
        json!({
            "degraded": !found.lacking().is_empty(),
            "active": found.holding(),
            // Why is in the server's log: whoever asks here needs no token.
            "lacking": found.lacking().keys().collect::<Vec<_>>(),
            "required": self.runtime.required_layers(),
        })
    }

    /// A server with a static seal unseals itself or does not start, so whoever can ask finds it unsealed.
    fn seal_status(&self) -> Value {
        json!({
            "type": "static",
            "initialized": true,
            "sealed": false,
            "t": 0,
            "n": 0,
            "progress": 0,
            "nonce": "",
            "version": VERSION,
            "build_date": "",
            "migration": false,
            "cluster_name": self.facts.cluster_name,
            "cluster_id": self.facts.cluster_id,
            "recovery_seal": true,
            "storage_type": self.facts.storage_type,
        })
    }
}

/// There is one node, which is no leader of anything.
fn leader() -> Value {
    json!({
        "ha_enabled": false,
        "is_self": false,
        "active_time": "0001-01-01T00:00:00Z",
        "leader_address": "",
        "leader_cluster_address": "",
    })
}

/// A time as JSON; `null` when it is no time.
pub(super) fn rfc3339(seconds: u64) -> Value {
    let time = i64::try_from(seconds)
        .ok()
        .and_then(|at| OffsetDateTime::from_unix_timestamp(at).ok());
    let text = time.and_then(|time| time.format(&Rfc3339).ok());
    text.map_or(Value::Null, Value::String)
}
