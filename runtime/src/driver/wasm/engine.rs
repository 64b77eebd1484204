//! The engine's settings, each with its reason: one set, so that what the compile worker makes the server can load.

use std::num::NonZeroUsize;
use std::sync::{Arc, OnceLock};

use tokio::sync::Semaphore;
use wasmtime::component::Linker;
use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Result,
    WasmBacktraceDetails,
};

use super::limiter::{INSTANCES_MAX, MEMORIES_MAX, TABLES_MAX};
use super::linker::linker;
use super::store::StoreState;
use super::trap::FRAMES_KEPT;

/// Stores that may be alive at once, over all mounts. Each takes about six mappings, of which Linux gives a process
/// 65,530 by default; past that even `malloc` fails, so this stays well below.
const STORES_MAX: u32 = 2048;

/// The largest linear memory that a slot of the pool can hold; the limiter decides how much of it an entry gets.
const SLOT_BYTES: usize = 4 << 30;

/// Memory and stack that stay mapped between two uses of a slot: a fresh store then costs a third.
const KEEP_RESIDENT_BYTES: usize = 2 << 20;

/// Frames of a trap's backtrace: enough to find the place, too few to fill a log.
const BACKTRACE_FRAMES: NonZeroUsize =
    NonZeroUsize::new(FRAMES_KEPT).expect("some frames are kept");

/// What all components of a process share. There is one: the address space that it reserves is a good part of all
/// there is, and two engines would only invite mixing up what belongs to which.
#[derive(Clone)]
pub(super) struct Shared {
    /// Loads what a compile worker made, into slots that are reserved once.
    pub(super) engine: Engine,
    /// Knows what every entry is granted.
    pub(super) linker: Arc<Linker<StoreState>>,
    /// One permit for each store that may be alive.
    pub(super) places: Arc<Semaphore>,
}

impl Shared {
    /// This process's own, made at the first call.
    ///
    /// # Errors
    ///
    /// When the address space cannot be reserved; a limit on virtual memory is the usual cause.
    pub(super) fn of_process() -> Result<Self, String> {
        static SHARED: OnceLock<Result<Shared, String>> = OnceLock::new();
        SHARED
            .get_or_init(|| Self::make().map_err(|error| format!("{error:#}")))
            .clone()
    }

    fn make() -> Result<Self> {
        let engine = serving()?;
        let linker = Arc::new(linker(&engine)?);
        let places = Arc::new(Semaphore::new(STORES_MAX as usize));
        Ok(Self {
            engine,
            linker,
            places,
        })
    }
}

fn serving() -> Result<Engine> {
    let mut config = settings();
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(slots()));
    Engine::new(&config)
}

/// The engine of the compile worker: it runs nothing, so it reserves nothing.
pub(super) fn compiling() -> Result<Engine> {
    Engine::new(&settings())
}

fn settings() -> Config {
    let mut config = Config::new();
    refuse_unused_proposals(&mut config);
    // Fuel is the only meter: it counts the same everywhere, covers instantiation, and its yields are the points where
    // a deadline or a cancelled caller ends the guest. Epochs on top cost as much again and stop nothing more.
    config.consume_fuel(true);
    // Calls are synchronous in the contract; without this each costs half as much.
    config.concurrency_support(false);
    // A request's secrets do not stay on the stack that the next one gets.
    config.async_stack_zeroing(true);
    // The image of a memory is private to this process: nobody can truncate it underneath.
    config.memory_init_cow(true).force_memory_init_memfd(true);
    // The guest chooses where its data lies; a sparse image would make the host allocate the gaps.
    config.memory_guaranteed_dense_image_size(4 << 20);
    // Names, but not files and lines, and regardless of the server's environment.
    config.wasm_backtrace_details(WasmBacktraceDetails::Disable);
    config.wasm_backtrace_max_frames(Some(BACKTRACE_FRAMES));
    config
}

/// Whatever the guests' toolchains do not emit is refused when compiling: each proposal had, or could have, a bug of
/// its own. (Threads and parallel compilation are not even built in.)
fn refuse_unused_proposals(config: &mut Config) {
    config
        .wasm_memory64(false)
        .wasm_multi_memory(false)
        .wasm_simd(false)
        .wasm_relaxed_simd(false)
        .wasm_tail_call(false)
        .wasm_custom_page_sizes(false)
        .wasm_exceptions(false)
        .wasm_gc(false)
        .wasm_function_references(false)
        .gc_support(false);
}

fn slots() -> PoolingAllocationConfig {
    let mut slots = PoolingAllocationConfig::new();
    slots
        .total_component_instances(STORES_MAX)
        .total_core_instances(STORES_MAX * INSTANCES_MAX)
        .total_memories(STORES_MAX * MEMORIES_MAX)
        .total_tables(STORES_MAX * TABLES_MAX)
        .total_stacks(STORES_MAX)
        .total_gc_heaps(1)
        .max_core_instances_per_component(INSTANCES_MAX)
        .max_memories_per_component(MEMORIES_MAX)
        .max_tables_per_component(TABLES_MAX)
        .max_memory_size(SLOT_BYTES)
        .linear_memory_keep_resident(KEEP_RESIDENT_BYTES)
        .table_keep_resident(64 << 10)
        .async_stack_keep_resident(64 << 10)
        // What is given back is given back at once, not in batches that keep a tenant's pages around.
        .decommit_batch_size(1)
        .pagemap_scan(Enabled::Auto);
    slots
}

#[cfg(test)]
mod tests {
    use super::*;

    fn precompile(module: &str) -> Result<Vec<u8>> {
        let component = format!("(component (core {})", &module[1..]);
        compiling()?.precompile_component(&wat::parse_str(component).unwrap())
    }

    #[test]
    fn what_the_compiling_engine_makes_the_serving_one_loads() {
        let made = precompile("(module (memory 1) (func (loop (br 0))))").unwrap();
        let work = crate::driver::wasm::load::OwnWork::from_worker(made);
        work.load(&serving().unwrap()).unwrap();
    }

    #[test]
    fn proposals_that_no_toolchain_needs_are_refused() {
        let modules = [
            "(module (memory i64 1))",
            "(module (memory 1) (memory 1))",
            "(module (memory 1 1 shared))",
            "(module (tag))",
            "(module (type (struct)))",
            "(module (func (result v128) (v128.const i64x2 0 0)))",
            "(module (func $f (return_call $f)))",
        ];
        for module in modules {
            assert!(precompile(module).is_err(), "{module}");
        }
    }
}
