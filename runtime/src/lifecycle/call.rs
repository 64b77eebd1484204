//! A request's way to the plugin: to the generation that serves, or to the one start that is under way; sent again only
//! when that is safe.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use palisade_contract::{Existence, Request, Response};
use tokio::time::timeout_at;

use super::drain::Inside;
use super::state::State;
use super::supervisor::View;
use super::trial::Turn;
use super::{Generation, Supervised};
use crate::driver::Instance;
use crate::services::Deadline;
use crate::{CallError, LaunchError};

/// The longest rest that a request waits out. During a longer one it is refused at once.
const PATIENCE: Duration = Duration::from_secs(1);

/// Drivers keep deadlines themselves. One that does not is left this much later.
const MARGIN: Duration = Duration::from_millis(500);

impl Supervised {
    /// Answers a request.
    pub(crate) async fn handle(
        &self,
        request: Box<Request>,
        deadline: Deadline,
    ) -> Result<Option<Box<Response>>, CallError> {
        self.ask(Question::Request, request, deadline, |instance, request| {
            instance.handle(request, deadline)
        })
        .await
    }

    /// Asks whether the thing at the request's path exists.
    pub(crate) async fn exists(
        &self,
        request: Box<Request>,
        deadline: Deadline,
    ) -> Result<Existence, CallError> {
        self.ask(
            Question::Existence,
            request,
            deadline,
            |instance, request| instance.exists(request, deadline),
        )
        .await
    }

    async fn ask<T>(
        &self,
        question: Question,
        request: Box<Request>,
        deadline: Deadline,
        send: impl for<'a> Fn(&'a dyn Instance, Box<Request>) -> BoxFuture<'a, Result<T, CallError>>,
    ) -> Result<T, CallError> {
        let (generation, entered) = self.enter(deadline, 0).await?;
        // Only a process dies for reasons that are not the request's own, and takes others' requests with it.
        let spare = generation.is_process().then(|| request.clone());
        let call = send(generation.instance(), request);
        let first = self.within(&generation, question, deadline, call).await;
        let (Err(CallError::Crashed { sent, reason, .. }), Some(again)) = (&first, spare) else {
            return first;
        };
        // Before its turn ends: nobody else is to try what is dead.
        self.gone(generation.number(), reason);
        drop(entered);
        if *sent && !question.is_harmless(&generation, &again) {
            return first;
        }
        // It had no effect that counts: should nothing run now, that is all there is to know.
        let (generation, _entered) = self.enter(deadline, generation.number()).await?;
        let call = send(generation.instance(), again);
        self.within(&generation, question, deadline, call).await
    }

    /// Ends a call at its deadline, or when its generation is cut off; what it has not committed is then gone.
    async fn within<T>(
        &self,
        generation: &Generation,
        question: Question,
        deadline: Deadline,
        call: BoxFuture<'_, Result<T, CallError>>,
    ) -> Result<T, CallError> {
        // What is answered at once need not wait to be told to leave.
        let answer = tokio::select! {
            biased;
            answer = self.by(generation, deadline, call) => answer,
            () = generation.gate().cut_off() => Err(CallError::Stopping),
        };
        if answer.is_ok() {
            generation.has_answered();
        }
        let passes = question == Question::Request && shows_life(&answer);
        if let Some(trial) = generation.trial().filter(|_| passes) {
            trial.pass();
        }
        answer
    }

    /// A clock costs a call two system calls and a wake, so there is a second one only where it is needed.
    async fn by<T>(
        &self,
        generation: &Generation,
        deadline: Deadline,
        call: BoxFuture<'_, Result<T, CallError>>,
    ) -> Result<T, CallError> {
        if generation.instance().keeps_deadlines() {
            return call.await;
        }
        let answer = timeout_at((deadline.at() + MARGIN).into(), call).await;
        answer.unwrap_or_else(|_| Err(self.late(deadline)))
    }

    /// Goes into the generation that serves, newer than `dead`.
    async fn enter(
        &self,
        deadline: Deadline,
        mut dead: u64,
    ) -> Result<(Arc<Generation>, Entered), CallError> {
        loop {
            let generation = self.current(deadline, dead).await?;
            let turn = self.turn(&generation, deadline).await?;
            match generation.gate().enter() {
                Some(inside) => return Ok((generation, (inside, turn))),
                // Its gate has just been closed: the route moves on, or the mount goes away.
                None => dead = generation.number(),
            }
        }
    }

    /// Waits until another request has tried a generation that is on trial, or may itself.
    async fn turn(
        &self,
        generation: &Generation,
        deadline: Deadline,
    ) -> Result<Option<Turn>, CallError> {
        let Some(trial) = generation.trial() else {
            return Ok(None);
        };
        let until = Instant::now() + PATIENCE.min(deadline.left());
        match trial.turn(until).await {
            Some(turn) => Ok(Some(turn)),
            None => Err(CallError::Launch(LaunchError::OnTrial {
                plugin: self.label.clone(),
                failures: self.view.borrow().failures,
            })),
        }
    }

    /// The generation that serves, newer than `dead`; waits for a start until the deadline.
    async fn current(&self, deadline: Deadline, dead: u64) -> Result<Arc<Generation>, CallError> {
        if let Some(generation) = newer(&self.view.borrow(), dead) {
            return Ok(generation);
        }
        let mut view = self.view.clone();
        let failed_starts = view.borrow().failed_starts;
        loop {
            match decide(
                &view.borrow_and_update(),
                dead,
                failed_starts,
                deadline,
                &self.label,
            ) {
                Decision::Use(generation) => return Ok(generation),
                Decision::Refuse(error) => return Err(error),
                Decision::WakeAndWait => self.wake.notify_one(),
                Decision::Wait => {}
            }
            match timeout_at(deadline.at().into(), view.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_supervisor_ended)) => return Err(CallError::Stopping),
                Err(_elapsed) => return Err(self.late(deadline)),
            }
        }
    }

    fn late(&self, deadline: Deadline) -> CallError {
        CallError::Timeout {
            plugin: self.label.clone(),
            limit: deadline.limit(),
        }
    }
}

