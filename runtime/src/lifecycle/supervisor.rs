//! One task per mount that owns what runs there: it alone starts, replaces and stops.
//!
//! Orders come in on a bounded queue, a request's wish for a start on a flag; what runs goes out on a watch.

use std::future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, oneshot, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::sleep_until;

use super::Generation;
use super::launch::{self, Prepared, Source, Started};
use super::orders::{Giver, Taker, orders};
use super::restart::Tally;
use super::state::{Effect, Event, State, step};
use crate::driver::Exit;
use crate::{LaunchError, Timeouts};

/// Orders that may wait for the supervisor.
const ORDERS_MAX: usize = 16;

/// What a supervisor lets others know.
#[derive(Clone)]
pub(crate) struct View {
    pub(super) state: State,
    pub(super) generation: Option<Arc<Generation>>,
    /// Rises with every start that failed while nothing served.
    pub(super) failed_starts: u64,
    /// Why the last one did.
    pub(super) last_failure: Option<Arc<LaunchError>>,
    /// Failures in a row.
    pub(super) failures: u32,
    /// Before this moment nothing is started.
    pub(super) rest_until: Option<Instant>,
}

impl View {
    /// What serves, if anything does.
    pub(crate) fn serving(&self) -> Option<&Arc<Generation>> {
        self.generation.as_ref()
    }
}

/// The handle to a supervisor. When the last one is dropped the supervisor stops what it runs.
pub(crate) struct Supervised {
    pub(super) label: String,
    pub(super) view: watch::Receiver<View>,
    pub(super) wake: Arc<Notify>,
    orders: Giver<Order>,
    stop_limit: Duration,
}

enum Order {
    Reload {
        prepared: Arc<Prepared>,
        done: Done,
    },
    /// A request found this generation gone, for this reason.
    Gone(u64, String),
    Stop(oneshot::Sender<()>),
}

type Done = oneshot::Sender<Result<(), LaunchError>>;

impl Supervised {
    /// Supervises a mount of which nothing runs yet.
    pub(crate) fn idle(label: &str, source: Arc<dyn Source>, timeouts: Arc<Timeouts>) -> Self {
        Self::start(label, source, timeouts, None)
    }

    /// Supervises an instance that is ready.
    pub(crate) fn adopt(
        label: &str,
        source: Arc<dyn Source>,
        timeouts: Arc<Timeouts>,
        running: Started,
    ) -> Self {
        Self::start(label, source, timeouts, Some(running))
    }

    fn start(
        label: &str,
        source: Arc<dyn Source>,
        timeouts: Arc<Timeouts>,
        running: Option<Started>,
    ) -> Self {
        let (orders, received) = orders(ORDERS_MAX);
        let wake = Arc::new(Notify::new());
        // Every step of stopping has its own limit; this is their sum, with room.
        let stop_limit = 2 * (timeouts.drain + timeouts.startup_call + 2 * timeouts.grace)
            + Duration::from_secs(15);
        let mut supervisor = Supervisor::new(
            label,
            source,
            timeouts,
            Arc::clone(&wake),
            received,
            running,
        );
        let view = supervisor.view.subscribe();
        // Moved into `run` it would be there twice: as what the task begins with, and as what it runs.
        tokio::spawn(async move { supervisor.run().await });
        Self {
            label: label.to_owned(),
            view,
            wake,
            orders,
            stop_limit,
        }
    }

    /// What runs now.
    pub(crate) fn view(&self) -> View {
        self.view.borrow().clone()
    }

    /// Starts a new generation and moves over to it once it is ready. If it will not be, the old one stays.
    pub(crate) async fn reload(&self, prepared: Arc<Prepared>) -> Result<(), LaunchError> {
        let (done, outcome) = oneshot::channel();
        let order = Order::Reload { prepared, done };
        self.orders
            .give(order)
            .await
            .map_err(|_| LaunchError::Stopping)?;
        outcome.await.unwrap_or(Err(LaunchError::Stopping))
    }

    /// Closes the gate, drains, and stops everything that runs or is being started.
    pub(crate) async fn stop(&self) {
        let stopping = async {
            let (done, stopped) = oneshot::channel();
            if self.orders.give(Order::Stop(done)).await.is_ok() {
                // An error means that the supervisor has ended, which is what was asked for.
                let _ = stopped.await;
            }
        };
        if tokio::time::timeout(self.stop_limit, stopping)
            .await
            .is_err()
        {
            tracing::error!(plugin = self.label, "it did not stop in time");
        }
    }

    /// Says that a generation does not answer any more. When the queue is full, others say so already.
    pub(super) fn gone(&self, generation: u64, reason: &str) {
        let order = Order::Gone(generation, reason.to_owned());
        let _ = self.orders.give_now(order);
    }
}

