//! `pb.Events` and `pb.Observations`, which plugins on Vault's SDK call: taken and dropped, as Vault's own hosts do where no
//! bus listens. Refused, each write of a plugin that sends an event would leave a warning in its log.

use async_trait::async_trait;
use palisade_protocol::pb::{self, events_server, observations_server};
use tonic::{Request, Response, Status};

use super::InstanceServices;

#[async_trait]
impl events_server::Events for InstanceServices {
    async fn send_event(
        &self,
        _event: Request<pb::SendEventRequest>,
    ) -> Result<Response<pb::Empty>, Status> {
        Ok(Response::new(pb::Empty {}))
    }
}

#[async_trait]
impl observations_server::Observations for InstanceServices {
    async fn record_observation(
        &self,
        _observation: Request<pb::RecordObservationRequest>,
    ) -> Result<Response<pb::Empty>, Status> {
        Ok(Response::new(pb::Empty {}))
    }
}
