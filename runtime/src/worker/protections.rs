//! Which walls this machine has: each is put up around a probe, which looks whether it holds.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::AsFd;
use std::time::Duration;

use super::link::{Link, Order, WorkerError};
use super::memory_file;
use super::message::{ProcessExit, Program, SIGNAL_KILL};
use super::sandbox::{Layer, probe};

/// How long one probe may take; it takes a few milliseconds.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// What a server lacks that can become another user and not more.
const NO_RULE: &str =
    "besides SETUID and SETGID it takes the capabilities CHOWN, DAC_OVERRIDE and SYS_ADMIN";

/// The user that a probe becomes: one that no machine gives out.
const PROBE_USER: u32 = 0x7fff_fffe;

/// What holds on this machine, and why the rest does not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Protections {
    holding: BTreeSet<Layer>,
    lacking: BTreeMap<Layer, String>,
}

impl Protections {
    /// Tries all of them, at the same time.
    pub(super) async fn find(link: &Link) -> Self {
        let probes = Layer::ALL.map(async |layer| (layer, try_one(link, layer).await));
        let mut found = Self::default();
        for (layer, outcome) in futures_util::future::join_all(probes).await {
            match outcome {
                Ok(()) => drop(found.holding.insert(layer)),
                Err(fault) => drop(found.lacking.insert(layer, fault)),
            }
        }
        found
    }

    /// As on a machine that lacks these, and has all others.
    #[cfg(test)]
    pub(crate) fn of<const N: usize>(lacking: [(Layer, &str); N]) -> Self {
        let lacking: BTreeMap<_, _> = lacking.map(|(layer, why)| (layer, why.to_owned())).into();
        let holding = Layer::ALL.into_iter();
        let holding = holding
            .filter(|layer| !lacking.contains_key(layer))
            .collect();
        Self { holding, lacking }
    }

    /// The walls that hold.
    pub fn holding(&self) -> &BTreeSet<Layer> {
        &self.holding
    }

    /// Why this wall does not hold, if it does not.
    pub fn fault(&self, layer: Layer) -> Option<&str> {
        self.lacking.get(&layer).map(String::as_str)
    }

    /// Those that do not, each with the reason.
    pub fn lacking(&self) -> &BTreeMap<Layer, String> {
        &self.lacking
    }
}

/// Why the wall does not hold.
async fn try_one(link: &Link, layer: Layer) -> Result<(), String> {
    match run(link, layer).await.map_err(reason)? {
        Some(ProcessExit::Code(0)) => Ok(()),
        // That is how this one shows that it holds.
        Some(ProcessExit::Signal(SIGNAL_KILL) | ProcessExit::OutOfMemory)
            if layer == Layer::MemoryLimit =>
        {
            Ok(())
        }
        Some(ProcessExit::Code(_)) if layer == Layer::User => Err(NO_RULE.to_owned()),
        Some(ProcessExit::Code(_)) => Err("it was put up and does not hold".to_owned()),
        Some(exit) => Err(format!("its probe {exit}")),
        None => Err(format!("its probe took longer than {PROBE_TIMEOUT:?}")),
    }
}

async fn run(link: &Link, layer: Layer) -> Result<Option<ProcessExit>, WorkerError> {
    let order = Order {
        program: Program::Probe(layer),
        directory: None,
        remnant: None,
        limits: Vec::new(),
        sandbox: Some(probe::sandbox(layer, PROBE_USER)),
    };
    let nothing = memory_file::create("palisade-probe");
    let nothing = nothing.map_err(|fault| WorkerError::Refused(fault.to_string()))?;
    let process = link.start(order, &[nothing.as_fd(); 3]).await?;
    Ok(process.exited_within(PROBE_TIMEOUT).await)
}

/// The layer's own name stands before what its step said.
fn reason(error: WorkerError) -> String {
    match error {
        WorkerError::Refused(fault) => match fault.split_once(": ") {
            Some((name, fault)) if name.parse::<Layer>().is_ok() => fault.to_owned(),
            _ => fault,
        },
        other => other.to_string(),
    }
}
