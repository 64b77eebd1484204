//! The connection between its callers: whoever has something to do there takes it, moves it on, and gives it back.
//!
//! A caller polls the connection itself once its request is queued, so that head and body leave at once and together, and
//! polls it again when its answer may have come. No other task is woken for a call. Each poll is made with one and the
//! same waker, which wakes whoever is to drive at that moment: nobody has to hand over a waker when it leaves.
//!
//! What holds: while `stirred` is set, the connection is taken, and whoever has it looks again before it gives it back,
//! or one who is to drive was woken since; one who leaves without having driven wakes the next. The lock is held for
//! moments only: never while the connection is polled, never while anything is woken or dropped.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use bytes::Bytes;
use h2::client::SendRequest;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::exchange::Queued;
use super::seats::{Number, Role, Seats};

/// How often a caller polls the connection in one turn, when there is more to do after each time.
const ROUNDS_MAX: usize = 4;

/// What drives h2 on, and ends with the connection.
pub(super) type Connection = Pin<Box<dyn Future<Output = Result<(), h2::Error>> + Send>>;

/// What all callers share.
pub(super) struct Driver {
    state: Mutex<State>,
    /// Something happened since the connection was polled last.
    stirred: AtomicBool,
    /// A panic ended the connection.
    wrecked: AtomicBool,
    /// Those of the queue, closed with the connection.
    places: Arc<Semaphore>,
}

struct State {
    place: Place,
    /// Requests that h2 has not been given yet.
    queue: VecDeque<Queued>,
    seats: Seats,
    /// Whether the task's clock runs.
    watched: bool,
    /// Nobody will send anything any more.
    released: bool,
}

/// Where the connection is.
enum Place {
    Idle(Line),
    Taken,
    Ended,
}

/// The connection, and h2's end for requests.
pub(super) struct Line {
    connection: Connection,
    sender: Option<SendRequest<Bytes>>,
    /// The place of the one request that h2 has and for which the peer admits no stream yet.
    opening: Option<OwnedSemaphorePermit>,
}

impl Line {
    pub(super) fn new(connection: Connection, sender: SendRequest<Bytes>) -> Self {
        Self {
            connection,
            sender: Some(sender),
            opening: None,
        }
    }

    /// Whether h2 takes a request: it has none that waits for a stream.
    fn poll_sender(&mut self, context: &mut Context<'_>) -> Poll<Option<&mut SendRequest<Bytes>>> {
        let Some(sender) = &mut self.sender else {
            return Poll::Ready(None);
        };
        let Poll::Ready(outcome) = sender.poll_ready(context) else {
            return Poll::Pending;
        };
        self.opening = None;
        Poll::Ready(outcome.is_ok().then_some(sender))
    }
}

impl Driver {
    pub(super) fn new(line: Line, places: Arc<Semaphore>) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                place: Place::Idle(line),
                queue: VecDeque::new(),
                seats: Seats::default(),
                watched: false,
                released: false,
            }),
            // Nothing has been sent of what opens a connection.
            stirred: AtomicBool::new(true),
            wrecked: AtomicBool::new(false),
            places,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_stirred(&self) -> bool {
        self.stirred.load(Ordering::Acquire)
    }

    /// Whether h2 may have been left half-way: what it gave out must not be touched.
    pub(super) fn is_wrecked(&self) -> bool {
        self.wrecked.load(Ordering::Acquire)
    }

    #[cfg(test)]
    pub(super) fn has_ended(&self) -> bool {
        matches!(self.state().place, Place::Ended)
    }

    /// Queues a request for the caller's own next turn. After the end it is dropped, which says that it never left.
    fn submit(&self, queued: Queued) {
        let mut state = self.state();
        if matches!(state.place, Place::Ended) {
            drop(state);
            return drop(queued);
        }
        state.queue.push_back(queued);
        self.stirred.store(true, Ordering::Release);
    }

    /// Takes requests out of the queue that nobody waits for any more.
    pub(super) fn forget_cancelled(&self) {
        let mut state = self.state();
        let (cancelled, queue) = std::mem::take(&mut state.queue)
            .into_iter()
            .partition::<VecDeque<_>, _>(Queued::is_cancelled);
        state.queue = queue;
        drop(state);
        drop(cancelled);
    }

    /// Nobody will send anything any more: what is under way is finished, and the connection closed.
    pub(super) fn release(&self) {
        let mut state = self.state();
        state.released = true;
        let sender = match &mut state.place {
            Place::Idle(line) => line.sender.take(),
            Place::Taken | Place::Ended => None,
        };
        drop(state);
        drop(sender);
    }

    /// The task's own turn, if something is to be done; `None` after the end.
    pub(super) fn attend(
        self: &Arc<Self>,
        waker: &Waker,
        clock_struck: bool,
    ) -> Option<Attendance<'_>> {
        let mut state = self.state();
        if matches!(state.place, Place::Ended) {
            return None;
        }
        let displaced = state.seats.set_task(waker);
        if clock_struck {
            state.watched = state.seats.strike();
        }
        let watched = state.watched;
        let turn = self.take(state);
        drop(displaced);
        Some(Attendance { turn, watched })
    }

    /// The connection, if something is to be done there and nobody is at it.
    fn take(self: &Arc<Self>, mut state: MutexGuard<'_, State>) -> Option<Turn<'_>> {
        if !self.is_stirred() {
            return None;
        }
        match std::mem::replace(&mut state.place, Place::Taken) {
            Place::Idle(line) => Some(Turn {
                driver: self,
                line: Some(line),
                orderly: false,
            }),
            other => {
                state.place = other;
                None
            }
        }
    }

    fn give_back(&self, mut line: Line) {
        let mut state = self.state();
        let sender = state.released.then(|| line.sender.take());
        if matches!(state.place, Place::Ended) {
            drop(state);
            return drop(line);
        }
        state.place = Place::Idle(line);
        let next = self.next_driver(&state);
        drop(state);
        wake(next);
        drop(sender);
    }

    /// Who has to be woken, if anybody: the connection waits for it.
    fn next_driver(&self, state: &State) -> Option<Waker> {
        let due = self.is_stirred() && matches!(state.place, Place::Idle(_));
        due.then(|| state.seats.driver()).flatten()
    }

    /// The end for everyone: what is queued never left, and whoever waits looks what became of it.
    pub(super) fn end(&self, orderly: bool) {
        if !orderly {
            self.wrecked.store(true, Ordering::Release);
        }
        self.places.close();
        let mut state = self.state();
        let place = std::mem::replace(&mut state.place, Place::Ended);
        let queue = std::mem::take(&mut state.queue);
        let everybody = state.seats.clear();
        drop(state);
        drop((place, queue));
        everybody.into_iter().for_each(Waker::wake);
    }
}

