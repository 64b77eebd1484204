//! Small guests written by hand, compiled in the test's own process, and mounts to run them in.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use super::compile::{Compiled, compile};
use super::engine::Shared;
use super::instance::WasmInstance;
use super::threads::GuestThreads;
use crate::catalog::Program;
use crate::driver::{Instance, LaunchPlan};
use crate::services::{Deadline, MountPrefix, MountServices, ServicesConfig};
use crate::store::MemoryStore;
use crate::{CallError, LaunchError, Limits};
use palisade_contract::{
    Json, Operation, Plugin, PluginType, Request, Response, SetupConfig, Storage,
};

/// A core module in parts, each WebAssembly text, from which a component of the contract is made.
///
/// Every part may use the functions of [`PRELUDE`]. What an export answers with is a pointer; zeros there mean
/// "nothing, and no error".
pub(super) struct Guest {
    /// The body of `handle-request`. Leaves a pointer to the answer.
    pub(super) handle: &'static str,
    /// The body of `setup`. Leaves a pointer to the answer.
    pub(super) setup: &'static str,
    /// The body of `invalidate-key`.
    pub(super) invalidate: &'static str,
    /// The body of `cleanup`.
    pub(super) cleanup: &'static str,
    /// The body of `cabi_realloc`. Leaves a pointer.
    pub(super) realloc: &'static str,
    /// Whatever else the module has. No imports.
    pub(super) more: &'static str,
    /// The memory.
    pub(super) memory: &'static str,
}

impl Default for Guest {
    fn default() -> Self {
        Self {
            handle: "(call $nothing)",
            setup: "(call $nothing)",
            invalidate: "",
            cleanup: "",
            realloc: "(call $allocate (local.get 3))",
            more: "",
            memory: r#"(memory (export "memory") 2)"#,
        }
    }
}

/// What a guest may use. Memory below 1,024 belongs to the texts, from there to 4,096 to answers.
const PRELUDE: &str = r#"
    (import "palisade:plugin/storage@0.1.0" "put"
        (func $import_put (param i32 i32 i32 i32 i32 i32)))
    (import "palisade:plugin/storage@0.1.0" "begin" (func $import_begin (param i32 i32)))
    (import "palisade:plugin/log@0.1.0" "emit" (func $import_log (param i32 i32 i32 i32 i32)))
    (import "palisade:plugin/random@0.1.0" "get-bytes" (func $import_random (param i32 i32)))
    (global $heap (mut i32) (i32.const 8192))
    (global $count (mut i32) (i32.const 0))
    (global $told (mut i32) (i32.const 0))
    (data (i32.const 0) "v1.0.0")
    (data (i32.const 16) "0.1.0")
    (data (i32.const 32) "written")
    (func $allocate (param $bytes i32) (result i32) (local $at i32)
        (local.set $at (i32.and (i32.add (global.get $heap) (i32.const 7)) (i32.const -8)))
        (global.set $heap (i32.add (local.get $at) (local.get $bytes)))
        (block $enough
            (br_if $enough (i32.le_u (global.get $heap) (i32.shl (memory.size) (i32.const 16))))
            (drop (memory.grow (i32.add (i32.shr_u (local.get $bytes) (i32.const 16)) (i32.const 1)))))
        (local.get $at))
    (func $nothing (result i32)
        (memory.fill (i32.const 1024) (i32.const 0) (i32.const 1024))
        (i32.const 1024))
    ;; Answers with an error whose text is one digit.
    (func $digit (param $digit i32) (result i32)
        (drop (call $nothing))
        (i32.store8 (i32.const 1024) (i32.const 1))
        (i32.store8 (i32.const 64) (i32.add (local.get $digit) (i32.const 48)))
        (i32.store (i32.const 1036) (i32.const 64))
        (i32.store (i32.const 1040) (i32.const 1))
        (i32.const 1024))
    (func $write
        (call $import_put (i32.const 32) (i32.const 7) (i32.const 0) (i32.const 2) (i32.const 0) (i32.const 2048)))
    (func $loop (loop $again (br $again)))
"#;

/// The section that agrees with what these guests say of themselves.
const SECTION: &str = r#"(@custom "palisade:plugin" "{\22contract\22:\220.1.0\22,\22type\22:\22secret\22,\22version\22:\22v1.0.0\22}")"#;

impl Guest {
    /// The component's bytes.
    pub(super) fn component(&self) -> Vec<u8> {
        let module = wat::parse_str(self.module()).unwrap();
        encode(module)
    }

