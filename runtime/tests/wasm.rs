//! Components from their registration to their requests, read and compiled by real worker processes.
//!
//! `main` is this file's own, because [`enter_worker`] has to come first in it.

#![allow(
    clippy::unwrap_used,
    reason = "a test may unwrap: its panic is its verdict"
)]

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Failed, Trial};
use palisade_runtime::catalog::{Manifest, PluginDirectory};
use palisade_runtime::contract::{Json, Operation, PluginType, Request, Response};
use palisade_runtime::driver::Compilation;
use palisade_runtime::store::MemoryStore;
use palisade_runtime::{
    CallError, ErrorKind, Isolation, MountError, NewMount, Profile, RegisterError, Runtime,
    Timeouts, Workers, enter_worker,
};
use sha2::{Digest, Sha256};

/// Makes `trials`: one for each function named, with what it takes made of the workers.
macro_rules! trials {
    ($workers:ident => $made:expr; $($test:ident),* $(,)?) => {
        pub(crate) fn trials(workers: &Workers) -> Vec<Trial> {
            vec![$(crate::trial(workers, stringify!($test), |$workers| {
                Box::pin(async move { $test($made).await })
            })),*]
        }
    };
}

#[path = "../src/driver/wasm/testing/guest.rs"]
mod guest;

#[path = "wasm/bombs.rs"]
mod bombs;
#[path = "wasm/cache.rs"]
mod cache;
#[path = "wasm/faults.rs"]
mod faults;

use guest::{Guest, SECTION};

fn main() -> ExitCode {
    let workers = enter_worker();
    if std::env::var_os(faults::CHILD).is_some() {
        faults::become_faulty(workers);
    }
    let mut trials = trials(&workers);
    trials.extend(bombs::trials(&workers));
    trials.extend(cache::trials(&workers));
    trials.extend(faults::trials(&workers));
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

trials![workers => Place::open(workers).await;
    a_component_is_registered_enabled_and_asked,
    a_trap_is_told_and_the_next_request_is_served,
    a_component_that_imports_too_much_is_refused_by_name,
    a_component_whose_functions_are_not_those_of_the_contract_is_refused_by_name,
    what_is_no_component_of_the_contract_is_refused,
    a_file_that_overflows_a_parsers_stack_harms_only_its_worker,
    two_mounts_of_one_component_share_nothing,
    each_profile_has_its_own_budget_for_compiling,
    a_stopped_runtime_leaves_no_store,
    the_old_version_serves_while_the_new_one_is_compiled,
    a_failed_compilation_is_told_and_the_old_version_goes_on,
];

type Running = std::pin::Pin<Box<dyn Future<Output = ()>>>;

fn trial(workers: &Workers, name: &str, test: fn(Workers) -> Running) -> Trial {
    let workers = workers.clone();
    Trial::test(name, move || {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?;
        runtime.block_on(test(workers));
        Ok::<(), Failed>(())
    })
}

/// A runtime with a plugin directory of its own.
struct Place {
    runtime: Runtime,
    workers: Workers,
    folder: tempfile::TempDir,
}

impl Place {
    async fn open(workers: Workers) -> Self {
        Self::open_with(workers, Timeouts::default()).await
    }

    async fn open_with(workers: Workers, timeouts: Timeouts) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let runtime = Runtime::builder()
            .workers(workers.clone())
            .timeouts(timeouts)
            .store(Arc::new(MemoryStore::new()))
            .plugin_directory(PluginDirectory::open(folder.path()).unwrap())
            .build()
            .await
            .unwrap();
        Self {
            runtime,
            workers,
            folder,
        }
    }

    async fn reload(&self, path: &str) -> Result<(), MountError> {
        let path = path.parse().unwrap();
        self.runtime.reload_mount(&path).await
    }

    /// What the runtime says of the compilation of these bytes.
    fn compilation(&self, bytes: &[u8]) -> Option<Compilation> {
        let digest = hex::encode(Sha256::digest(bytes)).parse().unwrap();
        self.runtime.compilation(Profile::Ordinary, digest)
    }

    async fn register(&self, name: &str, bytes: &[u8]) -> Result<(), RegisterError> {
        self.register_as(name, bytes, Profile::Ordinary).await
    }

    async fn register_as(
        &self,
        name: &str,
        bytes: &[u8],
        profile: Profile,
    ) -> Result<(), RegisterError> {
        std::fs::write(Path::new(self.folder.path()).join(name), bytes).unwrap();
        let digest = hex::encode(Sha256::digest(bytes));
        let manifest = Manifest {
            isolation: Some(Isolation::Mount),
            profile: Some(profile),
            ..Manifest::new(PluginType::Secret, name, &digest)
        };
        self.runtime.register(manifest).await.map(drop)
    }

    async fn enable(&self, path: &str, plugin: &str) -> Result<(), MountError> {
        let mount = NewMount {
            plugin: plugin.to_owned(),
            ..NewMount::default()
        };
        self.runtime
            .enable(path.parse().unwrap(), mount)
            .await
            .map(drop)
    }

    async fn ask(&self, path: &str) -> Result<Option<Response>, CallError> {
        let request = Request::new(Operation::Update, path, Json::from_text("{}"));
        self.runtime
            .handle(request, Some(Duration::from_secs(30)))
            .await
    }

    async fn ask_text(&self, path: &str) -> String {
        match self.ask(path).await {
            Err(CallError::Plugin(error)) => error.message,
            other => panic!("{other:?}"),
        }
    }

    async fn refusal(&self, bytes: &[u8]) -> RegisterError {
        match self.register("refused", bytes).await {
            Ok(()) => panic!("it was registered"),
            Err(error) => error,
        }
    }
}

