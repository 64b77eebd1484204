//! Leases: what a host does with a secret over time.

use std::time::Duration;

use crate::{Json, Timestamp};

/// How long something lives and whether it can be renewed (`pb.LeaseOptions`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeaseOptions {
    /// How long it is good for; zero lets the host choose.
    pub ttl: Duration,
    /// Whether a client may ask for more time.
    pub renewable: bool,
    /// On renewal, the extra time the client asked for.
    pub increment: Duration,
    /// When the lease was made; `None` before it was.
    pub issue_time: Option<Timestamp>,
    /// The most it can reach by renewals; zero lets the host choose.
    pub max_ttl: Duration,
}

/// A secret under a lease (`pb.Secret`). Its presence in a response makes the host register a lease.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Secret {
    /// The lease's terms.
    pub lease: LeaseOptions,
    /// What the plugin needs again to renew or revoke; the client never sees it.
    pub internal_data: Json,
    /// The host's name for the lease; set by the host.
    pub lease_id: String,
}
