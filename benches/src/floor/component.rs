//! A raw typed call of a component: wasmtime's generated bindings, one reused store, no fuel, no limits, no deadline.

use std::path::Path;

use anyhow::Context;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Linker, ResourceTable, ResourceType};
use wasmtime::{Config, Engine, Store};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

mod bindings {
    wasmtime::component::bindgen!({ path: "../wit/v0.1.0", world: "secrets" });
}

use bindings::Secrets;
use bindings::exports::palisade::plugin::backend::{Request, SetupConfig};
use bindings::palisade::plugin::types::Operation;

/// A component in a store of its own, set up and ready for calls.
pub struct RawComponent {
    store: Store<State>,
    plugin: Secrets,
}

impl RawComponent {
    /// Compiles, instantiates and sets up the component at `path`.
    ///
    /// # Errors
    ///
    /// When the file is no component of the contract's `secrets` world, or its setup fails.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let mut config = Config::new();
        config.concurrency_support(false);
        let engine = Engine::new(&config)?;
        let component = Component::from_file(&engine, path)?;
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_sync(&mut linker)?;
        trap_on_host_calls(&component, &mut linker)?;
        let mut store = Store::new(&engine, State::default());
        let plugin = Secrets::instantiate(&mut store, &component, &linker)?;
        let setup = SetupConfig {
            options: Vec::new(),
            backend_uuid: String::new(),
        };
        plugin
            .palisade_plugin_backend()
            .call_setup(&mut store, &setup)?
            .map_err(|error| anyhow::anyhow!(error.message))
            .context("the component refused its setup")?;
        Ok(Self { store, plugin })
    }

    /// Sends a read of `path` and gives the length of the answer's data.
    ///
    /// # Errors
    ///
    /// When the component traps or answers with an error.
    pub fn read(&mut self, path: &str) -> anyhow::Result<usize> {
        let answer = self
            .plugin
            .palisade_plugin_backend()
            .call_handle_request(&mut self.store, &request(path))?
            .map_err(|error| anyhow::anyhow!(error.message))?;
        Ok(answer.map_or(0, |response| response.data.len()))
    }
}

/// The calls that are measured never reach the host; one that did would trap.
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

#[derive(Default)]
struct State {
    wasi: WasiCtx,
    table: ResourceTable,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

fn request(path: &str) -> Request {
    Request {
        id: String::new(),
        operation: Operation::Read,
        path: path.to_owned(),
        data: "null".to_owned(),
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
