//! The engines' settings, each with its reason: one set for serving and compiling, so that what the compile worker makes
//! the server can load.

use std::num::NonZeroUsize;

use wasmtime::error::Context as _;
use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Result,
    WasmBacktraceDetails,
};

use super::bounds::Bounds;
use super::engine::{Class, Ordinary};
use super::trap::FRAMES_KEPT;
use crate::Profile;

/// The largest linear memory that a slot of the pool can hold; the limiter decides how much of it an entry gets.
const SLOT_BYTES: usize = 4 << 30;

/// Memory that stays mapped between two uses of a slot: a fresh store then costs a third.
const KEEP_RESIDENT_BYTES: usize = 2 << 20;

/// Stack that does. All of it is zeroed after each use, and requests of plugins on the SDK take 12 to 16 KiB of it, through
/// the server's barrier to a store on disk; what lies deeper costs a page fault, and an interrupt of the other processors.
const STACK_RESIDENT_BYTES: usize = 24 << 10;

/// What is usually wrong when the pool cannot be made.
const NO_SPACE: &str =
    "its pool cannot be made; where virtual memory is limited (ulimit -v), lift that";

/// Frames of a trap's backtrace: enough to find the place, too few to fill a log.
const BACKTRACE_FRAMES: NonZeroUsize =
    NonZeroUsize::new(FRAMES_KEPT).expect("some frames are kept");

/// The engine in which the components of one profile run.
pub(super) fn serving(profile: Profile) -> Result<Engine> {
    let mut config = settings();
    match profile {
        Profile::Ordinary => {
            config.allocation_strategy(InstanceAllocationStrategy::Pooling(slots()));
            Engine::new(&config).context(NO_SPACE)
        }
        // A request to a fresh store of Python's took 8.0 ms here and 8.0 to 8.5 ms in a pool, whatever a slot of it kept: the
        // time goes into pages that are touched anew. So nothing is reserved, and no slot is used a second time.
        Profile::Large => {
            config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
            Engine::new(&config)
        }
    }
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
/// its own. (Threads, garbage collection, exceptions and parallel compilation are not even built in.)
fn refuse_unused_proposals(config: &mut Config) {
    config
        .wasm_memory64(false)
        .wasm_multi_memory(false)
        .wasm_simd(false)
        .wasm_relaxed_simd(false)
        .wasm_tail_call(false)
        .wasm_custom_page_sizes(false)
        .wasm_gc(false)
        .gc_support(false);
}

fn slots() -> PoolingAllocationConfig {
    let stores = Ordinary::STORES_MAX;
    let Bounds {
        core_instances,
        memories,
        tables,
        ..
    } = *Bounds::of(Profile::Ordinary);
    let mut slots = PoolingAllocationConfig::new();
    slots
        .total_component_instances(stores)
        .total_core_instances(stores * core_instances)
        .total_memories(stores * memories)
        .total_tables(stores * tables)
        .total_stacks(stores)
        .max_core_instances_per_component(core_instances)
        .max_memories_per_component(memories)
        .max_tables_per_component(tables)
        .max_memory_size(SLOT_BYTES)
        .linear_memory_keep_resident(KEEP_RESIDENT_BYTES)
        .table_keep_resident(64 << 10)
        .async_stack_keep_resident(STACK_RESIDENT_BYTES)
        // What is given back is given back at once, not in batches that keep a tenant's pages around.
        .decommit_batch_size(1)
        .pagemap_scan(Enabled::Auto);
    slots
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::wasm::load::OwnWork;

    fn precompile(module: &str) -> Result<Vec<u8>> {
        let component = format!("(component (core {})", &module[1..]);
        compiling()?.precompile_component(&wat::parse_str(component).unwrap())
    }

    #[test]
    fn what_the_compiling_engine_makes_the_serving_one_loads() {
        for profile in [Profile::Ordinary, Profile::Large] {
            let made = precompile("(module (memory 1) (func (loop (br 0))))").unwrap();
            let work = OwnWork::<()>::from_worker(made);
            work.load(0, &serving(profile).unwrap()).unwrap();
        }
    }

    /// Why the cache has a seal: the engine itself takes most of what is no longer what the compiler made.
    #[test]
    fn the_engine_alone_takes_code_that_was_tampered_with() {
        let engine = compiling().unwrap();
        let made = precompile("(module (memory 1) (func (loop (br 0))))").unwrap();
        let taken = (0..64).filter(|step| {
            let mut flipped = made.clone();
            let at = made.len() / 2 + step * (made.len() / 2) / 64;
            flipped[at] ^= 1;
            let work = OwnWork::<()>::from_worker(flipped);
            work.load(0, &engine).is_ok()
        });
        let taken = taken.count();
        assert!(taken > 16, "{taken} of 64 flipped bits were taken");
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
