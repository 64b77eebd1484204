//! What became of a call into a process: one table from gRPC to [`CallError`].

use std::error::Error;
use std::pin::Pin;
use std::time::Duration;

use palisade_contract::PluginError;
use tokio::time::{timeout, timeout_at};
use tonic::{Code, Response, Status};

use super::busy_wait::BusyWait;
use super::process::NativeProcess;
use super::wire::WireError;
use crate::services::Deadline;
use crate::worker::{Process, ProcessExit};
use crate::{CallError, Limits};

/// How long a call waits for the exit that explains its failure, or for an answer that was under way at the exit.
const REASON_TIMEOUT: Duration = Duration::from_millis(200);

/// How much earlier than ours a peer's clock may strike: deadlines travel rounded, and timers fire by the millisecond.
const CLOCK_SLACK: Duration = Duration::from_millis(50);

/// How much of a peer's text stands in an error, in characters.
const TEXT_CHARS_MAX: usize = 256;

/// Whose call it is.
pub(super) struct Caller<'a> {
    label: &'a str,
    process: &'a Process,
    busy_wait: &'a BusyWait,
    /// The most that an answer may have, in bytes.
    response_bytes_max: u64,
    /// The most that its process may hold, in bytes.
    memory_bytes_max: u64,
}

impl<'a> Caller<'a> {
    pub(super) fn new(label: &'a str, process: &'a NativeProcess, limits: &Limits) -> Self {
        Self {
            label,
            process: process.process(),
            busy_wait: process.busy_wait(),
            response_bytes_max: limits.message_bytes,
            memory_bytes_max: limits.memory_bytes,
        }
    }
}

