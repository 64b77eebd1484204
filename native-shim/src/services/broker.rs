//! `plugin.GRPCBroker`: where the host listens for what.

use std::sync::Arc;

use futures_util::StreamExt as _;
use palisade_protocol::plugin::ConnInfo;
use palisade_protocol::plugin::grpc_broker_server::GrpcBroker;
use tonic::{Request, Response, Status, Streaming};

use super::Answers;
use crate::broker::Broker;
use crate::log;
use crate::stop::Stop;

/// Listens to the host's stream. A host that opens another one is listened to as well.
pub(crate) struct BrokerService {
    broker: Arc<Broker>,
    stop: Stop,
}

impl BrokerService {
    pub(crate) fn new(broker: Arc<Broker>, stop: Stop) -> Self {
        Self { broker, stop }
    }
}

#[tonic::async_trait]
impl GrpcBroker for BrokerService {
    type StartStreamStream = Answers<ConnInfo>;

    async fn start_stream(
        &self,
        request: Request<Streaming<ConnInfo>>,
    ) -> Result<Response<Self::StartStreamStream>, Status> {
        let broker = Arc::clone(&self.broker);
        let stop = self.stop.requested();
        let messages = request.into_inner();
        // This plugin offers no connections, so that its half of the stream only has an end.
        let answers = futures_util::stream::once(listen(broker, messages))
            .take_until(stop)
            .filter_map(|()| std::future::ready(None));
        Ok(Response::new(Box::pin(answers)))
    }
}

/// Until the host ends the stream or the connection breaks.
async fn listen(broker: Arc<Broker>, mut messages: Streaming<ConnInfo>) {
    while let Ok(Some(info)) = messages.message().await {
        if info.knock.is_some() {
            log::warn("the host knocks for a shared connection, which this plugin does not offer");
            continue;
        }
        if let Err(fault) = broker.offer(&info) {
            log::warn(&format!("brokered connection {}: {fault}", info.service_id));
        }
    }
}
