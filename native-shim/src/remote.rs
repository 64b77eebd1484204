//! The host, over the brokered connection: the contract's [`Host`] for one call.

mod storage;
mod system;
mod transaction;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use palisade_contract::{Host, HostError, LogRecord, Storage, SystemView, Timestamp};
use palisade_protocol::MESSAGE_BYTES_MAX;
use palisade_protocol::convert::host_error_from_status;
use palisade_protocol::pb::storage_client::StorageClient;
use palisade_protocol::pb::system_view_client::SystemViewClient;
use tokio::sync::OnceCell;
use tonic::transport::Channel;
use tonic::{Request, Status};

use crate::log;
use storage::RemoteStorage;
use system::RemoteSystem;

/// How long a call to the host may take where the host's own call has no deadline.
const HOST_CALL_MAX: Duration = Duration::from_secs(90);

/// One mount's connection to the host.
pub(crate) struct Link {
    storage: StorageClient<Channel>,
    system: SystemViewClient<Channel>,
    /// Whether the storage has transactions; asked for when it first matters.
    transactional: OnceCell<bool>,
}

impl Link {
    pub(crate) fn new(channel: Channel) -> Self {
        Self {
            storage: StorageClient::new(channel.clone())
                .max_decoding_message_size(MESSAGE_BYTES_MAX)
                .max_encoding_message_size(MESSAGE_BYTES_MAX),
            system: SystemViewClient::new(channel)
                .max_decoding_message_size(MESSAGE_BYTES_MAX)
                .max_encoding_message_size(MESSAGE_BYTES_MAX),
            transactional: OnceCell::new(),
        }
    }
}

/// How long the caller waits, counted from when its call arrived.
#[derive(Clone, Copy)]
pub(crate) struct Budget {
    until: Option<Instant>,
}

impl Budget {
    pub(crate) fn starting_now(limit: Option<Duration>) -> Self {
        let until = limit.and_then(|limit| Instant::now().checked_add(limit));
        Self { until }
    }

    fn left(self) -> Option<Duration> {
        self.until
            .map(|until| until.saturating_duration_since(Instant::now()))
    }

    /// A message to the host that is not waited for longer than that.
    fn request<T>(self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.set_timeout(self.left().unwrap_or(HOST_CALL_MAX).min(HOST_CALL_MAX));
        request
    }
}

fn failed(status: Status) -> HostError {
    host_error_from_status(&status)
}

/// The host as one call sees it.
pub(crate) struct CallHost {
    storage: RemoteStorage,
    system: RemoteSystem,
    budget: Budget,
}

impl CallHost {
    pub(crate) fn new(link: &Arc<Link>, budget: Budget) -> Self {
        Self {
            storage: RemoteStorage::new(Arc::clone(link), budget),
            system: RemoteSystem::new(link.system.clone(), budget),
            budget,
        }
    }
}

impl Host for CallHost {
    fn storage(&self) -> &dyn Storage {
        &self.storage
    }

    fn system(&self) -> &dyn SystemView {
        &self.system
    }

    fn log(&self, record: LogRecord<'_>) {
        log::write(record);
    }

    fn now(&self) -> Timestamp {
        SystemTime::now().into()
    }

    fn random(&self, bytes: &mut [u8]) {
        aws_lc_rs::rand::fill(bytes)
            .expect("the kernel gives randomness from its start to its end");
    }

    fn time_left(&self) -> Option<Duration> {
        self.budget.left()
    }
}
