//! What a plugin's requests take while four other plugins spin on two processors, or components are compiled.
//!
//! The load is open: a process of its own sends at fixed times, whether or not the last answer has come, and a request's
//! time counts from when it should have been sent. A loop that waits for each answer would leave out what it waited.

mod neighbours;
mod open_loop;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use comfy_table::Table;
use serde_json::json;

use crate::table::table;
use palisade_demo::built;
use palisade_demo::http::Client;
use palisade_demo::sampler::Effort;
use palisade_demo::served::Served;

use neighbours::Neighbours;
pub use open_loop::{OPEN_LOOP, Spread, open_loop};

/// How many plugins spin.
const SPINNERS: usize = 4;

/// How many clients have components compiled.
const COMPILATIONS: usize = 2;

/// How a plugin runs, and what it is made of.
#[derive(Clone, Copy)]
enum Mode {
    Wasm,
    Native,
}

/// What the neighbours do meanwhile.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Meanwhile {
    Quiet,
    QuietAgain,
    Loops,
    Fills,
    Compilations,
}

const MEANWHILE: [Meanwhile; 5] = [
    Meanwhile::Quiet,
    Meanwhile::Loops,
    Meanwhile::Fills,
    Meanwhile::Compilations,
    Meanwhile::QuietAgain,
];

/// What was measured, by mode.
pub struct Fairness(Vec<(Mode, Vec<(Meanwhile, Spread)>)>);

/// Measures both modes, each on a server of its own.
///
/// # Errors
///
/// When something is not built, or a request fails that should not.
pub async fn compare(effort: Effort) -> anyhow::Result<Fairness> {
    let time = Duration::from_secs(if effort.rounds > 2 { 60 } else { 1 });
    let mut modes = Vec::new();
    for mode in [Mode::Wasm, Mode::Native] {
        modes.push((mode, measure(mode, time).await?));
    }
    Ok(Fairness(modes))
}

async fn measure(mode: Mode, time: Duration) -> anyhow::Result<Vec<(Meanwhile, Spread)>> {
    let server = Served::start(&[mode.file()])?;
    mount(&server, mode, "victim").await?;
    for number in 0..SPINNERS {
        mount(&server, mode, &neighbours::spinner(number)).await?;
    }
    let mut spreads = Vec::new();
    for meanwhile in MEANWHILE {
        let neighbours = meanwhile.begin(&server).await?;
        let spread = open_loop::in_a_process(server.address(), "victim/echo", time).await?;
        if let Some(neighbours) = neighbours {
            neighbours.stop().await;
        }
        spreads.push((meanwhile, spread));
    }
    Ok(spreads)
}

/// Each spinner is an entry of its own, so that each has limits, and a process, of its own.
async fn mount(server: &Served, mode: Mode, name: &str) -> anyhow::Result<()> {
    let mut client = Client::connect(server.address()).await?;
    let file = mode.file();
    let command = file.file_name().unwrap_or_default().to_string_lossy();
    let body = json!({ "sha256": server.sha256(&command)?, "command": command });
    client.register(name, &body).await?;
    client.enable(name).await
}

impl Mode {
    fn label(self) -> &'static str {
        match self {
            Self::Wasm => "wasm",
            Self::Native => "native",
        }
    }

    fn file(self) -> PathBuf {
        match self {
            Self::Wasm => built::component("hostile"),
            Self::Native => built::program("hostile"),
        }
    }
}

impl Meanwhile {
    async fn begin(self, server: &Served) -> anyhow::Result<Option<Neighbours>> {
        let spin = |path| Neighbours::spin(server.address(), SPINNERS, path);
        Ok(match self {
            Self::Quiet | Self::QuietAgain => None,
            Self::Loops => Some(spin("spin").await?),
            Self::Fills => Some(spin("spin-memory").await?),
            Self::Compilations => {
                let component = built::component("hostile");
                Some(Neighbours::compile(server, COMPILATIONS, &component).await?)
            }
        })
    }

    fn label(self) -> &'static str {
        match self {
            Self::Quiet => "nobody else",
            Self::QuietAgain => "nobody else, again",
            Self::Loops => "four plugins that loop",
            Self::Fills => "four plugins that fill memory",
            Self::Compilations => "components that are compiled one after the other",
        }
    }
}

impl Fairness {
    fn rows(&self) -> Table {
        let mut table = table([
            "500 requests per second, beside",
            "p50",
            "p99",
            "p99 to quiet",
            "lost",
        ]);
        for (mode, spreads) in &self.0 {
            let quiet = spreads.first().map_or(0.0, |(_, spread)| spread.p99);
            for (meanwhile, spread) in spreads {
                let share = match meanwhile {
                    Meanwhile::Quiet => String::new(),
                    _ => format!("{:.2}", spread.p99 / quiet),
                };
                table.add_row([
                    format!("{}: {}", mode.label(), meanwhile.label()),
                    format!("{:.2} ms", spread.p50),
                    format!("{:.2} ms", spread.p99),
                    share,
                    spread.failed.to_string(),
                ]);
            }
        }
        table
    }
}

impl fmt::Display for Fairness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}\nTwo quiet runs that differ by more than a goal allows say that this machine cannot show it now.",
            self.rows()
        )
    }
}