/// The one waker with which the connection is polled.
impl Wake for Driver {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.stirred.swap(true, Ordering::AcqRel) {
            let next = self.next_driver(&self.state());
            wake(next);
        }
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// What the connection's task finds.
pub(super) struct Attendance<'a> {
    pub(super) turn: Option<Turn<'a>>,
    /// Whether callers are to be watched.
    pub(super) watched: bool,
}

/// The connection in the hands of one. Dropping it gives it back.
pub(super) struct Turn<'a> {
    driver: &'a Arc<Driver>,
    /// Not here when it has ended, or a poll of it panicked.
    line: Option<Line>,
    orderly: bool,
}

impl Turn<'_> {
    /// Sends what is queued and takes what has come.
    pub(super) fn drive(mut self) {
        let waker = Waker::from(Arc::clone(self.driver));
        let mut context = Context::from_waker(&waker);
        for _ in 0..ROUNDS_MAX {
            if !self.go_round(&mut context) {
                return;
            }
        }
    }

    /// One round; whether there is more to do.
    fn go_round(&mut self, context: &mut Context<'_>) -> bool {
        // A panic in here drops the connection, and whoever gives it back finds it missing.
        let Some(mut line) = self.line.take() else {
            return false;
        };
        self.driver.stirred.swap(false, Ordering::AcqRel);
        self.admit(&mut line, context);
        if line.connection.as_mut().poll(context).is_ready() {
            self.orderly = true;
            return false;
        }
        let has_opened = line.opening.is_some() && line.poll_sender(context).is_ready();
        self.line = Some(line);
        has_opened || self.driver.is_stirred()
    }

    /// Gives h2 what is queued, as long as it takes it.
    fn admit(&self, line: &mut Line, context: &mut Context<'_>) {
        while let Poll::Ready(sender) = line.poll_sender(context) {
            let Some(queued) = self.driver.state().queue.pop_front() else {
                return;
            };
            // Without a sender it is dropped, which says that it never left.
            if let Some(sender) = sender
                && let Some(place) = queued.send(sender)
            {
                line.opening = Some(place);
            }
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        match self.line.take() {
            Some(line) => self.driver.give_back(line),
            None => self.driver.end(self.orderly),
        }
    }
}

/// A caller's seat at the connection. It is free again when this is dropped.
pub(super) struct Seat {
    driver: Arc<Driver>,
    number: Number,
    role: Role,
}

impl Seat {
    pub(super) fn new(driver: Arc<Driver>, role: Role) -> Self {
        Self {
            driver,
            number: None,
            role,
        }
    }

    pub(super) fn driver(&self) -> &Arc<Driver> {
        &self.driver
    }

    /// Sends a request, behind those that wait already.
    pub(super) fn ask(&mut self, queued: Queued, waker: &Waker) {
        self.driver.submit(queued);
        self.drive(waker);
    }

    /// Moves the connection on, if something is to be done there and nobody is at it. The caller has to look afterwards
    /// whether what it waits for has come; it will be woken by `waker`.
    pub(super) fn drive(&mut self, waker: &Waker) {
        let mut state = self.driver.state();
        if matches!(state.place, Place::Ended) {
            return;
        }
        let displaced = state.seats.sit(&mut self.number, self.role, waker);
        let unwatched = self.role == Role::Driver && !state.watched;
        let task = unwatched.then(|| state.seats.task()).flatten();
        state.watched |= unwatched;
        let turn = self.driver.take(state);
        drop(displaced);
        if let Some(turn) = turn {
            turn.drive();
        }
        wake(task);
    }

    /// Lets go of what h2 gave out for a stream that is done. h2 wants to be polled then, which costs less here than
    /// elsewhere.
    pub(super) fn settle<T>(&self, handles: T) {
        let mut state = self.driver.state();
        let taken = match std::mem::replace(&mut state.place, Place::Taken) {
            Place::Idle(line) => Some(line),
            other => {
                state.place = other;
                None
            }
        };
        drop(state);
        let turn = taken.map(|line| Turn {
            driver: &self.driver,
            line: Some(line),
            orderly: false,
        });
        drop(handles);
        if let Some(turn) = turn {
            turn.drive();
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let Some(number) = self.number else { return };
        let mut state = self.driver.state();
        let left = state.seats.leave(number);
        let next = self.driver.next_driver(&state);
        drop(state);
        drop(left);
        wake(next);
    }
}
