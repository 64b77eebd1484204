//! What an entry may use, and how long each step may take. Checked values with defaults and their reasons.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{GrammarError, Profile};

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

/// How often a component holds a body while it takes it apart, works on it and answers.
const COPIES_OF_A_BODY: u64 = 8;

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
    /// Of a component: linear memory and tables of one store together, in bytes. The default is also the longest bulk
    /// instruction a guest can hold a thread for: tens of milliseconds. Of a process: what it and its descendants hold,
    /// files in memory included.
    pub memory_bytes: u64,
    /// Of a process: it, its threads and its descendants together. A Go program has a dozen threads, and more while its
    /// files or lookups block.
    pub processes: u32,
    /// Of a process: its share of processors that are busy; everybody has 100.
    pub cpu_weight: u32,
    /// Of a component: table elements of one store, over all its tables.
    pub table_elements: u64,
    /// Of a component: fuel for one request, and for each step of starting up; roughly one unit an instruction. The default is one to
    /// two seconds of a processor's work, far more than a request of a secrets engine needs.
    pub fuel: u64,
    /// Of a component: fuel for all its mounts together, per minute, calls of the host included. What requests use beyond it is
    /// a debt, and new ones are refused until it is paid. None where nothing is stated: what a busy plugin needs depends on
    /// the machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fuel_per_minute: Option<u64>,
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
    /// Of a component: stores that may be alive at once, over all its mounts. The default is a quarter of what a server has,
    /// so that no entry takes the place of all others.
    pub stores: u32,
    /// Of a component whose mounts keep their stores: how many of these may wait for a request, per mount. Each holds its
    /// memory; more than a few help only when as many requests come at once again and again.
    pub idle_stores: u32,
    /// Of a component whose mounts keep their stores: requests that a store serves before it is replaced. Memory that a
    /// guest loses, or cuts into pieces, is lost until then; the cost of a fresh store is nothing over so many.
    pub store_uses: u32,
    /// Of a component whose mounts keep their stores: how old a store gets, used or not. What requests left in its memory is
    /// gone after that.
    pub store_age: Duration,
    /// Of a component: bytes that may lie in a folder that it writes to, whoever wrote them. No file there is longer. The
    /// default is enough for what a secrets engine hands to its neighbours, and too little to fill a disk.
    pub folder_bytes: u64,
    /// Of a component: files and folders that may lie in a folder that it writes to.
    pub folder_files: u64,
    /// How large a component may be.
    pub profile: Profile,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: 64 << 20,
            processes: 512,
            cpu_weight: 100,
            table_elements: 10_000,
            fuel: 10_000_000_000,
            fuel_per_minute: None,
            request_timeout: Duration::from_secs(90),
            concurrency: 64,
            queue: 1024,
            message_bytes: 32 << 20,
            log_bytes: 64 << 10,
            isolation: Isolation::Call,
            stores: 512,
            idle_stores: 8,
            store_uses: 10_000,
            store_age: Duration::from_secs(600),
            folder_bytes: 64 << 20,
            folder_files: 1024,
            profile: Profile::Ordinary,
        }
    }
}

impl Limits {
    /// What a plugin of that kind may use when nobody says more.
    pub fn of(kind: RuntimeKind) -> Self {
        match kind {
            RuntimeKind::Builtin | RuntimeKind::Wasm => Self::default(),
            RuntimeKind::Native => Self {
                memory_bytes: 1 << 30,
                ..Self::default()
            },
        }
    }

    /// The defaults of that kind, with what an operator states by the names of the fields. Sizes are in bytes,
    /// `request_timeout` in seconds or with one of the units `ms`, `s`, `m` and `h`.
    ///
    /// # Errors
    ///
    /// When a plugin of that kind has no limit of that name, or a value is no number between the limit's floor and
    /// ceiling.
    pub fn stated(
        kind: RuntimeKind,
        stated: &BTreeMap<String, String>,
    ) -> Result<Self, GrammarError> {
        let mut limits = Self::of(kind);
        for (name, value) in stated {
            limits.set(kind, name, value)?;
        }
        limits.check_fuel()?;
        let has = |name| stated.contains_key(name);
        if kind == RuntimeKind::Wasm && has("message_bytes") && !has("memory_bytes") {
            limits.fit_memory_to_bodies();
        }
        Ok(limits)
    }

    /// One request is not to use up more than what is earned in ten minutes: no debt is longer.
    fn check_fuel(&self) -> Result<(), GrammarError> {
        match self.fuel_per_minute {
            Some(per_minute) if per_minute.saturating_mul(10) < self.fuel => {
                let fuel = self.fuel;
                let fault = format!("at least a tenth of `fuel`, which is {fuel} here");
                Err(out_of_bounds(
                    "fuel_per_minute",
                    &per_minute.to_string(),
                    &fault,
                ))
            }
            _ => Ok(()),
        }
    }

    /// Memory for the largest body that was asked for, where that is more than the default.
    fn fit_memory_to_bodies(&mut self) {
        let needed = self.message_bytes.saturating_mul(COPIES_OF_A_BODY);
        self.memory_bytes = self.memory_bytes.max(needed);
    }

