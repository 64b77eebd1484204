//! A request through the whole runtime, each way to run a plugin beside its floor.

use std::fmt;

use anyhow::Context;
use palisade_contract::{Json, Operation, Request};
use palisade_runtime::{Isolation, Workers};

use crate::embedded::{Embedded, Plugin};
use crate::floor::component::{Floor, Memory};
use crate::floor::wire::BareWire;
use crate::table::{micros, row, table, times};
use palisade_demo::built;
use palisade_demo::sampler::{Effort, Samples, turn};

/// What the guest answers from memory, without storage: the call itself is what is measured.
const PATH: &str = "echo";

/// What it is sent, and answers with beside what else it saw of the request.
const BODY: &str = r#"{"x":"0123456789012345678901234567890123456789012345678901234567"}"#;

/// What was measured, each way beside its floor.
pub struct Comparison {
    component_floor: Samples,
    store_floor: Samples,
    wire_floor: Samples,
    builtin: Samples,
    native: Samples,
    per_mount: Samples,
    per_call: Samples,
}

/// Measures every way in interleaved rounds.
///
/// # Errors
///
/// When the guests are not built, or a call fails.
pub async fn compare(workers: Workers, effort: Effort) -> anyhow::Result<Comparison> {
    let runtime = runtime(workers).await?;
    let component = built::component("hostile");
    let mut raw = Floor::raw(&component)?.store().await?;
    let fresh = Floor::limited(&component, Memory::Resident)?;
    let mut wire = wire_floor(&runtime).await?;
    let mut measured = Comparison::nothing();
    for _ in 0..effort.rounds {
        turn(&mut measured.component_floor, effort, async || {
            raw.write(PATH, BODY).await.map(drop)
        })
        .await?;
        turn(&mut measured.store_floor, effort, async || {
            fresh.store().await?.write(PATH, BODY).await.map(drop)
        })
        .await?;
        turn(&mut measured.wire_floor, effort, async || {
            wire.ask().await.map(drop)
        })
        .await?;
        for (mount, samples) in measured.ways() {
            turn(samples, effort, async || {
                write(&runtime, mount).await.map(drop)
            })
            .await?;
        }
    }
    runtime.runtime().shutdown().await;
    Ok(measured)
}

impl Comparison {
    fn nothing() -> Self {
        Self {
            component_floor: Samples::default(),
            store_floor: Samples::default(),
            wire_floor: Samples::default(),
            builtin: Samples::default(),
            native: Samples::default(),
            per_mount: Samples::default(),
            per_call: Samples::default(),
        }
    }

    /// Each way by the mount that runs it.
    fn ways(&mut self) -> [(&'static str, &mut Samples); 4] {
        [
            ("builtin", &mut self.builtin),
            ("native", &mut self.native),
            ("per-mount", &mut self.per_mount),
            ("per-call", &mut self.per_call),
        ]
    }

    fn rows(&self) -> [(&'static str, &Samples, Option<&Samples>); 7] {
        [
            (
                "raw typed component call (floor)",
                &self.component_floor,
                None,
            ),
            (
                "wasm, a store per mount",
                &self.per_mount,
                Some(&self.component_floor),
            ),
            (
                "new store, set up, call, drop, limits on (floor)",
                &self.store_floor,
                None,
            ),
            (
                "wasm, a store per call",
                &self.per_call,
                Some(&self.store_floor),
            ),
            (
                "bare tonic call, same mTLS socket (floor)",
                &self.wire_floor,
                None,
            ),
            ("native process", &self.native, Some(&self.wire_floor)),
            ("builtin", &self.builtin, None),
        ]
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = table([
            "64 bytes answered from memory",
            "p50",
            "p99",
            "p50 to its floor",
        ]);
        for (label, samples, floor) in self.rows() {
            let ratio = floor.map_or(String::new(), |floor| times(samples.p50(), floor.p50()));
            table.add_row(row(label, samples, micros, ratio));
        }
        writeln!(f, "{table}")?;
        let share = times(self.per_call.p50(), self.native.p50());
        write!(
            f,
            "A store per call takes {share} of the native round trip."
        )
    }
}

/// The floor of the process, with the very messages that the process is sent and answers with.
async fn wire_floor(runtime: &Embedded) -> anyhow::Result<BareWire> {
    let path = "native/".parse()?;
    let mounts = runtime.runtime().mounts();
    let mount = mounts.iter().find(|mount| mount.path == path);
    let mount = mount.context("the process is mounted")?;
    let mut request = Request::new(Operation::Update, PATH, Json::from_text(BODY));
    request.mount_point = mount.path.to_string();
    request.mount_type = mount.plugin.to_string();
    request.mount_accessor.clone_from(&mount.accessor);
    let answer = write(runtime, "native").await?;
    BareWire::open(request, answer.as_str()).await
}

/// A runtime with the same guest mounted in every way.
async fn runtime(workers: Workers) -> anyhow::Result<Embedded> {
    let directory = built::target_directory();
    let runtime = Embedded::open(workers, &directory).await?;
    runtime.enable("builtin", "hostile").await?;
    for (name, isolation) in [
        ("native", None),
        ("per-mount", Some(Isolation::Mount)),
        ("per-call", Some(Isolation::Call)),
    ] {
        let file = match isolation {
            None => built::program("hostile"),
            Some(_) => built::component("hostile"),
        };
        let plugin = Plugin {
            name,
            file,
            isolation,
            limits: &[],
        };
        runtime.mount(&directory, plugin).await?;
    }
    Ok(runtime)
}

async fn write(runtime: &Embedded, mount: &str) -> anyhow::Result<Json> {
    let path = format!("{mount}/{PATH}");
    let answer = runtime
        .ask(Operation::Update, &path, Json::from_text(BODY), None)
        .await?;
    let answer = answer.with_context(|| format!("{mount} had nothing to say"))?;
    Ok(answer.data)
}
