//! What it costs to start a component whose compiled code lies on disk, as after a restart of the server.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use palisade_demo::built;
use palisade_demo::sampler::{Effort, Samples};
use palisade_runtime::catalog::{PluginDirectory, Verified};
use palisade_runtime::driver::wasm::WasmDriver;
use palisade_runtime::driver::{CodeCache, CodeKey, CodeKeys, Driver};
use palisade_runtime::{Digest, Timeouts, Workers};
use sha2::{Digest as _, Sha256};
use wasm_encoder::{
    CodeSection, Component, Function, FunctionSection, Module, ModuleSection, TypeSection, ValType,
};

use crate::floor::code::SealedCode;
use crate::floor::component::{Floor, Memory};
use crate::plan;
use crate::table::{millis, row, table, times};

/// The size of the component.
const BYTES: usize = 2_000_000;

const GRACE: Duration = Duration::from_secs(2);

/// What was measured.
#[derive(Default)]
pub(super) struct Activation {
    floor: Samples,
    warm: Samples,
    compiled: Duration,
}

/// Starts it with a new driver each time, which has nothing in memory, beside the bare load of the same code.
pub(super) async fn measure(workers: &Workers, effort: Effort) -> anyhow::Result<Activation> {
    let folder = tempfile::tempdir()?;
    let component = component_of(BYTES)?;
    let starts = Starts::of(workers, folder.path(), &component).await?;
    let engine = Floor::engine(Memory::Resident, true)?;
    let floor = SealedCode::write(engine, &component, &folder.path().join("floor"))?;
    let mut measured = Activation {
        // The first finds nothing on disk.
        compiled: starts.start().await?,
        ..Activation::default()
    };
    for _ in 0..effort.rounds * 8 {
        let begun = Instant::now();
        floor.load()?;
        measured.floor.push(begun.elapsed());
        measured.warm.push(starts.start().await?);
    }
    Ok(measured)
}

/// The hostile guest, with a module of plain arithmetic added that nobody instantiates, until it is that large.
fn component_of(bytes: usize) -> anyhow::Result<Vec<u8>> {
    let file = built::component("hostile");
    let mut component = std::fs::read(&file)
        .with_context(|| format!("{} is not built: run `cargo xtask guests`", file.display()))?;
    let mut carrier = Component::new();
    carrier.section(&ModuleSection(&arithmetic(
        bytes.saturating_sub(component.len()),
    )));
    let carrier = carrier.finish();
    let section = carrier
        .get(Component::HEADER.len()..)
        .context("a component begins with its header")?;
    component.extend(section);
    Ok(component)
}

/// A module of functions that mix their argument with constants, of about that many bytes.
fn arithmetic(bytes: usize) -> Module {
    let mut types = TypeSection::new();
    types.ty().function([ValType::I32], [ValType::I32]);
    let mut functions = FunctionSection::new();
    let mut code = CodeSection::new();
    while code.byte_len() < bytes {
        functions.function(0);
        code.function(&mixing(code.len()));
    }
    let mut module = Module::new();
    module.section(&types).section(&functions).section(&code);
    module
}

fn mixing(seed: u32) -> Function {
    let mut function = Function::new([]);
    let mut body = function.instructions();
    body.local_get(0);
    for step in 0..200 {
        let constant = (seed.wrapping_mul(31).wrapping_add(step) & 0x7fff).cast_signed();
        body.i32_const(constant).i32_add();
        body.local_get(0).i32_const(7).i32_rotl().i32_xor();
    }
    body.end();
    function
}

/// A component in a plugin directory, and where its code is kept.
struct Starts {
    workers: Workers,
    verified: Verified,
    kept: PathBuf,
}

impl Starts {
    async fn of(workers: &Workers, folder: &Path, component: &[u8]) -> anyhow::Result<Self> {
        std::fs::write(folder.join("large.wasm"), component)?;
        let directory = PluginDirectory::open(folder)?;
        let digest = Digest::new(Sha256::digest(component).into());
        Ok(Self {
            workers: workers.clone(),
            verified: directory.verify("large.wasm", digest).await?,
            kept: folder.join("compiled"),
        })
    }

    /// From the verified bytes to an instance, by a driver that is new.
    async fn start(&self) -> anyhow::Result<Duration> {
        let cache = CodeCache {
            folder: self.kept.clone(),
            bytes_max: CodeCache::BYTES_MAX,
            keys: Arc::new(OneKey),
        };
        let driver = WasmDriver::new(self.workers.clone(), Timeouts::default())?.caching(cache);
        let plan = plan::alone(self.verified.clone())?;
        let begun = Instant::now();
        let instance = driver.launch(plan).await?;
        let took = begun.elapsed();
        instance.stop(GRACE).await;
        Ok(took)
    }
}

/// The key of a server that is not sealed.
struct OneKey;

impl CodeKeys for OneKey {
    fn key(&self) -> Option<CodeKey> {
        Some(CodeKey::new([7; 32]))
    }
}

impl fmt::Display for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = table([
            "a start of a component of 2 MB",
            "p50",
            "p99",
            "p50 to its floor",
        ]);
        let floor = self.floor.p50();
        for (what, samples) in [
            (
                "its code read, authenticated, deserialised (floor)",
                &self.floor,
            ),
            ("from the cache on disk, set up", &self.warm),
        ] {
            table.add_row(row(what, samples, millis, times(samples.p50(), floor)));
        }
        write!(
            f,
            "{table}\nCompiled the first time: {}.",
            millis(self.compiled)
        )
    }
}
