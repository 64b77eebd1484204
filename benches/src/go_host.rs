//! go-plugin's own host, in Go, on the same executables; it measures itself. The interoperability tests build it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

use palisade_demo::built::peer;

/// Median and 99th percentile, in microseconds.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Spread {
    /// The median.
    pub p50: f64,
    /// The slowest but one in a hundred.
    pub p99: f64,
}

/// What it said; what it was not asked to measure is not there.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Said {
    /// From nothing to a first answer.
    #[serde(rename = "launch_us")]
    pub launch: Option<Spread>,
    /// One call.
    #[serde(rename = "call_us")]
    pub call: Option<Spread>,
}

/// The host, and where the executables in Go lie beside it.
pub struct GoHost(PathBuf);

/// What to measure of an executable.
#[derive(Clone, Copy, Debug)]
pub struct Task<'a> {
    /// The executable.
    pub file: &'a Path,
    /// Whether it says that it multiplexes.
    pub multiplexes: bool,
    /// What is read.
    pub path: &'a str,
    /// How many launches.
    pub launches: u32,
    /// How many calls of one launch.
    pub calls: u32,
}

impl GoHost {
    /// The host, if it was built.
    pub fn find() -> Option<Self> {
        let host = peer("go-host");
        host.exists().then_some(Self(host))
    }

    /// Runs it.
    ///
    /// # Errors
    ///
    /// When it fails.
    pub fn measure(&self, task: Task<'_>) -> anyhow::Result<Said> {
        let output = Command::new(&self.0)
            .arg(format!("-plugin={}", task.file.display()))
            .arg(format!("-path={}", task.path))
            .arg(format!("-multiplex={}", task.multiplexes))
            .arg(format!("-launches={}", task.launches))
            .arg(format!("-calls={}", task.calls))
            .stderr(Stdio::null())
            .output()?;
        anyhow::ensure!(
            output.status.success(),
            "the host in Go failed on {}",
            task.file.display()
        );
        Ok(serde_json::from_slice(&output.stdout)?)
    }
}
