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
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};

use tokio::sync::Semaphore;

use super::exchange::Queued;
use super::seats::{Number, Role, Seats};
use super::turn::{Line, Turn};

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

    pub(super) fn is_stirred(&self) -> bool {
        self.stirred.load(Ordering::Acquire)
    }

    /// Something is to be done at the connection, and whoever says so has it or takes it next.
    pub(super) fn stir(&self) {
        self.stirred.store(true, Ordering::Release);
    }

    /// Whoever has the connection is about to look at all that happened.
    pub(super) fn calm(&self) {
        self.stirred.swap(false, Ordering::AcqRel);
    }

    /// Whether h2 may have been left half-way: what it gave out must not be touched.
    pub(super) fn is_wrecked(&self) -> bool {
        self.wrecked.load(Ordering::Acquire)
    }

    /// Whether the connection is gone.
    pub(super) fn has_ended(&self) -> bool {
        matches!(self.state().place, Place::Ended)
    }

    /// Queues a request for the caller's own next turn. After the end it is dropped, which says that it never left.
    pub(super) fn submit(&self, queued: Queued) {
        let mut state = self.state();
        if matches!(state.place, Place::Ended) {
            drop(state);
            return drop(queued);
        }
        state.queue.push_back(queued);
        self.stir();
    }

    pub(super) fn next_queued(&self) -> Option<Queued> {
        self.state().queue.pop_front()
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
            Place::Idle(line) => line.take_sender(),
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
        let turn = self.take_if_stirred(&mut state);
        drop(state);
        drop(displaced);
        Some(Attendance { turn, watched })
    }

    /// Seats a caller that waits, and gives it the connection, if something is to be done there and nobody is at it.
    pub(super) fn sit(
        self: &Arc<Self>,
        seat: &mut Number,
        role: Role,
        waker: &Waker,
    ) -> Option<Turn<'_>> {
        let mut state = self.state();
        if matches!(state.place, Place::Ended) {
            return None;
        }
        let displaced = state.seats.sit(seat, role, waker);
        let unwatched = role == Role::Driver && !state.watched;
        let task = unwatched.then(|| state.seats.task()).flatten();
        state.watched |= unwatched;
        let turn = self.take_if_stirred(&mut state);
        drop(state);
        drop(displaced);
        wake(task);
        turn
    }

    /// Frees a seat.
    pub(super) fn leave(&self, number: u64) {
        let mut state = self.state();
        let left = state.seats.leave(number);
        let next = self.next_driver(&state);
        drop(state);
        drop(left);
        wake(next);
    }

    /// The connection, if nobody is at it.
    pub(super) fn take(self: &Arc<Self>) -> Option<Turn<'_>> {
        self.take_from(&mut self.state())
    }

    fn take_from(self: &Arc<Self>, state: &mut State) -> Option<Turn<'_>> {
        match std::mem::replace(&mut state.place, Place::Taken) {
            Place::Idle(line) => Some(Turn::new(self, line)),
            other => {
                state.place = other;
                None
            }
        }
    }

    /// The connection, if something is to be done there as well.
    fn take_if_stirred(self: &Arc<Self>, state: &mut State) -> Option<Turn<'_>> {
        self.is_stirred().then(|| self.take_from(state)).flatten()
    }

    pub(super) fn give_back(&self, mut line: Line) {
        let mut state = self.state();
        let sender = state.released.then(|| line.take_sender());
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
