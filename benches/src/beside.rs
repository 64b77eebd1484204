//! One Go plugin through this server and through another of its family, in slices that alternate: the same file, the same
//! clients, the same machine.

use std::fmt;
use std::time::Duration;

use anyhow::ensure;
use palisade_demo::other::Other;
use palisade_demo::sampler::Effort;
use palisade_demo::served::Served;

use crate::load::{Ask, CLIENTS, Cell, Way, drive};
use crate::table::{table, times};

/// What was measured of one question: the other server, and this one.
struct Pair {
    ask: Ask,
    cells: [[Cell; CLIENTS.len()]; 2],
}

/// What was measured.
pub struct Beside {
    other: Other,
    pairs: [Pair; 2],
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
    let plugin = other.plugin();
    ensure!(
        plugin.exists(),
        "{} is not built: `cargo xtask test` does, where Go is installed",
        plugin.display()
    );
    let ours = Served::start(std::slice::from_ref(&plugin))?;
    let theirs = other.start(ours.plugins()).await?;
    let way = Way::through_both(plugin);
    let servers = [theirs.address(), ours.address()];
    for server in servers {
        way.mount(server, &ours).await?;
    }
    let mut pairs = [Ask::Read, Ask::Write].map(|ask| Pair {
        ask,
        cells: Default::default(),
    });
    for _ in 0..rounds {
        for pair in &mut pairs {
            for (number, clients) in CLIENTS.iter().enumerate() {
                for (server, cells) in servers.iter().zip(&mut pair.cells) {
                    let cell = &mut cells[number];
                    drive(*server, &way, pair.ask, *clients, slice, cell).await?;
                }
            }
        }
    }
    Ok(Beside { other, pairs })
}

impl Pair {
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
            "the mock of its SDK: requests per second / p50 / p99",
            "1 client",
            "8 clients",
            "64 clients",
        ]);
        let other = self.other.title();
        for pair in &self.pairs {
            let what = pair.ask;
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