/// What a plugin is asked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Question {
    /// To do what the request says, which tries a generation that is on trial.
    Request,
    /// Whether the thing at the request's path exists. That tries nothing: the request itself comes after it.
    Existence,
}

impl Question {
    /// Whether asking twice does no more than asking once.
    fn is_harmless(self, generation: &Generation, request: &Request) -> bool {
        match self {
            Self::Request => generation.may_be_sent_twice(request),
            Self::Existence => true,
        }
    }
}

/// A place inside a generation, and its turn where that is on trial. The turn outlasts the place.
type Entered = (Inside, Option<Turn>);

enum Decision {
    Use(Arc<Generation>),
    Wait,
    WakeAndWait,
    Refuse(CallError),
}

fn newer(view: &View, dead: u64) -> Option<Arc<Generation>> {
    let serves = matches!(view.state, State::Running | State::Replacing);
    view.generation
        .as_ref()
        .filter(|generation| serves && generation.number() > dead)
        .cloned()
}

/// What a request does that sees `view`, and saw `failed_starts` failed starts when it came.
fn decide(view: &View, dead: u64, failed_starts: u64, deadline: Deadline, label: &str) -> Decision {
    if let Some(generation) = newer(view, dead) {
        return Decision::Use(generation);
    }
    match (view.state, &view.last_failure) {
        (State::Draining | State::Stopped, _) => Decision::Refuse(CallError::Stopping),
        // The start that it waited for failed.
        (_, Some(error)) if view.failed_starts > failed_starts => {
            Decision::Refuse(CallError::Launch(LaunchError::clone(error)))
        }
        (State::Down, _) => Decision::WakeAndWait,
        (State::Resting, _) => rest(view, deadline, label),
        (State::Starting | State::Running | State::Replacing, _) => Decision::Wait,
    }
}

fn rest(view: &View, deadline: Deadline, label: &str) -> Decision {
    let left = |until: Instant| until.saturating_duration_since(Instant::now());
    let wait = view.rest_until.map(left).unwrap_or_default();
    if wait <= PATIENCE.min(deadline.left()) {
        return Decision::Wait;
    }
    Decision::Refuse(CallError::Launch(LaunchError::Backoff {
        plugin: label.to_owned(),
        failures: view.failures,
        wait,
    }))
}

/// Whether what became of a call shows that the plugin survives one.
fn shows_life<T>(answer: &Result<T, CallError>) -> bool {
    matches!(answer, Ok(_) | Err(CallError::Plugin(_)))
}
