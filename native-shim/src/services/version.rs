//! `logical.PluginVersion`: the plugin's own version.

use std::sync::Arc;

use palisade_protocol::logical::plugin_version_server::PluginVersion;
use palisade_protocol::logical::{Empty, VersionReply};
use tonic::{Request, Response, Status};

use crate::instances::Instances;

/// A fact of the program: the answer is the same for every instance, and without one.
pub(crate) struct VersionService {
    instances: Arc<Instances>,
}

impl VersionService {
    pub(crate) fn new(instances: Arc<Instances>) -> Self {
        Self { instances }
    }
}

#[tonic::async_trait]
impl PluginVersion for VersionService {
    async fn version(&self, _request: Request<Empty>) -> Result<Response<VersionReply>, Status> {
        let plugin_version = self.instances.description().version;
        Ok(Response::new(VersionReply { plugin_version }))
    }
}
