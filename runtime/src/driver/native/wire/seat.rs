//! A caller at the connection, from when it first waits until it leaves.

use std::sync::Arc;
use std::task::Waker;

use super::driver::Driver;
use super::exchange::Queued;
use super::seats::{Number, Role};
use crate::driver::native::bell::Bell;

/// A caller's seat at the connection. It is free again when this is dropped.
pub(super) struct Seat {
    driver: Arc<Driver>,
    number: Number,
    role: Role,
    /// What h2 rings when something comes for this caller.
    bell: Arc<Bell>,
}

impl Seat {
    pub(super) fn new(driver: Arc<Driver>, role: Role) -> Self {
        Self {
            driver,
            number: None,
            role,
            bell: Arc::default(),
        }
    }

    /// Another seat for the same caller, who is done with this one.
    pub(super) fn another(&self, role: Role) -> Self {
        Self {
            driver: Arc::clone(&self.driver),
            number: None,
            role,
            bell: Arc::clone(&self.bell),
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
    /// whether what it waits for has come, with [`Self::waker`]; its task is the one of `waker`.
    pub(super) fn drive(&mut self, waker: &Waker) {
        self.bell.begin(waker);
        if let Some(turn) = self.driver.sit(&mut self.number, self.role, waker) {
            turn.drive();
        }
        // Whether it rang makes no difference: the caller looks.
        self.bell.end();
    }

    /// What to wait by for anything of h2's.
    pub(super) fn waker(&self) -> Waker {
        self.bell.waker()
    }

    /// Lets go of what h2 gave out for a stream that is done. h2 wants to be polled then, which costs less here than
    /// elsewhere.
    pub(super) fn settle<T>(&self, handles: T) {
        let turn = self.driver.take();
        drop(handles);
        if let Some(turn) = turn {
            turn.drive();
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.driver.leave(number);
        }
    }
}