    fn module(&self) -> String {
        let Self {
            handle,
            setup,
            invalidate,
            cleanup,
            realloc,
            more,
            memory,
        } = self;
        format!(
            r#"(module
                {PRELUDE}
                {memory}
                {more}
                {SECTION}
                (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) {realloc})
                (func (export "palisade:plugin/backend@0.1.0#describe") (result i32)
                    (drop (call $nothing))
                    (i32.store8 (i32.const 1024) (i32.const 1))
                    (i32.store (i32.const 1028) (i32.const 0))
                    (i32.store (i32.const 1032) (i32.const 6))
                    (i32.store (i32.const 1036) (i32.const 16))
                    (i32.store (i32.const 1040) (i32.const 5))
                    (i32.const 1024))
                (func (export "palisade:plugin/backend@0.1.0#setup")
                    (param i32 i32 i32 i32) (result i32) {setup})
                (func (export "palisade:plugin/backend@0.1.0#initialize") (result i32) (call $nothing))
                (func $handle (export "palisade:plugin/backend@0.1.0#handle-request")
                    (param i32) (result i32) {handle})
                (func (export "palisade:plugin/backend@0.1.0#check-existence")
                    (param i32) (result i32) (call $nothing))
                (func (export "palisade:plugin/backend@0.1.0#invalidate-key") (param i32 i32) {invalidate})
                (func (export "palisade:plugin/backend@0.1.0#cleanup") {cleanup})
            )"#
        )
    }
}

fn encode(mut module: Vec<u8>) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit/v0.1.0");
    let (package, _) = resolve.push_dir(&folder).unwrap();
    let world = resolve.select_world(&[package], Some("secrets")).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    let encoder = ComponentEncoder::default().module(&module).unwrap();
    encoder.validate(true).encode().unwrap()
}

/// A guest enabled at a mount of its own.
pub(super) struct Running {
    pub(super) instance: WasmInstance,
    pub(super) services: Arc<MountServices>,
}

/// Compiles and starts a guest.
pub(super) async fn start(guest: &Guest, limits: Limits) -> Result<Running, LaunchError> {
    start_bytes(&guest.component(), limits).await
}

/// Compiles and starts a component.
pub(super) async fn start_bytes(bytes: &[u8], limits: Limits) -> Result<Running, LaunchError> {
    let shared = Shared::of_process().unwrap();
    let answer = compile(bytes).unwrap();
    let compiled = Compiled::from_worker(answer, &shared.engine, &shared.linker).unwrap();
    let services = services(&limits);
    let plan = plan(limits, Arc::clone(&services));
    let threads = Arc::new(GuestThreads::start().unwrap());
    let step_limit = Duration::from_secs(5);
    let instance = WasmInstance::start(plan, &compiled, threads, shared.places, step_limit).await?;
    Ok(Running { instance, services })
}

fn services(limits: &Limits) -> Arc<MountServices> {
    let prefix = MountPrefix::new(PluginType::Secret, "0a").unwrap();
    let store = Arc::new(MemoryStore::new());
    MountServices::new(ServicesConfig::new(store, prefix, "guest v1.0.0", limits))
}

fn plan(limits: Limits, services: Arc<MountServices>) -> LaunchPlan {
    LaunchPlan {
        program: Program::Builtin(Arc::new(Unused)),
        label: "guest v1.0.0".to_owned(),
        plugin_type: PluginType::Secret,
        args: Vec::new(),
        env: Vec::new(),
        limits,
        config: SetupConfig::default(),
        services,
    }
}

/// Stands where a launch has its artifact; the tests hand over what was compiled from one.
struct Unused;

#[async_trait::async_trait]
impl Plugin for Unused {
    fn describe(&self) -> palisade_contract::Description {
        unreachable!("a component is launched from its compiled form")
    }

    async fn setup(
        &self,
        _: SetupConfig,
        _: &dyn palisade_contract::Host,
    ) -> Result<Box<dyn palisade_contract::Backend>, palisade_contract::PluginError> {
        unreachable!("a component is launched from its compiled form")
    }
}

impl Running {
    /// A request with that long to live.
    pub(super) async fn ask_for(&self, limit: Duration) -> Result<Option<Response>, CallError> {
        let request = Request::new(Operation::Update, "path", Json::from_text("{}"));
        self.instance.handle(request, Deadline::after(limit)).await
    }

    /// A request that has time.
    pub(super) async fn ask(&self) -> Result<Option<Response>, CallError> {
        self.ask_for(Duration::from_secs(20)).await
    }

    /// A request whose answer is the text of an error.
    pub(super) async fn ask_text(&self) -> String {
        match self.ask().await {
            Err(CallError::Plugin(error)) => error.message,
            other => panic!("{other:?}"),
        }
    }

    /// Whether anything of the guest's `$write` is visible.
    pub(super) async fn is_written(&self) -> bool {
        let scope = self
            .services
            .direct_scope(Deadline::after(Duration::from_secs(20)));
        let found = Storage::get(&scope, "written").await.unwrap();
        found.is_some()
    }
}