impl Caller<'_> {
    /// Runs one call to its end: answered, failed, late, or left behind by a process that died.
    ///
    /// The call is boxed because it has several kilobytes, and each future around it would hold them again.
    pub(super) async fn run<T>(
        &self,
        deadline: Deadline,
        call: Pin<Box<impl Future<Output = Result<Response<T>, Status>>>>,
    ) -> Result<T, CallError> {
        match self.answer(deadline, call).await? {
            Ok(answer) => Ok(answer),
            Err(status) => Err(self.explain(&status, deadline).await),
        }
    }

    /// The same for services whose errors are statuses: what the plugin says there are its own words, and stay so.
    pub(super) async fn run_for_words<T>(
        &self,
        deadline: Deadline,
        call: Pin<Box<impl Future<Output = Result<Response<T>, Status>>>>,
    ) -> Result<T, CallError> {
        match self.answer(deadline, call).await? {
            Ok(answer) => Ok(answer),
            Err(status) => match own_words(&status) {
                Some(error) => Err(self.refused(error, deadline)),
                None => Err(self.explain(&status, deadline).await),
            },
        }
    }

    /// The answer or the failure of a call that ended by itself.
    async fn answer<T>(
        &self,
        deadline: Deadline,
        call: Pin<Box<impl Future<Output = Result<Response<T>, Status>>>>,
    ) -> Result<Result<T, Status>, CallError> {
        if self.process.has_died() {
            return Err(self.found_dead().await);
        }
        if deadline.left().is_zero() {
            return Err(self.late(deadline));
        }
        let outcome = timeout_at(deadline.at().into(), self.busy_wait.of(self.outcome(call))).await;
        match outcome {
            Err(_) => Err(self.late(deadline)),
            Ok(Outcome::Answer(answer)) => Ok(Ok(answer.into_inner())),
            Ok(Outcome::Exit(exit)) => Err(self.ended(exit, true)),
            Ok(Outcome::Failure(status)) => Ok(Err(status)),
        }
    }

    /// The answer, or the exit of the process with no answer soon after.
    async fn outcome<T>(
        &self,
        mut call: Pin<Box<impl Future<Output = Result<Response<T>, Status>>>>,
    ) -> Outcome<T> {
        let exit = tokio::select! {
            biased;
            answer = &mut call => return Outcome::of(answer),
            exit = self.process.exited() => exit,
        };
        match timeout(REASON_TIMEOUT, call).await {
            Ok(Ok(answer)) => Outcome::Answer(answer),
            _ => Outcome::Exit(exit),
        }
    }

    /// Nothing was sent to it.
    async fn found_dead(&self) -> CallError {
        match self.process.exited_within(REASON_TIMEOUT).await {
            Some(exit) => self.ended(exit, false),
            None => self.crashed("died".to_owned(), false),
        }
    }

    async fn explain(&self, status: &Status, deadline: Deadline) -> CallError {
        match status.code() {
            _ if is_late(status) => self.late(deadline),
            // A plugin's server has the same deadline, and ends a call that is late as cancelled.
            Code::Cancelled if deadline.left() <= CLOCK_SLACK => self.late(deadline),
            _ if was_reset_by_peer(status) => self.given_up(status, deadline),
            Code::OutOfRange if is_local(status) => self.too_large(status),
            _ if is_transport(status) => self.lost(status).await,
            Code::Unavailable => match self.process.exit() {
                Some(exit) => self.ended(exit, true),
                None => self.broke_protocol(shown(status)),
            },
            _ => self.broke_protocol(shown(status)),
        }
    }

    /// The plugin ended this one call without an answer, and nothing else: Go's servers do so when its time is up.
    fn given_up(&self, status: &Status, deadline: Deadline) -> CallError {
        match deadline.left() <= CLOCK_SLACK {
            true => self.late(deadline),
            false => self.broke_protocol(format_args!(
                "it ended the call without an answer: {}",
                shown(status)
            )),
        }
    }

    /// A process without its connection is of no use: whoever is told of the crash retires it.
    async fn lost(&self, status: &Status) -> CallError {
        let sent = !was_never_sent(status);
        match self.process.exited_within(REASON_TIMEOUT).await {
            Some(exit) => self.ended(exit, sent),
            None => self.crashed(format!("the connection broke: {}", shown(status)), sent),
        }
    }

    /// A plugin's own error. One that comes when the time is up says no more than that: calls to the host end with the
    /// request's deadline, and plugins pass on what became of them.
    pub(super) fn refused(&self, error: PluginError, deadline: Deadline) -> CallError {
        match deadline.left().is_zero() {
            true => self.late(deadline),
            false => CallError::Plugin(error),
        }
    }

    pub(super) fn late(&self, deadline: Deadline) -> CallError {
        CallError::Timeout {
            plugin: self.label.to_owned(),
            limit: deadline.limit(),
        }
    }

    /// The process is no more.
    fn ended(&self, exit: ProcessExit, sent: bool) -> CallError {
        match exit {
            ProcessExit::OutOfMemory => CallError::Crashed {
                plugin: self.label.to_owned(),
                reason: format!(
                    "{exit}, which is {} bytes; its limit `memory_bytes` can be raised",
                    self.memory_bytes_max
                ),
                sent,
                out_of_memory: true,
            },
            exit => self.crashed(exit.to_string(), sent),
        }
    }

    pub(super) fn crashed(&self, reason: String, sent: bool) -> CallError {
        CallError::Crashed {
            plugin: self.label.to_owned(),
            reason,
            sent,
            out_of_memory: false,
        }
    }

    pub(super) fn broke_protocol(&self, fault: impl std::fmt::Display) -> CallError {
        CallError::Protocol {
            plugin: self.label.to_owned(),
            fault: fault.to_string(),
        }
    }

    fn too_large(&self, status: &Status) -> CallError {
        let limit = self.response_bytes_max;
        let bytes = first_number(status.message()).unwrap_or(limit.saturating_add(1));
        CallError::TooLarge {
            what: "response",
            bytes,
            limit,
        }
    }
}

enum Outcome<T> {
    Answer(Response<T>),
    Failure(Status),
    Exit(ProcessExit),
}

