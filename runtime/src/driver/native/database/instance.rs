//! One instance of a database plugin: its calls under its own name, and its end.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use palisade_contract::Json;
use palisade_protocol::database::database_client::DatabaseClient;
use palisade_protocol::database::{Empty, InitializeRequest, InitializeResponse};
use tokio::runtime::Handle;
use tokio::time::timeout;
use tonic::{Response, Status};

use super::super::client::{InstanceName, message_bytes_max};
use super::super::wire::Wire;
use super::Shared;
use crate::CallError;
use crate::driver::Database;
use crate::services::Deadline;

/// How long a plugin may take to say its type or to close, as OpenBao waits: neither needs the database.
const SHORT_CALL: Duration = Duration::from_secs(1);

/// The calls of one instance. Dropping it closes the instance, as far as that is still to be done.
pub(super) struct Calls {
    shared: Arc<Shared>,
    client: DatabaseClient<Wire>,
    name: InstanceName,
    is_closed: AtomicBool,
}

impl Calls {
    /// A name for an instance to be: the first call under it makes the instance.
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let wire = shared.process.wire();
        let bytes_max = message_bytes_max(&shared.limits);
        Self {
            client: DatabaseClient::with_origin(wire, Wire::origin())
                .max_decoding_message_size(bytes_max),
            shared,
            name: InstanceName::fresh(),
            is_closed: AtomicBool::new(false),
        }
    }

    pub(super) async fn kind(&self, deadline: Deadline) -> Result<String, CallError> {
        let mut client = self.client.clone();
        let limit = Deadline::after(SHORT_CALL.min(deadline.left()));
        let request = self.name.request(Empty {}, limit);
        let call = Box::pin(async move { client.r#type(request).await });
        Ok(self.short("Type", limit, call).await?.r#type)
    }

    pub(super) async fn initialize(
        &self,
        request: InitializeRequest,
        deadline: Deadline,
    ) -> Result<InitializeResponse, CallError> {
        let mut client = self.client.clone();
        let request = self.name.request(request, deadline);
        let call = Box::pin(async move { client.initialize(request).await });
        self.shared.caller().run_for_words(deadline, call).await
    }

    async fn close(&self) -> Result<(), CallError> {
        if self.is_closed.swap(true, Ordering::SeqCst) {
            return Ok(());
        }
        let mut client = self.client.clone();
        let limit = Deadline::after(SHORT_CALL);
        let request = self.name.request(Empty {}, limit);
        let call = Box::pin(async move { client.close(request).await });
        self.short("Close", limit, call).await?;
        Ok(())
    }

    /// A call whose time is its own, and nothing that an operator could change.
    async fn short<T>(
        &self,
        name: &'static str,
        deadline: Deadline,
        call: Pin<Box<impl Future<Output = Result<Response<T>, Status>>>>,
    ) -> Result<T, CallError> {
        let outcome = self.shared.caller().run_for_words(deadline, call).await;
        outcome.map_err(|error| match error {
            CallError::Timeout { plugin, limit } => CallError::Slow {
                plugin,
                call: name,
                limit,
            },
            other => other,
        })
    }
}

impl Drop for Calls {
    fn drop(&mut self) {
        let is_open = !self.is_closed.swap(true, Ordering::SeqCst);
        if let (true, Ok(runtime)) = (is_open, Handle::try_current()) {
            let mut client = self.client.clone();
            let request = self.name.request(Empty {}, Deadline::after(SHORT_CALL));
            // Whether it hears of that or not: nobody uses the instance any more.
            runtime.spawn(async move {
                let _ = timeout(SHORT_CALL, client.close(request)).await;
            });
        }
    }
}

/// A connected database.
pub(super) struct NativeDatabase {
    calls: Calls,
    kind: String,
    config: Json,
}

impl NativeDatabase {
    pub(super) fn new(calls: Calls, kind: String, config: Json) -> Self {
        Self {
            calls,
            kind,
            config,
        }
    }
}

#[async_trait]
impl Database for NativeDatabase {
    fn kind(&self) -> &str {
        &self.kind
    }

    fn config(&self) -> &Json {
        &self.config
    }

    async fn ask_kind(&self, deadline: Deadline) -> Result<String, CallError> {
        // It would make an instance anew.
        if self.calls.is_closed.load(Ordering::SeqCst) {
            return Err(self.calls.shared.invalid("this database was closed"));
        }
        self.calls.kind(deadline).await
    }

    async fn close(&self) -> Result<(), CallError> {
        self.calls.close().await
    }
}
