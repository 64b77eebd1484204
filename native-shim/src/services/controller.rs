//! `plugin.GRPCController`: the host's word for the end.

use palisade_protocol::plugin::Empty;
use palisade_protocol::plugin::grpc_controller_server::GrpcController;
use tonic::{Request, Response, Status};

use crate::stop::Stop;

/// Passes the wish on and answers at once: the host waits without a deadline.
pub(crate) struct ControllerService {
    stop: Stop,
}

impl ControllerService {
    pub(crate) fn new(stop: Stop) -> Self {
        Self { stop }
    }
}

#[tonic::async_trait]
impl GrpcController for ControllerService {
    async fn shutdown(&self, _request: Request<Empty>) -> Result<Response<Empty>, Status> {
        self.stop.request();
        Ok(Response::new(Empty {}))
    }
}
