//! One mount of a plugin's process.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use palisade_contract::{Description, Existence, Request, Response, SetupConfig};
use palisade_protocol::convert::{existence_from_reply, plugin_error, response_from_reply};
use palisade_protocol::pb;
use tokio::time::Instant;

use super::broker::Brokered;
use super::call::{Caller, or_nothing};
use super::client::Client;
use super::process::NativeProcess;
use super::processes::{Departure, Place};
use super::seat::Seat;
use super::services::{InstanceServices, Phase, Services};
use super::startup::Startup;
use crate::driver::{Exit, Instance, LaunchPlan, StartTimes};
use crate::services::{Changes, Deadline, Untold};
use crate::{CallError, ErrorKind, LaunchError, Limits};

/// How long `stop` waits for the process when it has no grace at all.
const SHUTDOWN_MINIMUM: Duration = Duration::from_millis(50);

/// One mount of a process.
pub(super) struct NativeInstance {
    label: String,
    limits: Arc<Limits>,
    description: Description,
    services: InstanceServices,
    seat: Seat,
    _brokered: Brokered,
}

impl NativeInstance {
    /// Introduces the mount to the process: its services, its configuration, and what it is.
    pub(super) async fn set_up(
        place: Place,
        plan: LaunchPlan,
        startup: &Startup<'_>,
    ) -> Result<Self, LaunchError> {
        let LaunchPlan {
            label,
            plugin_type,
            limits,
            config,
            services,
            ..
        } = plan;
        let process = place.process();
        let client = Client::new(process.wire(), &limits);
        let services = InstanceServices::new(services, limits.request_timeout);
        let brokered = process.broker().serve(Services::Of(services.clone())).await;
        let brokered = brokered.map_err(|fault| startup.failed(fault))?;
        // From here on the plugin may know it.
        let seat = Seat::new(client, place);
        let introduced = async {
            let client = seat.client();
            client
                .set_up(startup, &label, SetupConfig::clone(&config), brokered.id())
                .await?;
            client.describe(startup, &label, plugin_type).await
        };
        let description = seat.judged(introduced.await, |error: &LaunchError| {
            error.kind() == ErrorKind::LaunchTimeout
        })?;
        services.enter(Phase::Running);
        Ok(Self {
            label,
            limits,
            description,
            services,
            seat,
            _brokered: brokered,
        })
    }

    fn process(&self) -> &NativeProcess {
        self.seat.process()
    }

    fn client(&self) -> &Client {
        self.seat.client()
    }

    fn caller(&self) -> Caller<'_> {
        Caller::new(&self.label, self.process(), &self.limits)
    }

    /// Tells the plugin which keys other live stores of the mount have committed: there are others while a new generation
    /// takes over. The request itself has not left by then, whatever becomes of this.
    async fn catch_up(&self, deadline: Deadline) -> Result<(), CallError> {
        while let Some(Untold { changes, upto }) = self.services.untold() {
            match changes {
                Changes::Keys(keys) => self.tell(&keys, deadline).await.map_err(unsent)?,
                Changes::Lost => return Err(self.lost_track()),
            }
            self.services.told(upto);
        }
        Ok(())
    }

    async fn tell(&self, keys: &[Arc<str>], deadline: Deadline) -> Result<(), CallError> {
        for key in keys {
            self.invalidate(key, deadline).await?;
        }
        Ok(())
    }

    /// What the instance remembers may be wrong, and nobody knows what of it: whoever is told this retires it, and a new
    /// one takes its place.
    fn lost_track(&self) -> CallError {
        let reason = "it missed too many commits of others".to_owned();
        self.caller().crashed(reason, false)
    }

    fn check_size(&self, what: &'static str, body: &str) -> Result<(), CallError> {
        let (bytes, limit) = (body.len() as u64, self.limits.message_bytes);
        if bytes > limit {
            Err(CallError::TooLarge { what, bytes, limit })
        } else {
            Ok(())
        }
    }
}

