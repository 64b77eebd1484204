//! The server of the demonstration: its command line, and the processes that it starts.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use palisade_demo::built::{component, program};
use palisade_demo::served::{Served, TOKEN};
use rustix::process::{Pid, Signal, kill_process};

use crate::narrate;

/// How long its processes may take to follow it.
const AFTERMATH: Duration = Duration::from_secs(2);

/// A running dev server, its processes, and the command line to speak to it. Dropping it kills it.
pub(crate) struct Server(Served);

impl Server {
    /// Starts one and waits until it answers.
    pub(crate) fn start() -> anyhow::Result<Self> {
        let artifacts = [program("kv"), component("kv"), component("hostile")];
        Served::start(&artifacts).map(Self)
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.0.address()
    }

    /// The digest of a file in its plugin directory, in hexadecimal.
    pub(crate) fn sha256(&self, file: &str) -> anyhow::Result<String> {
        self.0.sha256(file)
    }

    /// Puts the same plugin under other bytes into the plugin directory, and gives its name there.
    ///
    /// An executable and a component both allow what means nothing at their end: a component, an empty section of its
    /// own name; an executable, anything.
    pub(crate) fn restage(&self, file: &str, name: &str) -> anyhow::Result<String> {
        let mut bytes = fs::read(self.0.plugins().join(file))?;
        let length = u8::try_from(name.len())?;
        bytes.extend([0, length + 1, length]);
        bytes.extend(name.as_bytes());
        let path = self.0.plugins().join(name);
        fs::copy(self.0.plugins().join(file), &path)?;
        fs::write(path, bytes)?;
        Ok(name.to_owned())
    }

    /// Runs the command line and shows it; gives what it printed.
    pub(crate) fn cli(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let output = Command::new(program("palisade"))
            .args(arguments)
            .env("BAO_ADDR", format!("http://{}", self.address()))
            .env("BAO_TOKEN", TOKEN)
            .output()?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        narrate::command(&format!("palisade {}", shorten(arguments)), &said);
        ensure!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(said)
    }

    /// The plugin process that runs right now.
    pub(crate) fn plugin_process(&self) -> anyhow::Result<Pid> {
        let plugins = self.plugin_processes();
        ensure!(
            plugins.len() == 1,
            "expected one plugin process, found {plugins:?}"
        );
        let pid = i32::try_from(plugins[0])?;
        Pid::from_raw(pid).context("a process has a positive number")
    }

    /// Asks it to stop and waits; gives the processes that outlived it.
    pub(crate) fn stop(&mut self) -> anyhow::Result<Vec<u32>> {
        let family = descendants(self.0.process_id());
        let pid =
            Pid::from_raw(i32::try_from(self.0.process_id())?).context("a positive number")?;
        kill_process(pid, Signal::TERM)?;
        self.0.ended()?;
        Ok(outlive(family, Instant::now() + AFTERMATH))
    }

    fn plugin_processes(&self) -> Vec<u32> {
        let mut family = descendants(self.0.process_id());
        family.retain(|pid| runs_from_memory(*pid));
        family
    }
}

/// The arguments as a person would read them: digests are cut.
fn shorten(arguments: &[&str]) -> String {
    let short = arguments
        .iter()
        .map(|argument| match argument.strip_prefix("-sha256=") {
            Some(digest) => format!("-sha256={}…", &digest[..8]),
            None => (*argument).to_owned(),
        });
    short.collect::<Vec<_>>().join(" ")
}

fn descendants(of: u32) -> Vec<u32> {
    let mut found = Vec::new();
    let mut next = vec![of];
    while let Some(parent) = next.pop() {
        let children = children(parent);
        next.extend(&children);
        found.extend(children);
    }
    found
}

fn children(of: u32) -> Vec<u32> {
    let Ok(processes) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    processes
        .flatten()
        .filter_map(|process| process.file_name().to_str()?.parse().ok())
        .filter(|pid| parent(*pid) == Some(of))
        .collect()
}

fn parent(pid: u32) -> Option<u32> {
    u32::try_from(stat(pid, 1)?).ok()
}

/// A field of `/proc/PID/stat`, counted after the name, which stands in parentheses and may hold anything.
fn stat(pid: u32, field: usize) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?
        .1
        .split_whitespace()
        .nth(field)?
        .parse()
        .ok()
}

/// A plugin runs from the sealed memory file that was hashed, so its executable has no path on disk.
fn runs_from_memory(pid: u32) -> bool {
    fs::read_link(format!("/proc/{pid}/exe"))
        .is_ok_and(|path| path.to_string_lossy().starts_with("/memfd:"))
}

/// Those that are still there when patience ends: the last of them dies just after the server.
fn outlive(mut family: Vec<u32>, patience: Instant) -> Vec<u32> {
    family.retain(|pid| is_alive(*pid));
    while !family.is_empty() && Instant::now() < patience {
        std::thread::sleep(Duration::from_millis(10));
        family.retain(|pid| is_alive(*pid));
    }
    family
}

fn is_alive(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}