/// What the task hears.
enum Input {
    Order(Option<Order>),
    Launched(Box<Result<Launched, JoinError>>),
    Exited(Exit),
    Wanted,
    Rested,
    Drained,
    Retired,
}

type Launched = Result<Started, LaunchError>;

struct Supervisor {
    label: String,
    source: Arc<dyn Source>,
    timeouts: Arc<Timeouts>,
    state: State,
    view: watch::Sender<View>,
    wake: Arc<Notify>,
    orders: Taker<Order>,
    current: Option<Arc<Generation>>,
    /// What the next start starts; found out at the first one.
    prepared: Option<Arc<Prepared>>,
    /// What a reload wants to start; becomes `prepared` when it succeeds.
    wanted: Option<Arc<Prepared>>,
    /// The start that is under way.
    launching: Option<JoinSet<Launched>>,
    ready: Option<Started>,
    reloading: Option<Done>,
    starts: u64,
    failed_starts: u64,
    last_failure: Option<Arc<LaunchError>>,
    tally: Tally,
    rest_until: Option<Instant>,
    /// Closed generations on their way out.
    retiring: Option<JoinSet<()>>,
    stopping: Vec<oneshot::Sender<()>>,
    /// How long those inside are waited for, once the gate is closed for good.
    drain_until: Option<Instant>,
    /// Every handle is gone.
    orphaned: bool,
}

impl Supervisor {
    fn new(
        label: &str,
        source: Arc<dyn Source>,
        timeouts: Arc<Timeouts>,
        wake: Arc<Notify>,
        orders: Taker<Order>,
        running: Option<Started>,
    ) -> Self {
        let prepared = running.as_ref().map(|it| Arc::clone(&it.prepared));
        let current = running.map(|started| Arc::new(Generation::new(1, started, false)));
        let state = match current {
            Some(_) => State::Running,
            None => State::Down,
        };
        let view = View {
            state,
            generation: current.clone(),
            failed_starts: 0,
            last_failure: None,
            failures: 0,
            rest_until: None,
        };
        Self {
            label: label.to_owned(),
            source,
            timeouts,
            state,
            view: watch::Sender::new(view),
            wake,
            orders,
            starts: u64::from(current.is_some()),
            current,
            prepared,
            wanted: None,
            launching: None,
            ready: None,
            reloading: None,
            failed_starts: 0,
            last_failure: None,
            tally: Tally::default(),
            rest_until: None,
            retiring: None,
            stopping: Vec::new(),
            drain_until: None,
            orphaned: false,
        }
    }

    async fn run(&mut self) {
        while self.state != State::Stopped {
            let input = self.next().await;
            if let Some(event) = self.hear(input) {
                self.take(event).await;
            }
        }
        Box::pin(self.leave_nothing_behind()).await;
        for stopped in self.stopping.drain(..) {
            let _ = stopped.send(());
        }
    }

    /// Nothing that this mount ever started outlives its supervisor.
    async fn leave_nothing_behind(&mut self) {
        self.ready = None;
        // An aborted start ends at its next wait; a driver that computes for longer is not waited for.
        if let Some(launching) = &mut self.launching {
            let _ = tokio::time::timeout(self.timeouts.grace, launching.shutdown()).await;
        }
        while next_of(&mut self.retiring).await.is_some() {}
    }

    async fn next(&mut self) -> Input {
        tokio::select! {
            order = self.orders.take(), if !self.orphaned => Input::Order(order),
            Some(outcome) = next_of(&mut self.launching) => Input::Launched(Box::new(outcome)),
            exit = exited(self.current.as_deref()) => Input::Exited(exit),
            () = self.wake.notified() => Input::Wanted,
            () = until(self.rest_until) => Input::Rested,
            () = drained(self.drain_until, self.current.as_deref()) => Input::Drained,
            Some(_) = next_of(&mut self.retiring) => Input::Retired,
        }
    }

    /// What an input means as an event; what belongs to it is put where the effects find it.
    fn hear(&mut self, input: Input) -> Option<Event> {
        match input {
            Input::Order(order) => self.hear_order(order),
            Input::Launched(outcome) => Some(self.hear_outcome(*outcome)),
            Input::Exited(exit) => {
                tracing::warn!(plugin = self.label, reason = exit.reason, "it is gone");
                Some(Event::Exited)
            }
            Input::Wanted => Some(Event::Wanted),
            Input::Rested => Some(Event::Rested),
            Input::Drained => Some(Event::Drained),
            Input::Retired => None,
        }
    }

