//! `pb.Backend`: the plugin's own work.

use std::sync::Arc;

use palisade_contract::{Existence, PluginError, Response};
use palisade_protocol::pb::backend_server::Backend;
use palisade_protocol::{convert, pb};
use tonic::{Request, Status};

use super::metadata::{instance_id, time_left};
use crate::guard::guarded;
use crate::instances::{Instance, Instances};
use crate::remote::{Budget, CallHost};

/// Answers for every mount of the process.
pub(crate) struct BackendService {
    instances: Arc<Instances>,
}

impl BackendService {
    pub(crate) fn new(instances: Arc<Instances>) -> Self {
        Self { instances }
    }

    /// The instance that the call is for, and the host as the call sees it.
    fn call<T>(&self, request: &Request<T>) -> Result<(Arc<Instance>, CallHost), Status> {
        let id = instance_id(request)?;
        let instance = self.instances.get(&id).ok_or_else(no_instance)?;
        let host = instance.host(budget(request));
        Ok((instance, host))
    }
}

fn budget<T>(request: &Request<T>) -> Budget {
    Budget::starting_now(time_left(request))
}

fn no_instance() -> Status {
    Status::unknown(
        "no backend instance found for the call's multiplex_id: it has to be set up first",
    )
}

#[tonic::async_trait]
impl Backend for BackendService {
    async fn setup(
        &self,
        request: Request<pb::SetupArgs>,
    ) -> Result<tonic::Response<pb::SetupReply>, Status> {
        let (id, budget) = (instance_id(&request)?, budget(&request));
        let args = request.into_inner();
        let made = self
            .instances
            .set_up(id, args.broker_id, args.into(), budget)
            .await;
        let err = made.err().map(setup_text).unwrap_or_default();
        Ok(tonic::Response::new(pb::SetupReply { err }))
    }

    async fn initialize(
        &self,
        request: Request<pb::InitializeArgs>,
    ) -> Result<tonic::Response<pb::InitializeReply>, Status> {
        let (instance, host) = self.call(&request)?;
        let initializing =
            async move { guarded("initialize", instance.backend.initialize(&host)).await };
        let outcome = self.instances.run(initializing).await;
        let err = outcome.err().map(Into::into);
        Ok(tonic::Response::new(pb::InitializeReply { err }))
    }

    async fn handle_request(
        &self,
        request: Request<pb::HandleRequestArgs>,
    ) -> Result<tonic::Response<pb::HandleRequestReply>, Status> {
        let (instance, host) = self.call(&request)?;
        let args = request.into_inner();
        let handling = async move { handle(&instance, &host, args).await };
        let answer = self.instances.run(handling).await;
        Ok(tonic::Response::new(convert::response_to_reply(answer)))
    }

    async fn handle_existence_check(
        &self,
        request: Request<pb::HandleExistenceCheckArgs>,
    ) -> Result<tonic::Response<pb::HandleExistenceCheckReply>, Status> {
        let (instance, host) = self.call(&request)?;
        let args = request.into_inner();
        let checking = async move { check(&instance, &host, args).await };
        let answer = self.instances.run(checking).await;
        Ok(tonic::Response::new(convert::existence_to_reply(answer)))
    }

    async fn special_paths(
        &self,
        request: Request<pb::Empty>,
    ) -> Result<tonic::Response<pb::SpecialPathsReply>, Status> {
        self.call(&request)?;
        let paths = self.instances.description().special_paths;
        Ok(tonic::Response::new(pb::SpecialPathsReply {
            paths: Some(paths.into()),
        }))
    }

    async fn r#type(
        &self,
        request: Request<pb::Empty>,
    ) -> Result<tonic::Response<pb::TypeReply>, Status> {
        self.call(&request)?;
        let r#type = self.instances.description().plugin_type.backend_number();
        Ok(tonic::Response::new(pb::TypeReply { r#type }))
    }

    async fn invalidate_key(
        &self,
        request: Request<pb::InvalidateKeyArgs>,
    ) -> Result<tonic::Response<pb::Empty>, Status> {
        let (instance, host) = self.call(&request)?;
        let key = request.into_inner().key;
        let telling = async move {
            let told = async {
                instance.backend.invalidate_key(&key, &host).await;
                Ok(())
            };
            guarded("invalidate_key", told).await
        };
        // A cache that may be stale is worse than a failed call.
        let told = self.instances.run(telling).await;
        told.map_err(|panicked| Status::internal(panicked.message))?;
        Ok(tonic::Response::new(pb::Empty {}))
    }

    async fn cleanup(
        &self,
        request: Request<pb::Empty>,
    ) -> Result<tonic::Response<pb::Empty>, Status> {
        let id = instance_id(&request)?;
        let (instance, _passing) = self.instances.remove(&id).ok_or_else(no_instance)?;
        let host = instance.host(budget(&request));
        let cleaning = async move {
            let cleaned = async {
                instance.backend.cleanup(&host).await;
                Ok(())
            };
            guarded("cleanup", cleaned).await
        };
        // The instance is gone either way, and the panic is in the log.
        let _ = self.instances.run(cleaning).await;
        Ok(tonic::Response::new(pb::Empty {}))
    }
}

/// An empty text would mean that all is well.
fn setup_text(error: PluginError) -> String {
    if error.message.is_empty() {
        "the plugin's setup failed without a reason".to_owned()
    } else {
        error.message
    }
}

async fn handle(
    instance: &Instance,
    host: &CallHost,
    args: pb::HandleRequestArgs,
) -> Result<Option<Response>, PluginError> {
    let request = args.try_into().map_err(PluginError::from)?;
    guarded(
        "handle_request",
        instance.backend.handle_request(request, host),
    )
    .await
}

async fn check(
    instance: &Instance,
    host: &CallHost,
    args: pb::HandleExistenceCheckArgs,
) -> Result<Existence, PluginError> {
    let request = args.try_into().map_err(PluginError::from)?;
    guarded(
        "check_existence",
        instance.backend.check_existence(request, host),
    )
    .await
}
