//! Calls of plugins in Go: through the whole runtime, and by go-plugin's own host on the same executable.

use std::fmt;
use std::path::PathBuf;

use anyhow::Context;
use palisade_runtime::Workers;

use crate::embedded::{Embedded, Plugin};
use crate::go_host::{GoHost, Spread, Task};
use crate::table::table;
use palisade_demo::built::peer;
use palisade_demo::sampler::{Effort, Samples, turn};

/// What each of them answers without storage.
const PATH: &str = "special";

/// What was measured of each executable.
pub struct Calls(Vec<OfOnePeer>);

struct OfOnePeer {
    name: &'static str,
    file: PathBuf,
    ours: Samples,
    /// The best that the host in Go said, so that a slow moment of the machine is not held against it.
    go_host: Option<Spread>,
}

/// Measures both hosts in interleaved rounds. Without Go there is nothing to measure.
///
/// # Errors
///
/// When a call fails.
pub async fn compare(workers: Workers, effort: Effort) -> anyhow::Result<Calls> {
    let mut peers = existing();
    let Some(host) = GoHost::find().filter(|_| !peers.is_empty()) else {
        return Ok(Calls(Vec::new()));
    };
    let runtime = runtime(workers, &peers).await?;
    for _ in 0..effort.rounds {
        for peer in &mut peers {
            turn(&mut peer.ours, effort, async || {
                let path = format!("{}/{PATH}", peer.name);
                runtime.read(&path).await.map(drop)
            })
            .await?;
            let said = host.measure(Task {
                file: &peer.file,
                multiplexes: false,
                path: PATH,
                launches: 0,
                calls: effort.calls,
            })?;
            peer.go_host = better(peer.go_host, said.call);
        }
    }
    runtime.runtime().shutdown().await;
    Ok(Calls(peers))
}

fn existing() -> Vec<OfOnePeer> {
    let all = ["bao-mock", "vault-mock"].map(|name| OfOnePeer {
        name,
        file: peer(name),
        ours: Samples::default(),
        go_host: None,
    });
    all.into_iter().filter(|peer| peer.file.exists()).collect()
}

fn better(one: Option<Spread>, other: Option<Spread>) -> Option<Spread> {
    match (one, other) {
        (Some(one), Some(other)) if other.p50 > one.p50 => Some(one),
        (one, other) => other.or(one),
    }
}

async fn runtime(workers: Workers, peers: &[OfOnePeer]) -> anyhow::Result<Embedded> {
    let folder = peers[0].file.parent().context("it lies in a folder")?;
    let runtime = Embedded::open(workers, folder).await?;
    for peer in peers {
        let plugin = Plugin {
            name: peer.name,
            file: peer.file.clone(),
            isolation: None,
            limits: &[],
        };
        runtime.mount(folder, plugin).await?;
    }
    Ok(runtime)
}

impl fmt::Display for Calls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str(
                "No calls of plugins in Go: `cargo xtask test` builds them, where Go is installed.",
            );
        }
        let mut table = table(["a read of a plugin in Go", "p50", "p99", "p50 to Go's host"]);
        for peer in &self.0 {
            for row in peer.rows() {
                table.add_row(row);
            }
        }
        write!(f, "{table}")
    }
}

impl OfOnePeer {
    fn rows(&self) -> Vec<[String; 4]> {
        let ours = self.ours.p50().as_secs_f64() * 1e6;
        let ratio = self.go_host.map(|host| format!("{:.2}", ours / host.p50));
        let mut rows = vec![[
            format!("{}: through the whole runtime", self.name),
            micros(ours),
            micros(self.ours.p99().as_secs_f64() * 1e6),
            ratio.unwrap_or_default(),
        ]];
        rows.extend(self.go_host.map(|Spread { p50, p99 }| {
            let label = format!("{}: go-plugin's host in Go", self.name);
            [label, micros(p50), micros(p99), String::new()]
        }));
        rows
    }
}

fn micros(micros: f64) -> String {
    format!("{micros:.1} µs")
}