/// Counts its requests in memory, and traps at every third.
const COUNT: &str = "
    (global.set $count (i32.add (global.get $count) (i32.const 1)))
    (if (i32.eq (global.get $count) (i32.const 3)) (then unreachable))
    (call $digit (global.get $count))";

fn counting() -> Vec<u8> {
    let guest = Guest {
        handle: COUNT,
        ..Guest::default()
    };
    guest.component()
}

async fn a_component_is_registered_enabled_and_asked(place: Place) {
    place
        .register("plain", &Guest::default().component())
        .await
        .unwrap();
    place.enable("p", "plain").await.unwrap();
    assert_eq!(place.ask("p/x").await.unwrap(), None);
    place.runtime.shutdown().await;
}

async fn a_trap_is_told_and_the_next_request_is_served(place: Place) {
    place.register("counting", &counting()).await.unwrap();
    place.enable("c", "counting").await.unwrap();
    for expected in ["1", "2"] {
        assert_eq!(place.ask_text("c/x").await, expected);
    }
    assert_eq!(place.ask("c/x").await.unwrap_err().kind(), ErrorKind::Trap);
    assert_eq!(place.ask_text("c/x").await, "1");
    place.runtime.shutdown().await;
}

async fn a_component_that_imports_too_much_is_refused_by_name(place: Place) {
    let wat = format!(
        r#"(component
            (core module {SECTION})
            (import "wasi:http/outgoing-handler@0.2.6" (instance $i))
            (import "wasi:sockets/tcp@0.3.0" (instance))
            (import "wasi:sockets/tcp@0.2.6" (instance))
            (import "wasi:io/poll@0.2.6" (instance))
            (export "palisade:plugin/backend@0.1.0" (instance $i)))"#
    );
    match place.refusal(&wat::parse_str(wat).unwrap()).await {
        RegisterError::Import { imports } => assert_eq!(
            imports,
            ["wasi:http/outgoing-handler@0.2.6", "wasi:sockets/tcp@0.3.0"]
        ),
        other => panic!("{other}"),
    }
    assert!(place.runtime.entries().await.unwrap().is_empty());
}

