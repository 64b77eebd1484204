//! `pluginutil.multiplexing.PluginMultiplexing`: one process serves many mounts.

use palisade_protocol::multiplexing::plugin_multiplexing_server::PluginMultiplexing;
use palisade_protocol::multiplexing::{MultiplexingSupportRequest, MultiplexingSupportResponse};
use tonic::{Request, Response, Status};

/// Always yes.
pub(crate) struct MultiplexingService;

#[tonic::async_trait]
impl PluginMultiplexing for MultiplexingService {
    async fn multiplexing_support(
        &self,
        _request: Request<MultiplexingSupportRequest>,
    ) -> Result<Response<MultiplexingSupportResponse>, Status> {
        Ok(Response::new(MultiplexingSupportResponse {
            supported: true,
        }))
    }
}