    fn hear_order(&mut self, order: Option<Order>) -> Option<Event> {
        match order {
            Some(Order::Reload { prepared, done }) => self.hear_reload(prepared, done),
            Some(Order::Gone(number, reason)) => self.hear_gone(number, &reason),
            Some(Order::Stop(done)) => {
                self.stopping.push(done);
                Some(Event::Stop)
            }
            None => {
                self.orphaned = true;
                Some(Event::Stop)
            }
        }
    }

    fn hear_gone(&mut self, number: u64, reason: &str) -> Option<Event> {
        if !self.is_current(number) {
            return None;
        }
        tracing::warn!(plugin = %self.label, reason, "it is gone");
        Some(Event::Exited)
    }

    fn hear_reload(&mut self, prepared: Arc<Prepared>, done: Done) -> Option<Event> {
        if step(self.state, Event::Reload).is_none() {
            let _ = done.send(Err(LaunchError::Stopping));
            return None;
        }
        self.answer_reload(Err(LaunchError::Failed {
            plugin: self.label.clone(),
            fault: "another reload took the place of this one".to_owned(),
        }));
        self.wanted = Some(prepared);
        self.reloading = Some(done);
        self.tally = Tally::default();
        Some(Event::Reload)
    }

    fn hear_outcome(&mut self, outcome: Result<Launched, JoinError>) -> Event {
        let panicked = |failure: JoinError| LaunchError::Failed {
            plugin: self.label.clone(),
            fault: format!("the driver failed: {failure}"),
        };
        match outcome.map_err(panicked).flatten() {
            Ok(ready) => {
                self.ready = Some(ready);
                Event::Started
            }
            Err(error) => {
                tracing::warn!(plugin = self.label, %error, "it could not be started");
                self.last_failure = Some(Arc::new(error));
                Event::Failed
            }
        }
    }

    fn is_current(&self, number: u64) -> bool {
        let current = self.current.as_ref();
        current.is_some_and(|generation| generation.number() == number)
    }

    /// Moves to the state that the event leads to, and does what that asks for.
    async fn take(&mut self, event: Event) {
        let Some((next, effect)) = step(self.state, event) else {
            return;
        };
        tracing::debug!(plugin = self.label, state = ?self.state, ?event, ?next, "step");
        let was = std::mem::replace(&mut self.state, next);
        if let Some(effect) = effect {
            self.perform(effect).await;
        }
        self.failed_starts += u64::from((was, event) == (State::Starting, Event::Failed));
        // Published before anybody is told: who hears that a reload is done looks at what it brought.
        self.publish();
        self.tell(event);
    }

    async fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Start | Effect::Restart => self.start(),
            Effect::Abandon => self.abandon(),
            Effect::Publish => self.install(),
            Effect::Swap => {
                self.retire_current();
                self.install();
            }
            Effect::Bury => self.retire_current(),
            Effect::BuryAndRest => {
                self.rest_after_exit();
                self.retire_current();
            }
            Effect::Rest => {
                self.tally = self.tally.after_failed_start();
                self.rest();
            }
            Effect::CloseGate => {
                self.abandon();
                self.close_gate();
                self.drain_until = Some(Instant::now() + self.timeouts.drain);
            }
            Effect::End => Box::pin(self.end()).await,
        }
    }

    /// Tells who waits for a reload what became of it.
    fn tell(&mut self, event: Event) {
        match event {
            Event::Failed => {
                self.wanted = None;
                if let Some(error) = self.last_failure.as_deref().cloned() {
                    self.answer_reload(Err(error));
                }
            }
            Event::Started => self.answer_reload(Ok(())),
            _ => {}
        }
    }

    fn start(&mut self) {
        self.rest_until = None;
        self.starts += 1;
        let source = Arc::clone(&self.source);
        let known = self.wanted.clone().or_else(|| self.prepared.clone());
        let timeouts = Arc::clone(&self.timeouts);
        // A fresh set: an outcome of a start that was given up is never heard.
        let mut launching = JoinSet::new();
        launching.spawn(async move {
            let prepared = match known {
                Some(prepared) => prepared,
                None => source.prepare().await?,
            };
            let started = launch::launch(prepared, &timeouts).await?;
            launch::initialize(&started, &timeouts).await?;
            Ok(started)
        });
        self.launching = Some(launching);
    }

    fn abandon(&mut self) {
        if let Some(launching) = &mut self.launching {
            launching.abort_all();
        }
        self.answer_reload(Err(LaunchError::Stopping));
    }

    fn install(&mut self) {
        let Some(started) = self.ready.take() else {
            return;
        };
        tracing::info!(
            plugin = self.label,
            start = self.starts,
            version = started.prepared.running_version,
            "it runs"
        );
        self.wanted = None;
        self.prepared = Some(Arc::clone(&started.prepared));
        let on_trial = self.tally.calls_for_a_trial();
        let generation = Generation::new(self.starts, started, on_trial);
        self.current = Some(Arc::new(generation));
    }

    fn close_gate(&self) {
        if let Some(generation) = &self.current {
            generation.gate().close();
        }
    }

    fn retire_current(&mut self) {
        self.close_gate();
        if let Some(generation) = self.current.take() {
            let retiring = self.retiring.get_or_insert_default();
            retiring.spawn(launch::retire(generation, Arc::clone(&self.timeouts)));
        }
    }

    fn rest_after_exit(&mut self) {
        let (ran, answered) = match &self.current {
            Some(current) => (current.started().elapsed(), current.answered()),
            None => Default::default(),
        };
        self.tally = self.tally.after_exit(ran, answered);
        self.rest();
    }

    fn rest(&mut self) {
        self.rest_until = Some(Instant::now() + self.tally.wait());
    }

    async fn end(&mut self) {
        if let Some(generation) = self.current.take() {
            // Published first: whoever looks meanwhile sees that nothing serves.
            self.publish();
            launch::end(&generation, &self.timeouts).await;
        }
    }

    fn answer_reload(&mut self, outcome: Result<(), LaunchError>) {
        if let Some(done) = self.reloading.take() {
            // Nobody listens when the operator has gone away.
            let _ = done.send(outcome);
        }
    }

    fn publish(&mut self) {
        if self.state != State::Resting {
            self.rest_until = None;
        }
        self.view.send_replace(View {
            state: self.state,
            generation: self.current.clone(),
            failed_starts: self.failed_starts,
            last_failure: self.last_failure.clone(),
            failures: self.tally.in_a_row(),
            rest_until: self.rest_until,
        });
    }
}

