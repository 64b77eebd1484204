//! What an entry may use, and how long each step may take. Checked values with defaults and their reasons.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::GrammarError;

/// How an entry runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RuntimeKind {
    /// Linked into the server.
    Builtin,
    /// A process that speaks go-plugin.
    Native,
    /// A WebAssembly component.
    Wasm,
}

impl RuntimeKind {
    /// The word in manifests, listings and errors.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Builtin => "builtin",
            Self::Native => "native",
            Self::Wasm => "wasm",
        }
    }
}

impl fmt::Display for RuntimeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for RuntimeKind {
    type Err = GrammarError;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        match word {
            "native" => Ok(Self::Native),
            "wasm" => Ok(Self::Wasm),
            _ => Err(GrammarError::new("runtime", word, "it is native or wasm")),
        }
    }
}

/// How a component's requests are kept apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Isolation {
    /// A fresh store for each request.
    #[default]
    Call,
    /// A pool of long-lived stores per mount, each dropped after a trap, a timeout or a cancelled call.
    Mount,
}

impl FromStr for Isolation {
    type Err = GrammarError;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        match word {
            "call" => Ok(Self::Call),
            "mount" => Ok(Self::Mount),
            _ => Err(GrammarError::new("isolation", word, "it is call or mount")),
        }
    }
}

/// What one entry may use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Linear memory and tables of one store together, in bytes. The default is also the longest bulk instruction a
    /// guest can hold a thread for: tens of milliseconds.
    pub memory_bytes: u64,
    /// Table elements of one store, over all its tables.
    pub table_elements: u64,
    /// Fuel for one request; roughly one unit an instruction. The default is seconds of work, so that a request
    /// normally meets its deadline first.
    pub fuel: u64,
    /// How long a request may take, waiting included. OpenBao's default is 90 seconds too.
    pub request_timeout: Duration,
    /// Requests in the plugin at once, per mount.
    pub concurrency: u32,
    /// Requests that may wait for one of those places, per mount.
    pub queue: u32,
    /// A response's size in bytes; a request's body has the same cap.
    pub message_bytes: u64,
    /// What a plugin may log per request or, for a process, per second, in bytes.
    pub log_bytes: u64,
    /// How a component's requests are kept apart.
    pub isolation: Isolation,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: 64 << 20,
            table_elements: 10_000,
            fuel: 10_000_000_000,
            request_timeout: Duration::from_secs(90),
            concurrency: 64,
            queue: 1024,
            message_bytes: 32 << 20,
            log_bytes: 64 << 10,
            isolation: Isolation::Call,
        }
    }
}

/// How long the steps of a plugin's life may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// From spawn to the handshake line. One minute, as go-plugin hosts wait.
    pub handshake: Duration,
    /// For each call of starting up: describe, setup, initialize.
    pub startup_call: Duration,
    /// For requests in flight when an instance is replaced or stopped.
    pub drain: Duration,
    /// From the polite request to stop to the kill. Two seconds, as go-plugin hosts wait.
    pub grace: Duration,
    /// For inspecting a component in its worker.
    pub inspect: Duration,
    /// For compiling a component in its worker.
    pub compile: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(60),
            startup_call: Duration::from_secs(30),
            drain: Duration::from_secs(10),
            grace: Duration::from_secs(2),
            inspect: Duration::from_secs(10),
            compile: Duration::from_secs(60),
        }
    }
}
