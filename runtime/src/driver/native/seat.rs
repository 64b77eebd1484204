//! A mount's place in a process, and the name that it has there.

use std::time::Duration;

use palisade_protocol::pb;
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::client::Client;
use super::process::NativeProcess;
use super::processes::Place;
use crate::services::Deadline;

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

    /// Goes out, after the plugin was told. The last one has to stop the process.
    pub(super) fn leave(&self) -> bool {
        self.place().leave()
    }

    fn place(&self) -> &Place {
        self.place.as_ref().expect("it is there until the drop")
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let Some(place) = self.place.take().filter(Place::is_one_of_many) else {
            return;
        };
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let mut backend = self.client.backend.clone();
        let goodbye = self
            .client
            .request(pb::Empty {}, Deadline::after(FORGET_TIMEOUT));
        runtime.spawn(async move {
            let _ = timeout(FORGET_TIMEOUT, backend.cleanup(goodbye)).await;
            drop(place);
        });
    }
}
