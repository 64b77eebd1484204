//! `grpc.health.v1.Health`: whether the plugin answers, which it does when this does.

use futures_util::StreamExt as _;
use palisade_protocol::HEALTH_SERVICE;
use palisade_protocol::health::health_check_response::ServingStatus;
use palisade_protocol::health::health_server::Health;
use palisade_protocol::health::{HealthCheckRequest, HealthCheckResponse};
use tonic::{Request, Response, Status};

use super::Answers;
use crate::stop::Stop;

/// Knows the service `plugin`, and the empty name for the whole.
pub(crate) struct HealthService {
    stop: Stop,
}

impl HealthService {
    pub(crate) fn new(stop: Stop) -> Self {
        Self { stop }
    }
}

fn is_known(request: &Request<HealthCheckRequest>) -> bool {
    matches!(request.get_ref().service.as_str(), "" | HEALTH_SERVICE)
}

fn answer(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse {
        status: status.into(),
    }
}

#[tonic::async_trait]
impl Health for HealthService {
    type WatchStream = Answers<HealthCheckResponse>;

    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        if !is_known(&request) {
            return Err(Status::not_found("unknown service"));
        }
        Ok(Response::new(answer(ServingStatus::Serving)))
    }

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let now = if is_known(&request) {
            ServingStatus::Serving
        } else {
            ServingStatus::ServiceUnknown
        };
        let changes = futures_util::stream::iter([Ok(answer(now))])
            .chain(futures_util::stream::pending())
            .take_until(self.stop.requested());
        Ok(Response::new(Box::pin(changes)))
    }
}
