//! Those who wait at a connection, and which of them is woken to drive it.
//!
//! The caller that came last drives: it has just sent something, and is the likeliest to be answered next. Where no
//! caller can be counted on, the connection's own task does it.

use std::task::Waker;

/// What a caller that waits is good for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// It waits for an answer that should come soon, and drives for all until then.
    Driver,
    /// It may wait for long, and is only told of the end.
    Onlooker,
}

/// A caller's seat, once it has one.
pub(super) type Number = Option<u64>;

/// Callers in the order in which they came, and the task.
#[derive(Default)]
pub(super) struct Seats {
    /// By rising numbers.
    callers: Vec<Caller>,
    next: u64,
    /// What `next` was when the clock struck last.
    marked: u64,
    /// Who sat down before this number is not counted on any longer.
    counted_from: u64,
    task: Option<Waker>,
}

struct Caller {
    number: u64,
    role: Role,
    waker: Waker,
}

impl Seats {
    /// Seats a caller, or notes by which waker it waits now. Gives back the waker that it waited by before: dropping one
    /// may run anything, so that is not done here.
    pub(super) fn sit(&mut self, seat: &mut Number, role: Role, waker: &Waker) -> Option<Waker> {
        let known = seat.and_then(|number| self.position(number));
        if let Some(caller) = known.and_then(|position| self.callers.get_mut(position)) {
            let same = caller.waker.will_wake(waker);
            return (!same).then(|| std::mem::replace(&mut caller.waker, waker.clone()));
        }
        let number = self.next;
        self.next += 1;
        *seat = Some(number);
        self.callers.push(Caller {
            number,
            role,
            waker: waker.clone(),
        });
        None
    }

    /// Frees a seat, and gives back the waker of whoever sat there.
    pub(super) fn leave(&mut self, number: u64) -> Option<Waker> {
        let position = self.position(number)?;
        Some(self.callers.remove(position).waker)
    }

    fn position(&self, number: u64) -> Option<usize> {
        let found = self
            .callers
            .binary_search_by_key(&number, |caller| caller.number);
        found.ok()
    }

    /// The task that drives when no caller does.
    pub(super) fn set_task(&mut self, waker: &Waker) -> Option<Waker> {
        match &mut self.task {
            Some(task) if task.will_wake(waker) => None,
            task => task.replace(waker.clone()),
        }
    }

    pub(super) fn task(&self) -> Option<Waker> {
        self.task.clone()
    }

    /// Who is to drive now.
    pub(super) fn driver(&self) -> Option<Waker> {
        let caller = self.callers.iter().rev().find(|caller| self.counts(caller));
        caller.map_or_else(|| self.task(), |caller| Some(caller.waker.clone()))
    }

    fn counts(&self, caller: &Caller) -> bool {
        caller.role == Role::Driver && caller.number >= self.counted_from
    }

    /// At each stroke of the clock, those who were there at the last one are not counted on any longer: their answer
    /// takes long, or whoever holds them does not poll them. False when the clock may stop, since nobody came.
    pub(super) fn strike(&mut self) -> bool {
        let somebody_came = self.next != self.marked;
        self.counted_from = self.marked;
        self.marked = self.next;
        somebody_came
    }

    /// Everybody, to be told of the end.
    pub(super) fn clear(&mut self) -> Vec<Waker> {
        let callers = self.callers.drain(..).map(|caller| caller.waker);
        callers.chain(self.task.take()).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::driver::testing::Count;

    /// Somebody who can be woken.
    struct Person {
        seat: Number,
        waker: Waker,
    }

    impl Person {
        fn new() -> Self {
            Self {
                seat: None,
                waker: Arc::<Count>::default().waker(),
            }
        }

        fn sit(&mut self, seats: &mut Seats, role: Role) {
            seats.sit(&mut self.seat, role, &self.waker);
        }

        fn drives(&self, seats: &Seats) -> bool {
            let driver = seats.driver();
            driver.is_some_and(|driver| driver.will_wake(&self.waker))
        }
    }

    fn with_task() -> (Seats, Person) {
        let (mut seats, task) = (Seats::default(), Person::new());
        seats.set_task(&task.waker);
        (seats, task)
    }

    #[test]
    fn the_last_that_came_drives_and_the_task_when_all_have_left() {
        let (mut seats, task) = with_task();
        let (mut first, mut second) = (Person::new(), Person::new());
        first.sit(&mut seats, Role::Driver);
        second.sit(&mut seats, Role::Driver);
        first.sit(&mut seats, Role::Driver);
        assert!(second.drives(&seats));
        seats.leave(second.seat.unwrap());
        assert!(first.drives(&seats));
        seats.leave(first.seat.unwrap());
        assert!(task.drives(&seats));
    }

    #[test]
    fn an_onlooker_never_drives() {
        let (mut seats, task) = with_task();
        let mut onlooker = Person::new();
        onlooker.sit(&mut seats, Role::Onlooker);
        assert!(task.drives(&seats));
        assert_eq!(seats.clear().len(), 2);
    }

    #[test]
    fn a_caller_that_waits_for_long_is_not_counted_on() {
        let (mut seats, task) = with_task();
        let (mut slow, mut late) = (Person::new(), Person::new());
        slow.sit(&mut seats, Role::Driver);
        assert!(seats.strike());
        assert!(slow.drives(&seats));
        late.sit(&mut seats, Role::Driver);
        assert!(seats.strike());
        seats.leave(late.seat.unwrap());
        assert!(task.drives(&seats));
        // Nobody came since.
        assert!(!seats.strike());
    }

    #[test]
    fn a_caller_is_woken_where_it_was_polled_last() {
        let (mut seats, _task) = with_task();
        let mut person = Person::new();
        person.sit(&mut seats, Role::Driver);
        let before = std::mem::replace(&mut person.waker, Person::new().waker);
        let displaced = seats.sit(&mut person.seat, Role::Driver, &person.waker);
        assert!(displaced.is_some_and(|waker| waker.will_wake(&before)));
        assert!(person.drives(&seats));
    }
}
