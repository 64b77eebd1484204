//! Which service a call is for.

use palisade_protocol::pb::events_server::{self, Events as _};
use palisade_protocol::pb::observations_server::{self, Observations as _};
use palisade_protocol::pb::storage_server::{self, Storage as _};
use palisade_protocol::pb::system_view_server::{self, SystemView as _};
use tonic::Status;

use super::InstanceServices;
use super::unary::{Call, Incoming, unary};

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
    pub(in crate::driver::native) fn call(&self, incoming: Incoming) -> Call {
        let Self::Of(instance) = self else {
            return unknown();
        };
        let uri = incoming.uri().clone();
        let mut parts = uri.path().splitn(3, '/').skip(1);
        let (service, method) = (parts.next(), parts.next().unwrap_or_default());
        match service {
            Some(storage_server::SERVICE_NAME) => storage(instance, method, incoming),
            Some(system_view_server::SERVICE_NAME) => system(instance, method, incoming),
            Some(events_server::SERVICE_NAME) => events(instance, method, incoming),
            Some(observations_server::SERVICE_NAME) => observations(instance, method, incoming),
            _ => unknown(),
        }
    }
}

fn unknown() -> Call {
    Box::pin(async { Err(Status::unimplemented("this host has no such call")) })
}

fn storage(to: &InstanceServices, method: &str, call: Incoming) -> Call {
    match method {
        "Get" => unary(to, call, |to, it| async move { to.get(it).await }),
        "Put" => unary(to, call, |to, it| async move { to.put(it).await }),
        "Delete" => unary(to, call, |to, it| async move { to.delete(it).await }),
        "List" => unary(to, call, |to, it| async move { to.list(it).await }),
        "ListPage" => unary(to, call, |to, it| async move { to.list_page(it).await }),
        "IsTransactional" => unary(
            to,
            call,
            |to, it| async move { to.is_transactional(it).await },
        ),
        "BeginTx" => unary(to, call, |to, it| async move { to.begin_tx(it).await }),
        "BeginReadOnlyTx" => unary(
            to,
            call,
            |to, it| async move { to.begin_read_only_tx(it).await },
        ),
        "Commit" => unary(to, call, |to, it| async move { to.commit(it).await }),
        "Rollback" => unary(to, call, |to, it| async move { to.rollback(it).await }),
        _ => unknown(),
    }
}

fn system(to: &InstanceServices, method: &str, call: Incoming) -> Call {
    match method {
        "ReplicationState" => unary(
            to,
            call,
            |to, it| async move { to.replication_state(it).await },
        ),
        "DefaultLeaseTTL" => unary(
            to,
            call,
            |to, it| async move { to.default_lease_ttl(it).await },
        ),
        "MaxLeaseTTL" => unary(to, call, |to, it| async move { to.max_lease_ttl(it).await }),
        "Tainted" => unary(to, call, |to, it| async move { to.tainted(it).await }),
        "CachingDisabled" => unary(
            to,
            call,
            |to, it| async move { to.caching_disabled(it).await },
        ),
        "ResponseWrapData" => unary(
            to,
            call,
            |to, it| async move { to.response_wrap_data(it).await },
        ),
        "MlockEnabled" => unary(to, call, |to, it| async move { to.mlock_enabled(it).await }),
        "LocalMount" => unary(to, call, |to, it| async move { to.local_mount(it).await }),
        "EntityInfo" => unary(to, call, |to, it| async move { to.entity_info(it).await }),
        "PluginEnv" => unary(to, call, |to, it| async move { to.plugin_env(it).await }),
        "GroupsForEntity" => unary(
            to,
            call,
            |to, it| async move { to.groups_for_entity(it).await },
        ),
        "GeneratePasswordFromPolicy" => unary(to, call, |to, it| async move {
            to.generate_password_from_policy(it).await
        }),
        "ClusterInfo" => unary(to, call, |to, it| async move { to.cluster_info(it).await }),
        "GenerateIdentityToken" => unary(to, call, |to, it| async move {
            to.generate_identity_token(it).await
        }),
        "RegisterRotationJob" => unary(to, call, |to, it| async move {
            to.register_rotation_job(it).await
        }),
        "DeregisterRotationJob" => unary(to, call, |to, it| async move {
            to.deregister_rotation_job(it).await
        }),
        _ => unknown(),
    }
}

fn events(to: &InstanceServices, method: &str, call: Incoming) -> Call {
    match method {
        "SendEvent" => unary(to, call, |to, it| async move { to.send_event(it).await }),
        _ => unknown(),
    }
}

fn observations(to: &InstanceServices, method: &str, call: Incoming) -> Call {
    match method {
        "RecordObservation" => unary(
            to,
            call,
            |to, it| async move { to.record_observation(it).await },
        ),
        _ => unknown(),
    }
}
