//! Which service a call is for.

use h2::RecvStream;
use palisade_protocol::pb::events_server::{self, Events as _};
use palisade_protocol::pb::observations_server::{self, Observations as _};
use palisade_protocol::pb::storage_server::{self, Storage as _};
use palisade_protocol::pb::system_view_server::{self, SystemView as _};
use tonic::Status;

use super::InstanceServices;
use super::unary::{Call, Incoming, unary};

/// The largest message that a plugin may send to be stored or wrapped, in bytes: a stored value of the largest size and
/// more, so that one which is too large is refused by storage, with its words.
const STORED_BYTES_MAX: usize = 72 << 20;

/// The largest that it may send to be told to others, in bytes: gRPC's own limit.
const NOTICE_BYTES_MAX: usize = 4 << 20;

/// What is served on one socket.
#[derive(Clone)]
pub(in crate::driver::native) enum Services {
    /// Those of an instance.
    Of(InstanceServices),
    /// None, for a plugin that is only asked what it is.
    None,
}

impl Services {
    /// Starts a call. One that is not known here is answered UNIMPLEMENTED, as some are that only Vault's hosts know.
    pub(in crate::driver::native) fn call(&self, request: http::Request<RecvStream>) -> Call {
        let Self::Of(instance) = self else {
            return unknown();
        };
        let uri = request.uri().clone();
        let mut parts = uri.path().splitn(3, '/').skip(1);
        let (service, method) = (parts.next(), parts.next().unwrap_or_default());
        let incoming = |bytes_max| Incoming { request, bytes_max };
        match service {
            Some(storage_server::SERVICE_NAME) => {
                storage(instance, method, incoming(STORED_BYTES_MAX))
            }
            Some(system_view_server::SERVICE_NAME) => {
                system(instance, method, incoming(STORED_BYTES_MAX))
            }
            Some(events_server::SERVICE_NAME) => {
                events(instance, method, incoming(NOTICE_BYTES_MAX))
            }
            Some(observations_server::SERVICE_NAME) => {
                observations(instance, method, incoming(NOTICE_BYTES_MAX))
            }
            _ => unknown(),
        }
    }
}

/// A call that is answered by a method of its service.
macro_rules! answered {
    ($to:ident, $call:ident, $method:ident) => {
        unary($to, $call, |to, it| async move { to.$method(it).await })
    };
}

fn unknown() -> Call {
    Box::pin(async { Err(Status::unimplemented("this host has no such call")) })
}

fn storage(to: &InstanceServices, method: &str, call: Incoming) -> Call {
    match method {
        "Get" => answered!(to, call, get),
        "Put" => answered!(to, call, put),
        "Delete" => answered!(to, call, delete),
        "List" => answered!(to, call, list),
        "ListPage" => answered!(to, call, list_page),
        "IsTransactional" => answered!(to, call, is_transactional),
        "BeginTx" => answered!(to, call, begin_tx),
        "BeginReadOnlyTx" => answered!(to, call, begin_read_only_tx),
        "Commit" => answered!(to, call, commit),
        "Rollback" => answered!(to, call, rollback),
        _ => unknown(),
    }
}

fn system(to: &InstanceServices, method: &str, call: Incoming) -> Call {
    match method {
        "ReplicationState" => answered!(to, call, replication_state),
        "DefaultLeaseTTL" => answered!(to, call, default_lease_ttl),
        "MaxLeaseTTL" => answered!(to, call, max_lease_ttl),
        "Tainted" => answered!(to, call, tainted),
        "CachingDisabled" => answered!(to, call, caching_disabled),
        "ResponseWrapData" => answered!(to, call, response_wrap_data),
        "MlockEnabled" => answered!(to, call, mlock_enabled),
        "LocalMount" => answered!(to, call, local_mount),
        "EntityInfo" => answered!(to, call, entity_info),
        "PluginEnv" => answered!(to, call, plugin_env),
        "GroupsForEntity" => answered!(to, call, groups_for_entity),
        "GeneratePasswordFromPolicy" => answered!(to, call, generate_password_from_policy),
        "ClusterInfo" => answered!(to, call, cluster_info),
        "GenerateIdentityToken" => answered!(to, call, generate_identity_token),
        "RegisterRotationJob" => answered!(to, call, register_rotation_job),
        "DeregisterRotationJob" => answered!(to, call, deregister_rotation_job),
        _ => unknown(),
    }
}

fn events(to: &InstanceServices, method: &str, call: Incoming) -> Call {
    match method {
        "SendEvent" => answered!(to, call, send_event),
        _ => unknown(),
    }
}

fn observations(to: &InstanceServices, method: &str, call: Incoming) -> Call {
    match method {
        "RecordObservation" => answered!(to, call, record_observation),
        _ => unknown(),
    }
}
