//! Where the host listens for which brokered connection, and who waits to know.
//!
//! The host's message may come before or after the call that mentions its number, so either side waits for the other.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use palisade_protocol::handshake::{Address, HandshakeError};
use palisade_protocol::plugin::ConnInfo;
use tokio::sync::oneshot;

/// How long a place that nobody dialled is remembered. go-plugin keeps it for five seconds, which a busy host outruns.
const UNCLAIMED_KEPT: Duration = Duration::from_secs(30);
/// How many of those are remembered.
const UNCLAIMED_MAX: usize = 1024;

/// The plugin's side of the broker.
pub(crate) struct Broker {
    /// How long a dial waits for the host to say where it listens.
    dial_timeout: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    unclaimed: BTreeMap<u32, (Address, Instant)>,
    waiting: BTreeMap<u32, oneshot::Sender<Address>>,
}

impl Broker {
    pub(crate) fn new(dial_timeout: Duration) -> Self {
        Self {
            dial_timeout,
            state: Mutex::default(),
        }
    }

    /// Takes what the host said. Each number is good for one dial.
    pub(crate) fn offer(&self, info: &ConnInfo) -> Result<(), HandshakeError> {
        let address = Address::parse(&info.network, &info.address)?;
        let mut state = self.lock();
        let address = match state.waiting.remove(&info.service_id) {
            Some(waiter) => match waiter.send(address) {
                Ok(()) => return Ok(()),
                Err(unclaimed) => unclaimed,
            },
            None => address,
        };
        state.remember(info.service_id, address);
        Ok(())
    }

    /// Where the host listens for `id`, as soon as it has said so.
    pub(crate) async fn address_of(&self, id: u32) -> Result<Address, BrokerError> {
        let arrival = {
            let mut state = self.lock();
            if let Some((address, _)) = state.unclaimed.remove(&id) {
                return Ok(address);
            }
            let (arrived, arrival) = oneshot::channel();
            // Those whose call was cancelled meanwhile.
            state.waiting.retain(|_, waiter| !waiter.is_closed());
            state.waiting.insert(id, arrived);
            arrival
        };
        match tokio::time::timeout(self.dial_timeout, arrival).await {
            Ok(Ok(address)) => Ok(address),
            // Somebody else dialled the same number since, and waits in our place.
            Ok(Err(_)) => Err(BrokerError::Twice { id }),
            Err(_) => {
                self.lock().waiting.remove(&id);
                Err(BrokerError::Silent {
                    id,
                    waited: self.dial_timeout,
                })
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn remember(&mut self, id: u32, address: Address) {
        let now = Instant::now();
        self.unclaimed
            .retain(|_, (_, since)| now.duration_since(*since) < UNCLAIMED_KEPT);
        if self.unclaimed.len() < UNCLAIMED_MAX {
            self.unclaimed.insert(id, (address, now));
        }
    }
}

/// Why a brokered connection cannot be dialled.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BrokerError {
    #[error(
        "the host did not say within {} s where it listens for the brokered connection {id}",
        waited.as_secs_f64()
    )]
    Silent { id: u32, waited: Duration },
    #[error("the brokered connection {id} is dialled twice")]
    Twice { id: u32 },
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(20);

    fn silent(id: u32) -> Result<Address, BrokerError> {
        Err(BrokerError::Silent { id, waited: SHORT })
    }

    fn info(service_id: u32, address: &str) -> ConnInfo {
        ConnInfo {
            service_id,
            network: "unix".to_owned(),
            address: address.to_owned(),
            knock: None,
        }
    }

    #[tokio::test]
    async fn a_place_said_before_the_dial_is_found_once() {
        let broker = Broker::new(SHORT);
        broker.offer(&info(1, "/a")).expect("an address");
        assert_eq!(broker.address_of(1).await, Ok(Address::Unix("/a".into())));
        assert_eq!(broker.address_of(1).await, silent(1));
    }

    #[tokio::test]
    async fn a_place_said_after_the_dial_is_found() {
        let broker = Broker::new(SHORT);
        let (address, offered) =
            tokio::join!(broker.address_of(7), async { broker.offer(&info(7, "/b")) });
        offered.expect("an address");
        assert_eq!(address, Ok(Address::Unix("/b".into())));
    }

    #[tokio::test]
    async fn a_silent_host_is_waited_for_and_then_forgotten() {
        let broker = Broker::new(SHORT);
        let start = Instant::now();
        assert_eq!(broker.address_of(3).await, silent(3));
        assert!(start.elapsed() >= SHORT);
        assert!(broker.lock().waiting.is_empty());
    }

    #[test]
    fn a_host_that_says_too_much_fills_no_memory() {
        let broker = Broker::new(SHORT);
        for id in 0..5_000 {
            broker.offer(&info(id, "/a")).expect("an address");
        }
        assert_eq!(broker.lock().unclaimed.len(), UNCLAIMED_MAX);
    }

    #[test]
    fn a_place_that_is_none_is_refused() {
        assert!(Broker::new(SHORT).offer(&info(1, "relative")).is_err());
    }
}
