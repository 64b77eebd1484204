//! A request through the whole runtime, each way to run a plugin beside its floor.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use comfy_table::{Table, presets};
use palisade_contract::{Json, Operation, PluginType, Request};
use palisade_runtime::catalog::{Manifest, PluginDirectory};
use palisade_runtime::store::MemoryStore;
use palisade_runtime::{Isolation, NewMount, Runtime, Workers};
use sha2::{Digest as _, Sha256};

use crate::built;
use crate::floor::component::RawComponent;
use crate::floor::wire::BareWire;
use crate::sampler::{Effort, Samples, turn};

/// What the guest answers from memory, without storage: the call itself is what is measured.
const PATH: &str = "echo";

/// The most memory with which a component runs on the thread that asks it.
const IN_PLACE_MEMORY_BYTES: &str = "16777216";

/// What was measured, each way beside its floor.
pub struct Comparison {
    component_floor: Samples,
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
    let mut component = RawComponent::open(&built::component("hostile"))?;
    let mut wire = wire_floor(&runtime).await?;
    let mut measured = Comparison::nothing();
    for _ in 0..effort.rounds {
        turn(&mut measured.component_floor, effort, async || {
            component.read(PATH).map(drop)
        })
        .await?;
        turn(&mut measured.wire_floor, effort, async || {
            wire.ask().await.map(drop)
        })
        .await?;
        for (mount, samples) in measured.ways() {
            turn(samples, effort, async || {
                read(&runtime, mount).await.map(drop)
            })
            .await?;
        }
    }
    runtime.shutdown().await;
    Ok(measured)
}

impl Comparison {
    fn nothing() -> Self {
        Self {
            component_floor: Samples::default(),
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

    /// How many times the floor's median a way takes.
    fn rows(&self) -> [(&'static str, &Samples, Option<&Samples>); 6] {
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
                "wasm, a store per call",
                &self.per_call,
                Some(&self.component_floor),
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
        let mut table = Table::new();
        table.load_style(presets::ASCII_MARKDOWN);
        table.set_header([
            "a read answered from memory",
            "p50",
            "p99",
            "p50 to its floor",
        ]);
        for (label, samples, floor) in self.rows() {
            let ratio = floor.map_or(String::new(), |floor| ratio(samples, floor));
            table.add_row([
                label.to_owned(),
                micros(samples.p50()),
                micros(samples.p99()),
                ratio,
            ]);
        }
        write!(f, "{table}")
    }
}

fn ratio(samples: &Samples, floor: &Samples) -> String {
    format!(
        "{:.2}",
        samples.p50().as_secs_f64() / floor.p50().as_secs_f64()
    )
}

fn micros(time: Duration) -> String {
    format!("{:.1} µs", time.as_secs_f64() * 1e6)
}

/// The floor of the process, with the very messages that the process is sent and answers with.
async fn wire_floor(runtime: &Runtime) -> anyhow::Result<BareWire> {
    let path = "native/".parse()?;
    let mounts = runtime.mounts();
    let mount = mounts.iter().find(|mount| mount.path == path);
    let mount = mount.context("the process is mounted")?;
    let mut request = Request::new(Operation::Read, PATH, Json::null());
    request.mount_point = mount.path.to_string();
    request.mount_type = mount.plugin.to_string();
    request.mount_accessor.clone_from(&mount.accessor);
    let answer = read(runtime, "native").await?;
    BareWire::open(request, answer.as_str()).await
}

/// A runtime with the same guest mounted in every way.
async fn runtime(workers: Workers) -> anyhow::Result<Runtime> {
    let directory = built::target_directory();
    let runtime = Runtime::builder()
        .workers(workers)
        .store(Arc::new(MemoryStore::new()))
        .plugin_directory(PluginDirectory::open(&directory)?)
        .builtin("hostile".parse()?, palisade_hostile::plugin())
        .build()
        .await?;
    enable(&runtime, "builtin", "hostile").await?;
    for (name, file, isolation) in [
        ("native", built::program("hostile"), None),
        (
            "per-mount",
            built::component("hostile"),
            Some(Isolation::Mount),
        ),
        (
            "per-call",
            built::component("hostile"),
            Some(Isolation::Call),
        ),
    ] {
        register(&runtime, name, &directory, file, isolation).await?;
        enable(&runtime, name, name).await?;
    }
    Ok(runtime)
}

async fn register(
    runtime: &Runtime,
    name: &str,
    directory: &std::path::Path,
    file: PathBuf,
    isolation: Option<Isolation>,
) -> anyhow::Result<()> {
    let bytes = std::fs::read(&file)
        .with_context(|| format!("{} is not built: run `cargo xtask guests`", file.display()))?;
    let command = file
        .strip_prefix(directory)?
        .to_str()
        .context("its path is text")?;
    // Up to this size a component runs in place; above, on the guests' own threads, which costs two hops.
    let limits = match isolation {
        Some(_) => BTreeMap::from([("memory_bytes".to_owned(), IN_PLACE_MEMORY_BYTES.to_owned())]),
        None => BTreeMap::new(),
    };
    let digest = hex::encode(Sha256::digest(bytes));
    let manifest = Manifest {
        command: command.to_owned(),
        isolation,
        limits,
        ..Manifest::new(PluginType::Secret, name, &digest)
    };
    runtime.register(manifest).await?;
    Ok(())
}

async fn enable(runtime: &Runtime, path: &str, plugin: &str) -> anyhow::Result<()> {
    let mount = NewMount {
        plugin: plugin.to_owned(),
        ..NewMount::default()
    };
    runtime.enable(path.parse()?, mount).await?;
    Ok(())
}

async fn read(runtime: &Runtime, mount: &str) -> anyhow::Result<Json> {
    let request = Request::new(Operation::Read, format!("{mount}/{PATH}"), Json::null());
    let answer = runtime.handle(request, None).await?;
    let answer = answer.with_context(|| format!("{mount} had nothing to say"))?;
    Ok(answer.data)
}