#[async_trait]
impl Instance for NativeInstance {
    fn description(&self) -> &Description {
        &self.description
    }

    /// Everything that it waits for goes through its [`Caller`].
    fn keeps_deadlines(&self) -> bool {
        true
    }

    async fn initialize(&self, deadline: Deadline) -> Result<(), CallError> {
        let request = self.client().request(pb::InitializeArgs {}, deadline);
        let mut backend = self.client().backend.clone();
        let call = Box::pin(async move { or_nothing(backend.initialize(request).await) });
        let reply = self.caller().run(deadline, call).await;
        let reply = self
            .seat
            .judged(reply, |error| error.kind() == ErrorKind::Timeout)?;
        plugin_error(reply.err).map_err(CallError::Plugin)
    }

    async fn handle(
        &self,
        request: Box<Request>,
        deadline: Deadline,
    ) -> Result<Option<Box<Response>>, CallError> {
        self.check_size("request body", request.data.as_str())?;
        self.catch_up(deadline).await?;
        let request = self
            .client()
            .request(pb::HandleRequestArgs::from(*request), deadline);
        let mut backend = self.client().backend.clone();
        let caller = self.caller();
        let reply = caller
            .run(deadline, Box::pin(backend.handle_request(request)))
            .await?;
        let answer = response_from_reply(reply).map_err(|fault| caller.broke_protocol(fault))?;
        let response = answer.map_err(|error| caller.refused(error, deadline))?;
        if let Some(response) = &response {
            self.check_size("response", response.data.as_str())?;
        }
        Ok(response.map(Box::new))
    }

    async fn exists(
        &self,
        request: Box<Request>,
        deadline: Deadline,
    ) -> Result<Existence, CallError> {
        self.check_size("request body", request.data.as_str())?;
        self.catch_up(deadline).await?;
        let request = self
            .client()
            .request(pb::HandleExistenceCheckArgs::from(*request), deadline);
        let mut backend = self.client().backend.clone();
        let caller = self.caller();
        let reply = caller
            .run(deadline, Box::pin(backend.handle_existence_check(request)))
            .await?;
        existence_from_reply(reply).map_err(|error| caller.refused(error, deadline))
    }

    async fn invalidate(&self, key: &str, deadline: Deadline) -> Result<(), CallError> {
        let args = pb::InvalidateKeyArgs {
            key: key.to_owned(),
        };
        let request = self.client().request(args, deadline);
        let mut backend = self.client().backend.clone();
        let call = Box::pin(async move { or_nothing(backend.invalidate_key(request).await) });
        self.caller().run(deadline, call).await?;
        Ok(())
    }

    async fn exited(&self) -> Exit {
        Exit {
            reason: self.process().process().exited().await.to_string(),
        }
    }

    async fn stop(&self, grace: Duration) {
        let until = Instant::now() + grace.max(SHUTDOWN_MINIMUM);
        if self.process().process().exit().is_none() {
            // Half of the time for each of the two: one that hangs in its cleanup can still be asked to end.
            self.client().say_goodbye(grace / 2).await;
        }
        self.services.enter(Phase::Ended);
        if self.seat.leave() == Departure::Last {
            self.process().stop(until).await;
        }
    }

    fn process_id(&self) -> Option<u32> {
        Some(self.process().process().id())
    }

    fn start_times(&self) -> Option<StartTimes> {
        Some(self.process().start_times())
    }

    fn memory_bytes(&self) -> Option<u64> {
        self.process().memory_bytes()
    }
}

impl Drop for NativeInstance {
    fn drop(&mut self) {
        self.services.enter(Phase::Ended);
    }
}

/// A crash on the way to the request, as the request's own end.
fn unsent(error: CallError) -> CallError {
    match error {
        CallError::Crashed {
            plugin,
            reason,
            out_of_memory,
            ..
        } => CallError::Crashed {
            plugin,
            reason,
            sent: false,
            out_of_memory,
        },
        other => other,
    }
}
