//! A mount's place in a process, and the name that it has there.

use std::time::Duration;

use tokio::runtime::Handle;

use super::client::Client;
use super::process::NativeProcess;
use super::processes::{Departure, Place};

/// How long a plugin may take to forget a mount that nobody stopped.
const FORGET_TIMEOUT: Duration = Duration::from_secs(2);

/// From its setup on the plugin knows the mount. Let go of without a stop, as by a setup that failed or was given up, the
/// plugin is told to forget it, if its process goes on for others.
pub(super) struct Seat {
    client: Client,
    place: Option<Place>,
}

impl Seat {
    pub(super) fn new(client: Client, place: Place) -> Self {
        Self {
            client,
            place: Some(place),
        }
    }

    /// The calls of the mount.
    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// The process.
    pub(super) fn process(&self) -> &NativeProcess {
        self.place().process()
    }

    /// Goes out, after the plugin was told.
    pub(super) fn leave(&self) -> Departure {
        self.place().leave()
    }

    /// Passes on what became of the mount's start. One that got no answer in time shows that the process may hang: the next
    /// start is to have another one, and those who are inside still are answered, or not, as before.
    pub(super) fn judged<T, E>(
        &self,
        outcome: Result<T, E>,
        is_late: impl Fn(&E) -> bool,
    ) -> Result<T, E> {
        if outcome.as_ref().is_err_and(is_late) {
            self.place().close();
        }
        outcome
    }

    fn place(&self) -> &Place {
        self.place.as_ref().expect("it is there until the drop")
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let Some(place) = self.place.take() else {
            return;
        };
        let others_are_there = place.leave() == Departure::OneOfMany;
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        if others_are_there {
            let goodbye = self.client.say_goodbye(FORGET_TIMEOUT);
            runtime.spawn(async move {
                goodbye.await;
                drop(place);
            });
        }
    }
}
