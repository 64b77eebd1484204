//! What plugins say in the server's log, for all tests of one process.

use std::fmt::{self, Write as _};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;
use tracing::field::{Field, Visit};
use tracing::{Event, Metadata, Subscriber, span};

/// How long a line may take to arrive.
const SOON: Duration = Duration::from_secs(20);

static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());
static MORE: Notify = Notify::const_new();

/// Keeps what plugins log from now on.
///
/// # Panics
///
/// When somebody else has the log already.
pub fn keep_what_is_logged() {
    tracing::subscriber::set_global_default(Keeper).expect("the log is nobody's yet");
}

/// The first line with this text in it, which no other test may log: level, text and fields.
///
/// # Panics
///
/// When none comes.
pub async fn logged(text: &str) -> String {
    let wait = async {
        loop {
            let more = MORE.notified();
            if let Some(line) = find(text) {
                return line;
            }
            more.await;
        }
    };
    let line = timeout(SOON, wait).await;
    line.unwrap_or_else(|_| panic!("{text:?} is not in the log"))
}

fn find(text: &str) -> Option<String> {
    let lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
    lines.iter().find(|line| line.contains(text)).cloned()
}

struct Keeper;

impl Subscriber for Keeper {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "palisade::plugin"
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(event.metadata().level().to_string());
        event.record(&mut line);
        let mut lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
        lines.push(line.0);
        drop(lines);
        MORE.notify_waiters();
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        write!(self.0, " {field}={value:?}").expect("text takes everything");
    }
}