async fn what_is_no_component_of_the_contract_is_refused(place: Place) {
    let without_backend = format!("(component (core module {SECTION}))");
    let cases = [
        (wat::parse_str("(module)").unwrap(), ErrorKind::ArtifactKind),
        (
            wat::parse_str("(component)").unwrap(),
            ErrorKind::ComponentInvalid,
        ),
        (
            wat::parse_str(without_backend).unwrap(),
            ErrorKind::ComponentInvalid,
        ),
        (
            Guest::default().component()[..200].to_vec(),
            ErrorKind::ComponentInvalid,
        ),
    ];
    for (bytes, kind) in cases {
        let refusal = place.refusal(&bytes).await;
        assert_eq!(refusal.kind(), kind, "{refusal}");
    }
}

async fn a_component_whose_functions_are_not_those_of_the_contract_is_refused_by_name(
    place: Place,
) {
    let functions = [
        "describe",
        "setup",
        "initialize",
        "handle-request",
        "check-existence",
        "invalidate-key",
    ];
    let last = ["cleanup"];
    let cases = [
        (
            "short",
            &functions[..],
            "does not export cleanup of palisade:plugin/backend@0.1.0",
        ),
        (
            "other",
            &[&functions[..], &last].concat(),
            "its describe of palisade:plugin/backend@0.1.0 is not that of the package",
        ),
    ];
    for (name, functions, said) in cases {
        place
            .register(name, &of_functions_that_do_nothing(functions))
            .await
            .unwrap();
        let refusal = place.enable(name, name).await.unwrap_err();
        assert!(refusal.to_string().contains(said), "{refusal}");
    }
}

/// A component with that backend, each of whose functions takes nothing and answers nothing.
fn of_functions_that_do_nothing(functions: &[&str]) -> Vec<u8> {
    let exports: String = functions
        .iter()
        .map(|name| format!(r#"(export "{name}" (func $nothing))"#))
        .collect();
    let wat = format!(
        r#"(component
            (core module $module {SECTION} (func (export "nothing")))
            (core instance $made (instantiate $module))
            (func $nothing (canon lift (core func $made "nothing")))
            (instance $backend {exports})
            (export "palisade:plugin/backend@0.1.0" (instance $backend)))"#
    );
    wat::parse_str(wat).unwrap()
}

async fn a_file_that_overflows_a_parsers_stack_harms_only_its_worker(place: Place) {
    place.register("deep", &deep()).await.unwrap();
    let begun = Instant::now();
    let error = place.enable("d", "deep").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CompileFailed, "{error}");
    assert!(begun.elapsed() < Duration::from_secs(30));
    place
        .register("plain", &Guest::default().component())
        .await
        .unwrap();
    place.enable("p", "plain").await.unwrap();
    assert_eq!(place.ask("p/x").await.unwrap(), None);
}

/// A component with 30,000 component types inside one another.
fn deep() -> Vec<u8> {
    const DEPTH: usize = 30_000;
    let wat = format!(
        r#"(component
            (core module {SECTION})
            (import "palisade:plugin/types@0.1.0" (instance $i))
            (export "palisade:plugin/backend@0.1.0" (instance $i)))"#
    );
    let mut bytes = wat::parse_str(wat).unwrap();
    // One type; each is a component with one declaration, which is a type; the innermost is an empty component.
    let mut types = vec![1];
    types.extend([0x41, 1, 1].repeat(DEPTH));
    types.extend([0x41, 0]);
    bytes.push(7);
    bytes.extend(leb128(types.len()));
    bytes.extend(types);
    bytes
}