// Every supervisor has room for whatever it may ever wait for, unless that is in a box. What few of them wait for is.

async fn next_of<T: 'static>(tasks: &mut Option<JoinSet<T>>) -> Option<Result<T, JoinError>> {
    match tasks {
        Some(tasks) => tasks.join_next().await,
        None => None,
    }
}

async fn exited(current: Option<&Generation>) -> Exit {
    match current {
        Some(generation) => generation.instance().exited().await,
        None => future::pending().await,
    }
}

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => Box::pin(sleep_until(moment.into())).await,
        None => future::pending().await,
    }
}

async fn drained(until: Option<Instant>, current: Option<&Generation>) {
    match (until, current) {
        (Some(until), Some(generation)) => Box::pin(launch::drained(generation, until)).await,
        _ => future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future as _;
    use std::pin::pin;
    use std::sync::Mutex;
    use std::task::{Context, Poll, Wake, Waker};

    use super::*;
    use crate::lifecycle::testing::{FakeDriver, prepared};

    /// Passes a wake-up on, and keeps which start was to be seen at that moment.
    struct Looker {
        view: watch::Receiver<View>,
        seen: Mutex<Option<u64>>,
        waker: Waker,
    }

    impl Looker {
        /// One for the task that runs.
        async fn here(supervised: &Supervised) -> Arc<Self> {
            Arc::new(Self {
                view: supervised.view.clone(),
                seen: Mutex::default(),
                waker: future::poll_fn(|context| Poll::Ready(context.waker().clone())).await,
            })
        }
    }

    impl Wake for Looker {
        fn wake(self: Arc<Self>) {
            let serving = self.view.borrow().serving().map(|it| it.number());
            *self.seen.lock().unwrap() = serving;
            self.waker.wake_by_ref();
        }
    }

    struct Same(Arc<Prepared>);

    #[async_trait::async_trait]
    impl Source for Same {
        async fn prepare(&self) -> Result<Arc<Prepared>, LaunchError> {
            Ok(Arc::clone(&self.0))
        }
    }

    /// Whoever is told may look on another thread, before the supervisor does its next step.
    #[tokio::test]
    async fn what_a_reload_brought_is_to_be_seen_when_its_end_is_told() {
        let prepared = Arc::new(prepared(FakeDriver::new()));
        let source = Arc::new(Same(prepared.clone()));
        let supervised = Supervised::idle("fake", source, Arc::default());
        for start in 1..=3 {
            let looker = Looker::here(&supervised).await;
            let waker = Waker::from(Arc::clone(&looker));
            let mut reload = pin!(supervised.reload(prepared.clone()));
            let told = future::poll_fn(|_| reload.as_mut().poll(&mut Context::from_waker(&waker)));
            told.await.unwrap();
            assert_eq!(*looker.seen.lock().unwrap(), Some(start));
        }
    }
}
