//! `plugin.GRPCStdio`: what the plugin printed.

use std::sync::Arc;

use futures_util::StreamExt as _;
use palisade_protocol::plugin::grpc_stdio_server::GrpcStdio;
use palisade_protocol::plugin::{StdioData, stdio_data};
use tonic::{Request, Response, Status};

use super::Answers;
use crate::stdout::Backlog;
use crate::stop::Stop;

/// Held open until the end. What one stream took is not given to another.
pub(crate) struct StdioService {
    backlog: Arc<Backlog>,
    stop: Stop,
}

impl StdioService {
    pub(crate) fn new(backlog: Arc<Backlog>, stop: Stop) -> Self {
        Self { backlog, stop }
    }
}

#[tonic::async_trait]
impl GrpcStdio for StdioService {
    type StreamStdioStream = Answers<StdioData>;

    async fn stream_stdio(
        &self,
        _request: Request<()>,
    ) -> Result<Response<Self::StreamStdioStream>, Status> {
        let backlog = Arc::clone(&self.backlog);
        let output = futures_util::stream::unfold(backlog, |backlog| async {
            let chunk = message(backlog.next().await);
            Some((Ok(chunk), backlog))
        });
        let output = output.take_until(self.stop.requested());
        Ok(Response::new(Box::pin(output)))
    }
}

fn message(data: Vec<u8>) -> StdioData {
    StdioData {
        channel: stdio_data::Channel::Stdout.into(),
        data,
    }
}
