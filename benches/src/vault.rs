//! One Go plugin through this server and through Vault's own core, in slices that alternate: the same file, the same clients,
//! the same machine.

use std::fmt;
use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use palisade_demo::sampler::Effort;
use palisade_demo::served::{Served, TOKEN};

use crate::go_host::peer;
use crate::load::{Ask, CLIENTS, Cell, Way, drive};
use crate::table::{table, times};

/// Vault's core, while it serves. Dropping it kills it.
struct Core {
    child: Child,
    address: SocketAddr,
}

impl Core {
    /// Starts it with this plugin directory, and waits until it answers.
    fn start(plugins: &Path) -> anyhow::Result<Self> {
        let program = peer("vault-core");
        ensure!(
            program.exists(),
            "Vault's core is not built; `cargo xtask bench vault` builds it with Go"
        );
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let mut child = Command::new(program)
            .arg(format!("-listen={address}"))
            .arg(format!("-plugins={}", plugins.display()))
            .arg(format!("-token={TOKEN}"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let output = child.stdout.take().context("its output is a pipe")?;
        let core = Self { child, address };
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        ensure!(line == "ready\n", "Vault's core did not start");
        Ok(core)
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What was measured of one question: Vault's core, and this server.
struct Pair {
    ask: Ask,
    cells: [[Cell; CLIENTS.len()]; 2],
}

/// What was measured.
pub struct Beside([Pair; 2]);

/// Measures both in interleaved rounds.
///
/// # Errors
///
/// When something is not built, or a request fails.
pub async fn compare(effort: Effort) -> anyhow::Result<Beside> {
    let (rounds, slice) = match effort.rounds {
        0..=2 => (1, Duration::from_millis(20)),
        _ => (12, Duration::from_millis(400)),
    };
    let plugin = peer("vault-mock");
    ensure!(plugin.exists(), "the mock of Vault's SDK is not built");
    let ours = Served::start(std::slice::from_ref(&plugin))?;
    let core = Core::start(ours.plugins())?;
    let way = Way::of_vault(plugin);
    let servers = [core.address, ours.address()];
    for server in servers {
        way.mount(server, &ours).await?;
    }
    let mut beside = Beside([Ask::Read, Ask::Write].map(|ask| Pair {
        ask,
        cells: Default::default(),
    }));
    for _ in 0..rounds {
        for pair in &mut beside.0 {
            for (number, clients) in CLIENTS.iter().enumerate() {
                for (server, cells) in servers.iter().zip(&mut pair.cells) {
                    let cell = &mut cells[number];
                    drive(*server, &way, pair.ask, *clients, slice, cell).await?;
                }
            }
        }
    }
    Ok(beside)
}

impl Pair {
    /// How many times the core's rate, and what part of its p50.
    fn ratio(&self, number: usize) -> String {
        let [core, ours] = &self.cells;
        let (core, ours) = (&core[number], &ours[number]);
        let rate = ours.rate() / core.rate();
        format!("{rate:.2} / {}", times(ours.p50(), core.p50()))
    }
}

impl fmt::Display for Beside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = table([
            "mock of Vault's SDK: requests per second / p50 / p99",
            "1 client",
            "8 clients",
            "64 clients",
        ]);
        for pair in &self.0 {
            let what = pair.ask;
            for (server, cells) in ["Vault's core", "this server"].iter().zip(&pair.cells) {
                let [one, eight, many] = cells.each_ref().map(ToString::to_string);
                table.add_row([format!("{what}: {server}"), one, eight, many]);
            }
            let [one, eight, many] = [0, 1, 2].map(|number| pair.ratio(number));
            table.add_row([format!("{what}: rate, p50 to the core's"), one, eight, many]);
        }
        write!(f, "{table}")
    }
}