    fn set(&mut self, kind: RuntimeKind, name: &str, value: &str) -> Result<(), GrammarError> {
        use RuntimeKind::{Native, Wasm};
        match (kind, name) {
            // A std guest does not start with less; a slot of the engine's pool does not hold more.
            (Wasm, "memory_bytes") => self.memory_bytes = number(name, value, 2 << 20..=1 << 30)?,
            (Wasm, "table_elements") => self.table_elements = number(name, value, 1..=20_000)?,
            (Wasm, "fuel") => self.fuel = number(name, value, 1_000_000..=1_000_000_000_000_000)?,
            (Wasm, "fuel_per_minute") => {
                let fuel = number(name, value, 1_000_000..=1_000_000_000_000_000_000)?;
                self.fuel_per_minute = Some(fuel);
            }
            (Wasm, "stores") => self.stores = small(name, value, 2..=1024)?,
            (Wasm, "idle_stores") => self.idle_stores = small(name, value, 0..=64)?,
            (Wasm, "store_uses") => self.store_uses = small(name, value, 1..=1_000_000_000)?,
            (Wasm, "store_age") => self.store_age = time(name, value, &STORE_AGES)?,
            (Wasm, "folder_bytes") => self.folder_bytes = number(name, value, 16 << 10..=1 << 40)?,
            // Each look through a folder costs as much as it has files.
            (Wasm, "folder_files") => self.folder_files = number(name, value, 1..=65_536)?,
            // A program of Go does not start with less.
            (Native, "memory_bytes") => {
                self.memory_bytes = number(name, value, 32 << 20..=1 << 40)?;
            }
            (Native, "processes") => self.processes = small(name, value, 16..=32_768)?,
            (Native, "cpu_weight") => self.cpu_weight = small(name, value, 1..=10_000)?,
            (_, "request_timeout") => self.request_timeout = time(name, value, &REQUEST_TIMEOUTS)?,
            (_, "concurrency") => self.concurrency = small(name, value, 1..=1024)?,
            (_, "queue") => self.queue = small(name, value, 0..=65_536)?,
            (_, "message_bytes") => self.message_bytes = number(name, value, 1 << 10..=32 << 20)?,
            (_, "log_bytes") => self.log_bytes = number(name, value, 0..=16 << 20)?,
            _ => return Err(no_such_limit(kind, name)),
        }
        Ok(())
    }
}

/// The limits that only a component has whose mounts keep their stores.
pub(crate) const OF_KEPT_STORES: [&str; 3] = ["idle_stores", "store_uses", "store_age"];

/// The limits that only plugins of one kind have.
const OF_COMPONENTS: &str = "memory_bytes, table_elements, fuel, fuel_per_minute, stores, idle_stores, store_uses, store_age, folder_bytes, folder_files";
const OF_PROCESSES: &str = "memory_bytes, processes, cpu_weight";
const OF_ALL: &str = "request_timeout, concurrency, queue, message_bytes and log_bytes";

fn no_such_limit(kind: RuntimeKind, name: &str) -> GrammarError {
    let own = match kind {
        RuntimeKind::Wasm => OF_COMPONENTS,
        RuntimeKind::Native => OF_PROCESSES,
        RuntimeKind::Builtin => "",
    };
    let fault = format!("a {kind} plugin has {own}, {OF_ALL}");
    GrammarError::new("limit", name, &fault)
}

/// The shortest and longest that a request may take.
const REQUEST_TIMEOUTS: Times = Times {
    allowed: Duration::from_millis(1)..=Duration::from_secs(3600),
    words: "a time from 1ms to 1h, such as 90, 90s or 2m",
};

/// The youngest and oldest age at which a store is replaced.
const STORE_AGES: Times = Times {
    allowed: Duration::from_secs(1)..=Duration::from_secs(86_400),
    words: "a time from 1s to 24h, such as 90, 90s or 2m",
};

/// Times that a limit may have.
struct Times {
    allowed: RangeInclusive<Duration>,
    words: &'static str,
}

fn number(name: &str, value: &str, allowed: RangeInclusive<u64>) -> Result<u64, GrammarError> {
    let number = value.parse().ok().filter(|number| allowed.contains(number));
    number.ok_or_else(|| {
        let (floor, ceiling) = (allowed.start(), allowed.end());
        out_of_bounds(
            name,
            value,
            &format!("a whole number from {floor} to {ceiling}"),
        )
    })
}

fn small(name: &str, value: &str, allowed: RangeInclusive<u32>) -> Result<u32, GrammarError> {
    let wide = u64::from(*allowed.start())..=u64::from(*allowed.end());
    number(name, value, wide).map(|number| u32::try_from(number).unwrap_or(*allowed.end()))
}

fn time(name: &str, value: &str, times: &Times) -> Result<Duration, GrammarError> {
    let time = duration(value).filter(|time| times.allowed.contains(time));
    time.ok_or_else(|| out_of_bounds(name, value, times.words))
}

