//! What the host serves one instance on its socket: storage and system view, each call through a scope of the mount; and
//! what it takes of Vault's plugins without using it.

mod notices;
mod routes;
mod storage;
mod system;
mod unary;
mod uploads;

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use tonic::metadata::MetadataMap;
use tonic::{Code, Status};

pub(super) use routes::Services;
pub(super) use unary::{Call, Outcome};

use super::transactions::Transactions;
use crate::services::{Cursor, Deadline, MountServices, News, Scope, Untold};
use uploads::Uploads;

/// The longest text that a call carries as its deadline, by the protocol: eight digits and a unit.
const TIMEOUT_CHARS_MAX: usize = 9;

/// One instance as its plugin's calls into the host see it.
#[derive(Clone)]
pub(super) struct InstanceServices {
    inner: Arc<Inner>,
}

struct Inner {
    services: Arc<MountServices>,
    transactions: Transactions,
    phase: AtomicU8,
    /// How long a call may take that says nothing of it.
    timeout: Duration,
    news: News,
    uploads: Uploads,
}

/// What an instance may do with storage. The numbers only rise.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// Read.
    Setup = 0,
    /// Read and write.
    Running = 1,
    /// Nothing: it was stopped, and whatever its process still does reaches no storage.
    Ended = 2,
}

impl InstanceServices {
    pub(super) fn new(services: Arc<MountServices>, timeout: Duration) -> Self {
        let news = News::join(services.changes());
        let transactions = Transactions::new(timeout);
        let phase = AtomicU8::new(Phase::Setup as u8);
        Self {
            inner: Arc::new(Inner {
                services,
                transactions,
                phase,
                timeout,
                news,
                uploads: Uploads::default(),
            }),
        }
    }

    /// Moves on to a later phase.
    pub(super) fn enter(&self, phase: Phase) {
        self.inner.phase.fetch_max(phase as u8, Ordering::SeqCst);
        if phase == Phase::Ended {
            self.inner.transactions.clear();
        }
    }

    /// What the plugin has to be told before a request goes on.
    pub(super) fn untold(&self) -> Option<Untold> {
        self.inner.news.untold(self.inner.services.changes())
    }

    /// The plugin has heard all of it.
    pub(super) fn told(&self, upto: Cursor) {
        self.inner.news.told(upto);
    }

    fn pass_over_own(&self) {
        self.inner.news.pass_over_own(self.inner.services.changes());
    }

    fn uploads(&self) -> &Uploads {
        &self.inner.uploads
    }

    fn transactions(&self) -> &Transactions {
        &self.inner.transactions
    }

    /// The host as this call sees it.
    fn scope(&self, metadata: &MetadataMap) -> Result<Scope, Status> {
        let deadline = self.deadline(metadata);
        let services = &self.inner.services;
        match self.inner.phase.load(Ordering::SeqCst) {
            phase if phase == Phase::Setup as u8 => Ok(services.setup_scope(deadline)),
            phase if phase == Phase::Running as u8 => Ok(services
                .direct_scope(deadline)
                .from_store(self.inner.news.store())),
            _ => Err(Status::new(Code::Unavailable, "this instance has ended")),
        }
    }

    fn deadline(&self, metadata: &MetadataMap) -> Deadline {
        let stated = metadata
            .get("grpc-timeout")
            .and_then(|text| timeout_of(text.to_str().ok()?));
        Deadline::after(stated.unwrap_or(self.inner.timeout).min(self.inner.timeout))
    }
}

/// A deadline as gRPC writes it: at most eight digits, and the unit.
fn timeout_of(text: &str) -> Option<Duration> {
    if text.len() > TIMEOUT_CHARS_MAX || !text.is_ascii() {
        return None;
    }
    let (digits, unit) = text.split_at(text.len().checked_sub(1)?);
    let number: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(number * 3600)),
        "M" => Some(Duration::from_secs(number * 60)),
        "S" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_millis(number)),
        "u" => Some(Duration::from_micros(number)),
        "n" => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_read_in_each_unit_and_nonsense_is_none() {
        let cases = [
            ("1H", 3600.0),
            ("2M", 120.0),
            ("3S", 3.0),
            ("4m", 0.004),
            ("99999999u", 99.999_999),
        ];
        for (text, seconds) in cases {
            let expected = Duration::from_secs_f64(seconds);
            assert_eq!(timeout_of(text), Some(expected), "{text}");
        }
        for text in ["", "S", "-1S", "1", "123456789S", "1x", "é", "1é"] {
            assert_eq!(timeout_of(text), None, "{text}");
        }
    }
}
