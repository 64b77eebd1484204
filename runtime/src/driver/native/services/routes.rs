//! Which service a call is for.

use std::convert::Infallible;

use palisade_protocol::pb::events_server::{self, EventsServer};
use palisade_protocol::pb::observations_server::{self, ObservationsServer};
use palisade_protocol::pb::storage_server::{self, StorageServer};
use palisade_protocol::pb::system_view_server::{self, SystemViewServer};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service as _};

use super::InstanceServices;
use crate::driver::native::serving::Question;

/// The largest message that a plugin may send to the host, in bytes: a stored value of the largest size and more, so
/// that one which is too large is refused by storage, with its words.
const MESSAGE_BYTES_MAX: usize = 72 << 20;

/// What a call will be answered; failures are answers too.
pub(in crate::driver::native) type Answer = BoxFuture<http::Response<Body>, Infallible>;

/// What is served on the socket of one instance.
#[derive(Clone)]
pub(in crate::driver::native) struct Services {
    /// None for a plugin that is only asked what it is.
    known: Option<Known>,
}

#[derive(Clone)]
struct Known {
    storage: StorageServer<InstanceServices>,
    system: SystemViewServer<InstanceServices>,
    events: EventsServer<InstanceServices>,
    observations: ObservationsServer<InstanceServices>,
}

impl Services {
    pub(super) fn of(instance: &InstanceServices) -> Self {
        let storage = StorageServer::new(instance.clone())
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(palisade_protocol::MESSAGE_BYTES_MAX);
        let system =
            SystemViewServer::new(instance.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX);
        let known = Known {
            storage,
            system,
            events: EventsServer::new(instance.clone()),
            observations: ObservationsServer::new(instance.clone()),
        };
        Self { known: Some(known) }
    }

    /// Every call is answered UNIMPLEMENTED.
    pub(in crate::driver::native) fn none() -> Self {
        Self { known: None }
    }

    /// Starts a call. One that only Vault's hosts know is answered UNIMPLEMENTED.
    pub(in crate::driver::native) fn call(&self, request: http::Request<Question>) -> Answer {
        let service = request.uri().path().split('/').nth(1);
        match (&self.known, service) {
            (Some(known), Some(storage_server::SERVICE_NAME)) => {
                known.storage.clone().call(request)
            }
            (Some(known), Some(system_view_server::SERVICE_NAME)) => {
                known.system.clone().call(request)
            }
            (Some(known), Some(events_server::SERVICE_NAME)) => known.events.clone().call(request),
            (Some(known), Some(observations_server::SERVICE_NAME)) => {
                known.observations.clone().call(request)
            }
            _ => Box::pin(async { Ok(Status::unimplemented("").into_http()) }),
        }
    }
}
