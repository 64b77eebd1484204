//! A typed call of a component without the runtime: wasmtime's generated bindings, and what its store is made with.

use std::path::Path;

use anyhow::Context;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Linker, ResourceTable, ResourceType};
use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store,
    StoreLimits, StoreLimitsBuilder,
};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

mod bindings {
    wasmtime::component::bindgen!({
        path: "../wit/v0.1.0",
        world: "secrets",
        exports: { default: async },
    });
}

use bindings::exports::palisade::plugin::backend::{Request, SetupConfig};
use bindings::palisade::plugin::types::Operation;
use bindings::{Secrets, SecretsPre};

/// How the memory of stores is taken and given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// As the runtime does: from a pool that keeps what is used often, and asks the kernel which pages were written.
    Resident,
    /// From a pool that keeps what is used often.
    ResidentUnasked,
    /// From a pool that gives everything back.
    Pooled,
    /// Mapped for each store.
    OnDemand,
}

impl Memory {
    /// Every way.
    pub const ALL: [Self; 4] = [
        Self::Resident,
        Self::ResidentUnasked,
        Self::Pooled,
        Self::OnDemand,
    ];

    /// In words.
    pub fn label(self) -> &'static str {
        match self {
            Self::Resident => "a pool that keeps 2 MiB resident, with pagemap_scan (the runtime's)",
            Self::ResidentUnasked => "the same without pagemap_scan",
            Self::Pooled => "a pool that keeps nothing",
            Self::OnDemand => "mapped for each store",
        }
    }

    fn strategy(self) -> InstanceAllocationStrategy {
        let kept = match self {
            Self::OnDemand => return InstanceAllocationStrategy::OnDemand,
            Self::Pooled => 0,
            Self::Resident | Self::ResidentUnasked => 2 << 20,
        };
        let mut slots = PoolingAllocationConfig::new();
        slots
            .total_component_instances(64)
            .total_core_instances(64 * 64)
            .total_memories(64)
            .total_tables(64 * 4)
            .total_stacks(64)
            .max_core_instances_per_component(64)
            .max_tables_per_component(4)
            .linear_memory_keep_resident(kept)
            .decommit_batch_size(1);
        if self != Self::Pooled {
            slots
                .table_keep_resident(64 << 10)
                .async_stack_keep_resident(24 << 10);
        }
        if self == Self::Resident {
            slots.pagemap_scan(Enabled::Auto);
        }
        InstanceAllocationStrategy::Pooling(slots)
    }
}

/// A component that is compiled and linked, with host functions that trap: what is measured never calls them.
pub struct Floor {
    engine: Engine,
    component: SecretsPre<State>,
    is_limited: bool,
}

/// A store in which the component is set up.
pub struct FloorStore {
    store: Store<State>,
    plugin: Secrets,
}

impl Floor {
    /// Without fuel, limits or a deadline: the raw call.
    ///
    /// # Errors
    ///
    /// When the file is no component of the contract's `secrets` world.
    pub fn raw(file: &Path) -> anyhow::Result<Self> {
        Self::open(file, Memory::Resident, false)
    }

    /// With fuel and limits, as a store of the runtime.
    ///
    /// # Errors
    ///
    /// When the file is no component of the contract's `secrets` world.
    pub fn limited(file: &Path, memory: Memory) -> anyhow::Result<Self> {
        Self::open(file, memory, true)
    }

    /// What it is compiled with and runs in.
    ///
    /// # Errors
    ///
    /// When the memory of the pool cannot be reserved.
    pub fn engine(memory: Memory, is_limited: bool) -> anyhow::Result<Engine> {
        let mut config = Config::new();
        config
            .concurrency_support(false)
            .consume_fuel(is_limited)
            .async_stack_zeroing(is_limited)
            .allocation_strategy(memory.strategy());
        Ok(Engine::new(&config)?)
    }

    fn open(file: &Path, memory: Memory, is_limited: bool) -> anyhow::Result<Self> {
        let engine = Self::engine(memory, is_limited)?;
        let component = Component::from_file(&engine, file)?;
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        trap_on_host_calls(&component, &mut linker)?;
        Ok(Self {
            component: SecretsPre::new(linker.instantiate_pre(&component)?)?,
            engine,
            is_limited,
        })
    }

    /// A new store, set up.
    ///
    /// # Errors
    ///
    /// When it cannot be made, or the component refuses its setup.
    pub async fn store(&self) -> anyhow::Result<FloorStore> {
        let mut store = Store::new(&self.engine, State::default());
        if self.is_limited {
            store.limiter(|state| &mut state.limits);
            store.set_fuel(10_000_000_000)?;
            store.fuel_async_yield_interval(Some(100_000))?;
        }
        let plugin = self.component.instantiate_async(&mut store).await?;
        let setup = SetupConfig {
            options: Vec::new(),
            backend_uuid: String::new(),
        };
        let backend = plugin.palisade_plugin_backend();
        let set_up = backend.call_setup(&mut store, &setup).await?;
        set_up
            .map_err(|error| anyhow::anyhow!(error.message))
            .context("the component refused its setup")?;
        Ok(FloorStore { store, plugin })
    }
}

impl FloorStore {
    /// Sends a write and gives the length of the answer's data.
    ///
    /// # Errors
    ///
    /// When the component traps or answers with an error.
    pub async fn write(&mut self, path: &str, data: &str) -> anyhow::Result<usize> {
        let backend = self.plugin.palisade_plugin_backend();
        let request = request(path, data);
        let answer = backend
            .call_handle_request(&mut self.store, &request)
            .await?
            .map_err(|error| anyhow::anyhow!(error.message))?;
        Ok(answer.map_or(0, |response| response.data.len()))
    }
}

fn trap_on_host_calls(component: &Component, linker: &mut Linker<State>) -> anyhow::Result<()> {
    let engine = linker.engine().clone();
    for (interface, item) in component.component_type().imports(&engine) {
        let ComponentItem::ComponentInstance(instance) = item.ty else {
            continue;
        };
        if !interface.starts_with("palisade:plugin/") {
            continue;
        }
        let mut linked = linker.instance(interface)?;
        for (name, export) in instance.exports(&engine) {
            match export.ty {
                ComponentItem::ComponentFunc(_) => linked.func_new(name, |_, _, _, _| {
                    Err(wasmtime::format_err!("the host was called while measuring"))
                })?,
                ComponentItem::Resource(_) => {
                    linked.resource(name, ResourceType::host::<()>(), |_, _| Ok(()))?;
                }
                _ => {}
            }
        }
    }
    Ok(())
}

struct State {
    wasi: WasiCtx,
    table: ResourceTable,
    limits: StoreLimits,
}

impl Default for State {
    fn default() -> Self {
        Self {
            wasi: WasiCtx::default(),
            table: ResourceTable::default(),
            limits: StoreLimitsBuilder::new().memory_size(16 << 20).build(),
        }
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

fn request(path: &str, data: &str) -> Request {
    Request {
        id: String::new(),
        operation: Operation::Update,
        path: path.to_owned(),
        data: data.to_owned(),
        secret: None,
        auth: None,
        headers: Vec::new(),
        client_token: String::new(),
        client_token_accessor: String::new(),
        display_name: String::new(),
        mount_point: String::new(),
        mount_type: String::new(),
        mount_accessor: String::new(),
        wrap_info: None,
        client_token_remaining_uses: 0,
        entity_id: String::new(),
        policy_override: false,
        unauthenticated: false,
        connection: None,
    }
}