impl<T> Outcome<T> {
    fn of(answer: Result<Response<T>, Status>) -> Self {
        match answer {
            Ok(answer) => Self::Answer(answer),
            Err(status) => Self::Failure(status),
        }
    }
}

/// The answer of a call that a plugin need not know: one that does not has nothing to say.
pub(super) fn or_nothing<T: Default>(
    answer: Result<Response<T>, Status>,
) -> Result<Response<T>, Status> {
    match answer {
        Err(status) if status.code() == Code::Unimplemented => Ok(Response::new(T::default())),
        answer => answer,
    }
}

/// A status for people: its code, and the peer's text clipped and escaped.
pub(super) fn shown(status: &Status) -> String {
    let text: String = status.message().chars().take(TEXT_CHARS_MAX).collect();
    format!("{:?}: {}", status.code(), text.escape_debug())
}

/// Whether the plugin says that the time was up.
pub(super) fn is_late(status: &Status) -> bool {
    status.code() == Code::DeadlineExceeded
}

/// What a plugin says went wrong in it, with its text as it is. Codes that gRPC itself gives are not the plugin's.
fn own_words(status: &Status) -> Option<PluginError> {
    if is_transport(status) {
        return None;
    }
    match status.code() {
        Code::InvalidArgument => Some(PluginError::invalid_request(status.message())),
        Code::Unknown
        | Code::Internal
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::FailedPrecondition
        | Code::Aborted => Some(PluginError::unknown(status.message())),
        _ => None,
    }
}

/// Whether the failure comes from the connection, and not from the plugin's own words.
fn is_transport(status: &Status) -> bool {
    status.source().is_some()
}

/// Whether the failure was made on this side while decoding. A plugin's own words would come with a source or trailers,
/// and none of them decides anything but the kind of an error.
fn is_local(status: &Status) -> bool {
    status
        .message()
        .contains("decoded message length too large")
}

/// Whether the connection was gone before the request could leave.
pub(super) fn was_never_sent(status: &Status) -> bool {
    causes(status).any(|error| matches!(error.downcast_ref(), Some(WireError::NeverSent)))
}

/// Whether the peer reset the stream of this one call.
fn was_reset_by_peer(status: &Status) -> bool {
    causes(status)
        .filter_map(|error| error.downcast_ref::<h2::Error>())
        .any(|error| error.is_reset() && error.is_remote())
}

fn causes(status: &Status) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(status.source(), |&error| error.source())
}

fn first_number(text: &str) -> Option<u64> {
    let start = text.find(|letter: char| letter.is_ascii_digit())?;
    let digits = text[start..]
        .split(|letter: char| !letter.is_ascii_digit())
        .next()?;
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_shown_clipped_and_escaped() {
        let status = Status::internal(format!("\x1b[31m{}", "x".repeat(10_000)));
        let text = shown(&status);
        assert!(text.starts_with("Internal: \\u{1b}[31m"), "{text}");
        assert!(text.len() < 300);
    }

    #[test]
    fn what_a_plugin_says_in_a_status_keeps_its_text_and_what_grpc_says_does_not() {
        let said = Status::internal("failed: \u{1b}[31mno\nroute");
        let words = own_words(&said).expect("the plugin's own");
        assert_eq!(words.message, "failed: \u{1b}[31mno\nroute");
        let lost = Status::from_error(Box::new(WireError::NeverSent));
        for status in [lost, Status::unimplemented("x"), Status::unavailable("x")] {
            assert_eq!(own_words(&status), None, "{status:?}");
        }
    }

    #[test]
    fn time_that_is_up_is_known() {
        assert!(is_late(&Status::deadline_exceeded("")));
        assert!(!is_late(&Status::cancelled("Timeout expired")));
    }

    #[test]
    fn only_a_lost_connection_counts_as_never_sent() {
        let lost = Status::from_error(Box::new(WireError::NeverSent));
        assert!(was_never_sent(&lost));
        assert!(!was_never_sent(&Status::unavailable("NeverSent")));
    }
}