fn leb128(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = u8::try_from(number & 0x7f).unwrap();
        number >>= 7;
        if number == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

async fn two_mounts_of_one_component_share_nothing(place: Place) {
    place.register("counting", &counting()).await.unwrap();
    place.enable("a", "counting").await.unwrap();
    place.enable("b", "counting").await.unwrap();
    assert_eq!(place.ask_text("a/x").await, "1");
    assert_eq!(place.ask_text("a/x").await, "2");
    assert_eq!(place.ask_text("b/x").await, "1");
    place.runtime.shutdown().await;
}

async fn each_profile_has_its_own_budget_for_compiling(place: Place) {
    let component = counting();
    let short = Duration::from_millis(1);
    let of_ordinary = Timeouts {
        compile: short,
        ..Timeouts::default()
    };
    let of_large = Timeouts {
        compile_large: short,
        ..Timeouts::default()
    };
    for (timeouts, killed) in [(of_ordinary, Profile::Ordinary), (of_large, Profile::Large)] {
        let place = Place::open_with(place.workers.clone(), timeouts).await;
        for profile in [Profile::Ordinary, Profile::Large] {
            let name = profile.as_str();
            place.register_as(name, &component, profile).await.unwrap();
            let enabled = place.enable(name, name).await;
            match enabled {
                Err(error) if profile == killed => {
                    assert!(error.to_string().contains("not done within 1ms"), "{error}");
                }
                outcome => outcome.unwrap(),
            }
        }
        place.runtime.shutdown().await;
    }
}

async fn a_stopped_runtime_leaves_no_store(place: Place) {
    place.register("counting", &counting()).await.unwrap();
    place.enable("a", "counting").await.unwrap();
    assert_eq!(place.ask_text("a/x").await, "1");
    let held: Vec<_> = place
        .runtime
        .mounts()
        .iter()
        .map(|mount| mount.memory_bytes)
        .collect();
    assert!(held[0] > Some(0), "{held:?}");
    place.runtime.shutdown().await;
    assert!(place.ask("a/x").await.is_err());
}

/// Answers with a digit, and takes about so many times half a second to compile.
fn answering(digit: &str, slowness: usize) -> Vec<u8> {
    let more = format!("(func {})", bombs::branches(3_000)).repeat(slowness);
    let guest = Guest {
        handle: format!("(call $digit (i32.const {digit}))").leak(),
        more: more.leak(),
        ..Guest::default()
    };
    guest.component()
}

async fn the_old_version_serves_while_the_new_one_is_compiled(place: Place) {
    let (old, new) = (answering("1", 0), answering("2", 4));
    place.register("it", &old).await.unwrap();
    place.enable("p", "it").await.unwrap();
    assert!(matches!(
        place.compilation(&old),
        Some(Compilation::Compiled { .. })
    ));
    place.register("it", &new).await.unwrap();
    assert_eq!(place.compilation(&new), None);
    let served = async {
        let mut served = 0;
        loop {
            let state = place.compilation(&new);
            if matches!(state, Some(Compilation::Compiled { .. })) {
                return served;
            }
            assert_eq!(place.ask_text("p/x").await, "1");
            served += u32::from(matches!(state, Some(Compilation::Compiling { .. })));
            tokio::task::yield_now().await;
        }
    };
    let (reloaded, served) = tokio::join!(place.reload("p"), served);
    reloaded.unwrap();
    assert!(served > 10, "{served} requests while it was compiled");
    assert_eq!(place.ask_text("p/x").await, "2");
    assert_eq!(place.runtime.compilation_counts().compiled, 2);
    place.runtime.shutdown().await;
}

async fn a_failed_compilation_is_told_and_the_old_version_goes_on(place: Place) {
    place.register("it", &answering("1", 0)).await.unwrap();
    place.enable("p", "it").await.unwrap();
    place.register("it", &deep()).await.unwrap();
    let error = place.reload("p").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CompileFailed, "{error}");
    match place.compilation(&deep()) {
        Some(Compilation::Failed { fault, .. }) => assert!(fault.contains("it"), "{fault}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(place.ask_text("p/x").await, "1");
    place.runtime.shutdown().await;
}
