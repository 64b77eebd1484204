//! One Go plugin through this server and through another of its family, in slices that alternate: the same file, the same
//! clients, the same machine.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::ensure;
use palisade_demo::built::peer;
use palisade_demo::other::Other;
use palisade_demo::sampler::Effort;
use palisade_demo::served::Served;

use crate::load::{Ask, CLIENTS, Cell, Way, drive};
use crate::table::{table, times};

/// What was measured of one plugin and one question: the other server, and this one.
struct Pair {
    way: Way,
    ask: Ask,
    cells: [[Cell; CLIENTS.len()]; 2],
}

/// What was measured.
pub struct Beside {
    other: Other,
    pairs: Vec<Pair>,
}

/// Measures both in interleaved rounds.
///
/// # Errors
///
/// When something is not built, or a request fails.
pub async fn compare(other: Other, effort: Effort) -> anyhow::Result<Beside> {
    let (rounds, slice) = match effort.rounds {
        0..=2 => (1, Duration::from_millis(20)),
        _ => (12, Duration::from_millis(400)),
    };
    let ours = Served::start(&files(other)?)?;
    let theirs = other.start(ours.plugins()).await?;
    let servers = [theirs.address(), ours.address()];
    let mut pairs = Vec::new();
    for mock in other.mocks() {
        let way = Way::through_both(mock);
        for server in servers {
            way.mount(server, &ours).await?;
        }
        pairs.extend([Ask::Read, Ask::Write].map(|ask| Pair::of(way.clone(), ask)));
    }
    for _ in 0..rounds {
        for Pair { way, ask, cells } in &mut pairs {
            for (number, clients) in CLIENTS.iter().enumerate() {
                for (server, cells) in servers.iter().zip(&mut *cells) {
                    drive(*server, way, *ask, *clients, slice, &mut cells[number]).await?;
                }
            }
        }
    }
    Ok(Beside { other, pairs })
}

/// The executables of its plugins.
fn files(other: Other) -> anyhow::Result<Vec<PathBuf>> {
    let files = other.mocks().iter().map(|mock| {
        let file = peer(mock);
        ensure!(
            file.exists(),
            "{} is not built: `cargo xtask test` does, where Go is installed",
            file.display()
        );
        Ok(file)
    });
    files.collect()
}

impl Pair {
    fn of(way: Way, ask: Ask) -> Self {
        Self {
            way,
            ask,
            cells: Default::default(),
        }
    }

    /// How many times the other's rate, and what part of its p50.
    fn ratio(&self, number: usize) -> String {
        let [other, ours] = &self.cells;
        let (other, ours) = (&other[number], &ours[number]);
        let rate = ours.rate() / other.rate();
        format!("{rate:.2} / {}", times(ours.p50(), other.p50()))
    }
}

impl fmt::Display for Beside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = table([
            "over HTTP: requests per second / p50 / p99",
            "1 client",
            "8 clients",
            "64 clients",
        ]);
        let other = self.other.title();
        for pair in &self.pairs {
            let what = format!("{} of {}", pair.ask, pair.way.label);
            for (server, cells) in [other, "this server"].iter().zip(&pair.cells) {
                let [one, eight, many] = cells.each_ref().map(ToString::to_string);
                table.add_row([format!("{what}: {server}"), one, eight, many]);
            }
            let [one, eight, many] = [0, 1, 2].map(|number| pair.ratio(number));
            table.add_row([format!("{what}: rate, p50 to its"), one, eight, many]);
        }
        write!(f, "{table}")
    }
}
