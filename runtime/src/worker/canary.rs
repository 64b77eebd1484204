//! A worker that misbehaves on purpose: a limit is believed once it has been seen to bite.

use std::fs;
use std::hint::black_box;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use super::attack::Attack;

/// What the canary does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CanaryDeed {
    /// Gives its input back.
    Behave,
    /// Allocates and touches memory without end.
    Allocate,
    /// Calls itself without end.
    Recurse,
    /// Computes without end.
    Loop,
    /// Sleeps without end.
    Sleep,
    /// Panics.
    Panic,
    /// Makes so many bytes.
    Output(usize),
    /// Tells its environment, descriptors, limits, status and control groups, as they are before its own walls.
    Tell,
    /// Tries to get out, and tells what kept it in.
    Attack(Attack),
}

impl CanaryDeed {
    /// The input that asks for this deed.
    pub fn to_input(self) -> Vec<u8> {
        serde_json::to_vec(&self).expect("a deed has no map")
    }
}

/// Does the deed that the input names.
pub(super) fn run(input: &[u8]) -> Result<Vec<u8>, String> {
    let deed = serde_json::from_slice(input).map_err(|_| "no such deed".to_owned())?;
    match deed {
        CanaryDeed::Behave => Ok(input.to_vec()),
        CanaryDeed::Allocate => allocate(),
        CanaryDeed::Recurse => Ok(vec![recurse(0)]),
        CanaryDeed::Loop => compute(),
        CanaryDeed::Sleep => sleep(),
        CanaryDeed::Panic => panic!("as asked"),
        CanaryDeed::Output(bytes) => Ok(vec![0; bytes]),
        CanaryDeed::Tell => told(),
        CanaryDeed::Attack(attack) => Ok(outcome(attack).into_bytes()),
    }
}

fn allocate() -> ! {
    let mut held = Vec::new();
    loop {
        held.push(black_box(vec![1_u8; 1 << 20]));
    }
}

#[expect(unconditional_recursion, reason = "that it never ends is its purpose")]
fn recurse(depth: u64) -> u8 {
    let frame = black_box([1_u8; 1024]);
    recurse(black_box(depth + 1)) ^ frame[0]
}

fn compute() -> ! {
    let mut number = 0_u64;
    loop {
        number = black_box(number.wrapping_add(1));
    }
}

fn sleep() -> ! {
    loop {
        std::thread::park();
    }
}

/// Nothing when it succeeded.
fn outcome(attack: Attack) -> String {
    let fault = attack.attempt().err();
    fault.map(|fault| fault.to_string()).unwrap_or_default()
}

/// What is to be told can be read only before the walls are up.
static SEEN: OnceLock<Result<Vec<u8>, String>> = OnceLock::new();

/// Remembers what this process is.
pub(super) fn look_around() {
    SEEN.get_or_init(tell);
}

fn told() -> Result<Vec<u8>, String> {
    let seen = SEEN.get().cloned();
    seen.unwrap_or_else(|| Err("it has not looked around".to_owned()))
}

fn tell() -> Result<Vec<u8>, String> {
    let environment: Vec<_> = std::env::vars().map(|(name, _)| name).collect();
    let limits = fs::read_to_string("/proc/self/limits").map_err(|error| error.to_string())?;
    let status = fs::read_to_string("/proc/self/status").map_err(|error| error.to_string())?;
    let groups = fs::read_to_string("/proc/self/cgroup").map_err(|error| error.to_string())?;
    let told = (environment, descriptors()?, limits, status, groups);
    serde_json::to_vec(&told).map_err(|error| error.to_string())
}

/// The open descriptors, without the one that lists them.
fn descriptors() -> Result<Vec<String>, String> {
    let entries = fs::read_dir("/proc/self/fd").map_err(|error| error.to_string())?;
    let open = entries.filter_map(|entry| {
        let entry = entry.ok()?;
        let target = fs::read_link(entry.path()).ok()?;
        let number = entry.file_name().into_string().ok()?;
        (!target.starts_with("/proc")).then_some(number)
    });
    Ok(open.collect())
}
