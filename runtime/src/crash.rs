//! What is kept of a plugin's crash: where it was, what it had used, and what it had last asked of the host. Never a
//! body, a key or a value.

use std::fmt;
use std::time::{Duration, SystemTime};

use serde::Serialize;

use crate::ErrorKind;

/// One request, or one step of starting up, that a component did not survive.
///
/// All names in it are the plugin's: cut to a length and escaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crash {
    /// When it ended.
    pub at: SystemTime,
    /// The entry's name and version.
    pub plugin: String,
    /// What it was asked, such as `handle-request`.
    pub step: &'static str,
    /// What ended it.
    pub kind: ErrorKind,
    /// The same in words.
    pub fault: String,
    /// The functions that were running, innermost first. None when it was ended from outside, at its deadline.
    pub backtrace: Vec<String>,
    /// Instructions that it had used, roughly.
    pub fuel_used: u64,
    /// The most memory that its store held, tables included, in bytes.
    pub memory_bytes: u64,
    /// How long it ran.
    pub ran: Duration,
    /// Calls of the host that it made.
    pub host_calls: u64,
    /// The last of them, oldest first.
    pub last_host_calls: Vec<HostCall>,
}

/// A call of the host, without what was said in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct HostCall {
    /// The interface, such as `palisade:plugin/storage`.
    pub interface: &'static str,
    /// Its function; empty where the interface alone is noted.
    pub function: &'static str,
    /// How it went.
    pub outcome: HostCallOutcome,
    /// How long it took, in microseconds; zero while it is unfinished.
    pub micros: u32,
}

/// How a call of the host went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum HostCallOutcome {
    /// It has not returned: the plugin ended in it, or during the call of an interface that is only noted.
    Unfinished,
    /// It gave what was asked for.
    Ok,
    /// It answered with one of the errors of its contract.
    Error,
}

impl HostCallOutcome {
    /// The word in listings and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unfinished => "unfinished",
            Self::Ok => "ok",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for HostCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            interface,
            function,
            ..
        } = self;
        let dot = if function.is_empty() { "" } else { "." };
        let outcome = self.outcome.as_str();
        write!(f, "{interface}{dot}{function} {outcome}")?;
        match self.outcome {
            HostCallOutcome::Unfinished => Ok(()),
            _ => write!(f, " {} µs", self.micros),
        }
    }
}
