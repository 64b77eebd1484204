//! Facts about the server and the mount, asked of the host.

use std::time::Duration;

use async_trait::async_trait;
use palisade_contract::{
    Entity, Group, HostError, Json, PluginEnvironment, ReplicationState, ResponseWrapInfo,
    SystemView,
};
use palisade_protocol::convert::{duration_from_nanos, duration_to_nanos, text_to_result};
use palisade_protocol::pb;
use palisade_protocol::pb::system_view_client::SystemViewClient;
use tonic::transport::Channel;

use super::{Budget, failed};

/// The system view for one call.
pub(super) struct RemoteSystem {
    client: SystemViewClient<Channel>,
    budget: Budget,
}

impl RemoteSystem {
    pub(super) fn new(client: SystemViewClient<Channel>, budget: Budget) -> Self {
        Self { client, budget }
    }

    fn client(&self) -> SystemViewClient<Channel> {
        self.client.clone()
    }

    fn question(&self) -> tonic::Request<pb::Empty> {
        self.budget.request(pb::Empty {})
    }

    fn about_entity(&self, entity_id: &str) -> tonic::Request<pb::EntityInfoArgs> {
        self.budget.request(pb::EntityInfoArgs {
            entity_id: entity_id.to_owned(),
        })
    }
}

#[async_trait]
impl SystemView for RemoteSystem {
    async fn default_lease_ttl(&self) -> Result<Duration, HostError> {
        let reply = self.client().default_lease_ttl(self.question()).await;
        Ok(duration_from_nanos(reply.map_err(failed)?.into_inner().ttl))
    }

    async fn max_lease_ttl(&self) -> Result<Duration, HostError> {
        let reply = self.client().max_lease_ttl(self.question()).await;
        Ok(duration_from_nanos(reply.map_err(failed)?.into_inner().ttl))
    }

    async fn tainted(&self) -> Result<bool, HostError> {
        let reply = self.client().tainted(self.question()).await;
        Ok(reply.map_err(failed)?.into_inner().tainted)
    }

    async fn caching_disabled(&self) -> Result<bool, HostError> {
        let reply = self.client().caching_disabled(self.question()).await;
        Ok(reply.map_err(failed)?.into_inner().disabled)
    }

    async fn replication_state(&self) -> Result<ReplicationState, HostError> {
        let reply = self.client().replication_state(self.question()).await;
        Ok(reply.map_err(failed)?.into_inner().into())
    }

    async fn mlock_enabled(&self) -> Result<bool, HostError> {
        let reply = self.client().mlock_enabled(self.question()).await;
        Ok(reply.map_err(failed)?.into_inner().enabled)
    }

    async fn local_mount(&self) -> Result<bool, HostError> {
        let reply = self.client().local_mount(self.question()).await;
        Ok(reply.map_err(failed)?.into_inner().local)
    }

    async fn plugin_environment(&self) -> Result<PluginEnvironment, HostError> {
        let reply = self.client().plugin_env(self.question()).await;
        let reply = reply.map_err(failed)?.into_inner();
        text_to_result(reply.err)?;
        Ok(reply.plugin_environment.map(Into::into).unwrap_or_default())
    }

    async fn entity(&self, entity_id: &str) -> Result<Option<Entity>, HostError> {
        let reply = self
            .client()
            .entity_info(self.about_entity(entity_id))
            .await;
        let reply = reply.map_err(failed)?.into_inner();
        text_to_result(reply.err)?;
        Ok(reply.entity.map(Into::into))
    }

    async fn groups_for_entity(&self, entity_id: &str) -> Result<Vec<Group>, HostError> {
        let reply = self
            .client()
            .groups_for_entity(self.about_entity(entity_id))
            .await;
        let reply = reply.map_err(failed)?.into_inner();
        text_to_result(reply.err)?;
        Ok(reply.groups.into_iter().map(Into::into).collect())
    }

    async fn generate_password(&self, policy_name: &str) -> Result<String, HostError> {
        let request = self.budget.request(pb::GeneratePasswordFromPolicyRequest {
            policy_name: policy_name.to_owned(),
        });
        let reply = self.client().generate_password_from_policy(request).await;
        Ok(reply.map_err(failed)?.into_inner().password)
    }

    async fn cluster_id(&self) -> Result<String, HostError> {
        let reply = self.client().cluster_info(self.question()).await;
        let reply = reply.map_err(failed)?.into_inner();
        text_to_result(reply.err)?;
        Ok(reply.cluster_id)
    }

    async fn wrap_response(
        &self,
        data: Json,
        ttl: Duration,
    ) -> Result<ResponseWrapInfo, HostError> {
        let request = self.budget.request(pb::ResponseWrapDataArgs {
            data: data.into_string(),
            ttl: duration_to_nanos(ttl),
            jwt: false,
        });
        let reply = self.client().response_wrap_data(request).await;
        let reply = reply.map_err(failed)?.into_inner();
        text_to_result(reply.err)?;
        let wrapped = reply.wrap_info.map(Into::into);
        wrapped.ok_or_else(|| HostError::other("the host wrapped the data and did not say where"))
    }
}
