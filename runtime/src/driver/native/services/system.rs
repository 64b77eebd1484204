//! `pb.SystemView` over a mount's system view.

use async_trait::async_trait;
use palisade_contract::{Host, HostError, Json};
use palisade_protocol::convert::{duration_from_nanos, duration_to_nanos};
use palisade_protocol::pb::{self, system_view_server};
use tonic::{Request, Response, Status};

use super::InstanceServices;

type Answer<T> = Result<Response<T>, Status>;

/// Replies without a field for a text can only fail as a whole.
fn failed(error: HostError) -> Status {
    Status::internal(error.message)
}

/// Only Vault's hosts know these.
fn unknown<T>() -> Answer<T> {
    Err(Status::unimplemented("this host has no such call"))
}

#[async_trait]
impl system_view_server::SystemView for InstanceServices {
    async fn default_lease_ttl(&self, request: Request<pb::Empty>) -> Answer<pb::TtlReply> {
        let scope = self.scope(request.metadata())?;
        let ttl = scope.system().default_lease_ttl().await.map_err(failed)?;
        Ok(Response::new(pb::TtlReply {
            ttl: duration_to_nanos(ttl),
        }))
    }

    async fn max_lease_ttl(&self, request: Request<pb::Empty>) -> Answer<pb::TtlReply> {
        let scope = self.scope(request.metadata())?;
        let ttl = scope.system().max_lease_ttl().await.map_err(failed)?;
        Ok(Response::new(pb::TtlReply {
            ttl: duration_to_nanos(ttl),
        }))
    }

    async fn tainted(&self, request: Request<pb::Empty>) -> Answer<pb::TaintedReply> {
        let scope = self.scope(request.metadata())?;
        let tainted = scope.system().tainted().await.map_err(failed)?;
        Ok(Response::new(pb::TaintedReply { tainted }))
    }

    async fn caching_disabled(
        &self,
        request: Request<pb::Empty>,
    ) -> Answer<pb::CachingDisabledReply> {
        let scope = self.scope(request.metadata())?;
        let disabled = scope.system().caching_disabled().await.map_err(failed)?;
        Ok(Response::new(pb::CachingDisabledReply { disabled }))
    }

    async fn replication_state(
        &self,
        request: Request<pb::Empty>,
    ) -> Answer<pb::ReplicationStateReply> {
        let scope = self.scope(request.metadata())?;
        let state = scope.system().replication_state().await.map_err(failed)?;
        Ok(Response::new(state.into()))
    }

    /// A plugin cannot ask for a token in JWT form: the flag is not read.
    async fn response_wrap_data(
        &self,
        request: Request<pb::ResponseWrapDataArgs>,
    ) -> Answer<pb::ResponseWrapDataReply> {
        let (metadata, _, args) = request.into_parts();
        let scope = self.scope(&metadata)?;
        let data = Json::from_text(args.data);
        let wrapped = scope
            .system()
            .wrap_response(data, duration_from_nanos(args.ttl))
            .await;
        Ok(Response::new(match wrapped {
            Ok(wrapped) => pb::ResponseWrapDataReply {
                wrap_info: Some(wrapped.into()),
                err: String::new(),
            },
            Err(error) => pb::ResponseWrapDataReply {
                wrap_info: None,
                err: error.message,
            },
        }))
    }

    async fn mlock_enabled(&self, request: Request<pb::Empty>) -> Answer<pb::MlockEnabledReply> {
        let scope = self.scope(request.metadata())?;
        let enabled = scope.system().mlock_enabled().await.map_err(failed)?;
        Ok(Response::new(pb::MlockEnabledReply { enabled }))
    }

    async fn local_mount(&self, request: Request<pb::Empty>) -> Answer<pb::LocalMountReply> {
        let scope = self.scope(request.metadata())?;
        let local = scope.system().local_mount().await.map_err(failed)?;
        Ok(Response::new(pb::LocalMountReply { local }))
    }

    async fn entity_info(
        &self,
        request: Request<pb::EntityInfoArgs>,
    ) -> Answer<pb::EntityInfoReply> {
        let (metadata, _, args) = request.into_parts();
        let scope = self.scope(&metadata)?;
        Ok(Response::new(
            match scope.system().entity(&args.entity_id).await {
                Ok(entity) => pb::EntityInfoReply {
                    entity: entity.map(Into::into),
                    err: String::new(),
                },
                Err(error) => pb::EntityInfoReply {
                    entity: None,
                    err: error.message,
                },
            },
        ))
    }

    async fn plugin_env(&self, request: Request<pb::Empty>) -> Answer<pb::PluginEnvReply> {
        let scope = self.scope(request.metadata())?;
        Ok(Response::new(
            match scope.system().plugin_environment().await {
                Ok(facts) => pb::PluginEnvReply {
                    plugin_environment: Some(facts.into()),
                    err: String::new(),
                },
                Err(error) => pb::PluginEnvReply {
                    plugin_environment: None,
                    err: error.message,
                },
            },
        ))
    }

    async fn groups_for_entity(
        &self,
        request: Request<pb::EntityInfoArgs>,
    ) -> Answer<pb::GroupsForEntityReply> {
        let (metadata, _, args) = request.into_parts();
        let scope = self.scope(&metadata)?;
        Ok(Response::new(
            match scope.system().groups_for_entity(&args.entity_id).await {
                Ok(groups) => pb::GroupsForEntityReply {
                    groups: groups.into_iter().map(Into::into).collect(),
                    err: String::new(),
                },
                Err(error) => pb::GroupsForEntityReply {
                    groups: Vec::new(),
                    err: error.message,
                },
            },
        ))
    }

    /// Why a password could not be made is the operator's affair, and is not told.
    async fn generate_password_from_policy(
        &self,
        request: Request<pb::GeneratePasswordFromPolicyRequest>,
    ) -> Answer<pb::GeneratePasswordFromPolicyReply> {
        let (metadata, _, args) = request.into_parts();
        if args.policy_name.is_empty() {
            return Err(Status::invalid_argument("no password policy specified"));
        }
        let scope = self.scope(&metadata)?;
        let password = scope.system().generate_password(&args.policy_name).await;
        let password = password.map_err(|_| Status::internal("failed to generate password"))?;
        Ok(Response::new(pb::GeneratePasswordFromPolicyReply {
            password,
        }))
    }

    async fn cluster_info(&self, request: Request<pb::Empty>) -> Answer<pb::ClusterInfoReply> {
        let scope = self.scope(request.metadata())?;
        let cluster_id = scope.system().cluster_id().await.map_err(failed)?;
        Ok(Response::new(pb::ClusterInfoReply {
            cluster_id,
            ..Default::default()
        }))
    }

    async fn generate_identity_token(
        &self,
        _: Request<pb::GenerateIdentityTokenRequest>,
    ) -> Answer<pb::GenerateIdentityTokenResponse> {
        unknown()
    }

    async fn register_rotation_job(
        &self,
        _: Request<pb::RegisterRotationJobRequest>,
    ) -> Answer<pb::RegisterRotationJobResponse> {
        unknown()
    }

    async fn deregister_rotation_job(
        &self,
        _: Request<pb::DeregisterRotationJobRequest>,
    ) -> Answer<pb::Empty> {
        unknown()
    }
}