fn duration(text: &str) -> Option<Duration> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits.parse().ok()?;
    let millis = match &text[digits.len()..] {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    Some(Duration::from_millis(number.checked_mul(millis)?))
}

fn out_of_bounds(name: &str, value: &str, wanted: &str) -> GrammarError {
    GrammarError::new(
        "limit",
        &format!("{name}={value}"),
        &format!("it is {wanted}"),
    )
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
    /// How long a lone call to a process is waited for without going to sleep; zero means never. So much of a processor
    /// each such call costs at most, and it is paid only while most of those before were answered in the time they
    /// usually take.
    pub busy_wait: Duration,
    /// For inspecting a component in its worker.
    pub inspect: Duration,
    /// For compiling a component in its worker.
    pub compile: Duration,
    /// For compiling one of the profile `large`: Python's takes 20 seconds of a processor that does nothing else.
    pub compile_large: Duration,
}

impl Timeouts {
    /// For compiling a component of that profile.
    pub(crate) fn compile_of(&self, profile: Profile) -> Duration {
        match profile {
            Profile::Ordinary => self.compile,
            Profile::Large => self.compile_large,
        }
    }
}

impl Timeouts {
    /// The most that `busy_wait` may be; more counts as this. No answer is that long for which going to sleep would matter.
    pub const BUSY_WAIT_MAX: Duration = Duration::from_millis(10);
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(60),
            startup_call: Duration::from_secs(30),
            drain: Duration::from_secs(10),
            grace: Duration::from_secs(2),
            busy_wait: Duration::from_micros(500),
            inspect: Duration::from_secs(10),
            compile: Duration::from_secs(60),
            compile_large: Duration::from_secs(300),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stated(name: &str, value: &str) -> Result<Limits, GrammarError> {
        let stated = BTreeMap::from([(name.to_owned(), value.to_owned())]);
        Limits::stated(RuntimeKind::Wasm, &stated)
    }

    #[test]
    fn what_is_not_stated_keeps_its_default() {
        let limits = stated("memory_bytes", "16777216").unwrap();
        let expected = Limits {
            memory_bytes: 16 << 20,
            ..Limits::default()
        };
        assert_eq!(limits, expected);
    }

    #[test]
    fn a_larger_body_brings_the_memory_that_it_takes() {
        let memory = |stated: &[(&str, &str)]| {
            let owned = stated
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            Limits::stated(RuntimeKind::Wasm, &owned.collect())
                .unwrap()
                .memory_bytes
        };
        assert_eq!(memory(&[("message_bytes", "33554432")]), 256 << 20);
        assert_eq!(memory(&[("message_bytes", "1048576")]), 64 << 20);
        let both = [("message_bytes", "33554432"), ("memory_bytes", "134217728")];
        assert_eq!(memory(&both), 128 << 20);
    }

    #[test]
    fn a_timeout_is_read_with_and_without_its_unit() {
        for text in ["90", "90s", "90000ms"] {
            let limits = stated("request_timeout", text).unwrap();
            assert_eq!(limits.request_timeout, Duration::from_secs(90), "{text}");
        }
    }

    #[test]
    fn a_value_out_of_bounds_is_refused_with_the_bounds() {
        for (name, value) in [
            ("memory_bytes", "1"),
            ("memory_bytes", "99999999999"),
            ("fuel", "-1"),
            ("fuel_per_minute", "0"),
            ("request_timeout", "2 weeks"),
            ("request_timeout", "0"),
            ("concurrency", "0"),
            ("message_bytes", "33554433"),
            ("store_age", "0"),
            ("store_age", "25h"),
            ("stores", "1"),
            ("folder_files", "0"),
        ] {
            let fault = stated(name, value).unwrap_err().to_string();
            assert!(fault.contains(name) && fault.contains("from"), "{fault}");
        }
    }

    #[test]
    fn a_request_may_not_use_more_than_ten_minutes_earn() {
        let fault = stated("fuel_per_minute", "999999999")
            .unwrap_err()
            .to_string();
        assert!(
            fault.contains("a tenth of `fuel`, which is 10000000000"),
            "{fault}"
        );
        let limits = stated("fuel_per_minute", "1000000000").unwrap();
        assert_eq!(limits.fuel_per_minute, Some(1_000_000_000));
    }

    #[test]
    fn a_name_that_is_no_limit_is_refused_with_those_that_are() {
        let fault = stated("memory", "1").unwrap_err().to_string();
        assert!(fault.contains("memory_bytes"), "{fault}");
    }

    #[test]
    fn a_limit_that_only_the_other_kind_has_is_refused() {
        let fault = stated("processes", "64").unwrap_err().to_string();
        assert!(fault.contains("wasm") && fault.contains("fuel"), "{fault}");
        let fuel = BTreeMap::from([("fuel".to_owned(), "1000000".to_owned())]);
        let fault = Limits::stated(RuntimeKind::Native, &fuel).unwrap_err();
        assert!(fault.to_string().contains("processes"), "{fault}");
    }
}
