//! Compiled components over restarts: what is loaded from disk, and what is compiled anew.

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use libtest_mimic::Trial;
use palisade_runtime::catalog::{Manifest, PluginDirectory};
use palisade_runtime::contract::{Json, Operation, PluginType, Request};
use palisade_runtime::driver::{CodeCache, CodeKey, CodeKeys, CompilationCounts};
use palisade_runtime::store::MemoryStore;
use palisade_runtime::{CallError, NewMount, Runtime, Workers};
use sha2::{Digest, Sha256};

trials![workers => Machine::new(workers);
    a_restart_loads_what_was_compiled_before,
    a_compiled_component_that_was_changed_is_compiled_anew,
    compiled_components_in_each_others_place_are_compiled_anew,
    under_another_key_everything_is_compiled_anew,
    while_sealed_no_compiled_component_is_loaded,
];

/// What outlives a server: its storage, its folders, its key.
struct Machine {
    workers: Workers,
    folder: tempfile::TempDir,
    store: MemoryStore,
    keys: Arc<Keys>,
}

struct Keys(Mutex<Option<u8>>);

impl CodeKeys for Keys {
    fn key(&self) -> Option<CodeKey> {
        self.0.lock().unwrap().map(|byte| CodeKey::new([byte; 32]))
    }
}

impl Machine {
    fn new(workers: Workers) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("plugins")).unwrap();
        Self {
            workers,
            folder,
            store: MemoryStore::new(),
            keys: Arc::new(Keys(Mutex::new(Some(1)))),
        }
    }

    async fn start(&self) -> Runtime {
        let plugins = self.folder.path().join("plugins");
        let cache = CodeCache {
            folder: self.folder.path().join("compiled"),
            bytes_max: CodeCache::BYTES_MAX,
            keys: self.keys.clone(),
        };
        Runtime::builder()
            .workers(self.workers.clone())
            .store(Arc::new(self.store.clone()))
            .plugin_directory(PluginDirectory::open(&plugins).unwrap())
            .code_cache(cache)
            .build()
            .await
            .unwrap()
    }

    /// Registers and enables a component that answers with this digit, under that name.
    async fn enable(&self, runtime: &Runtime, name: &str, digit: &str) {
        let bytes = super::answering(digit, 0);
        fs::write(self.folder.path().join("plugins").join(name), &bytes).unwrap();
        let digest = hex::encode(Sha256::digest(&bytes));
        let manifest = Manifest::new(PluginType::Secret, name, &digest);
        runtime.register(manifest).await.unwrap();
        let mount = NewMount {
            plugin: name.to_owned(),
            ..NewMount::default()
        };
        runtime.enable(name.parse().unwrap(), mount).await.unwrap();
    }

    /// Starts a server, asks each of these mounts, and stops it.
    async fn ask(&self, mounts: &[&str]) -> (Vec<String>, CompilationCounts) {
        let runtime = self.start().await;
        let mut answers = Vec::new();
        for mount in mounts {
            answers.push(ask(&runtime, mount).await);
        }
        let counts = runtime.compilation_counts();
        runtime.shutdown().await;
        (answers, counts)
    }

    fn files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.folder.path().join("compiled")).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    fn unseal(&self, key: Option<u8>) {
        *self.keys.0.lock().unwrap() = key;
    }
}

async fn ask(runtime: &Runtime, mount: &str) -> String {
    let path = format!("{mount}/x");
    let request = Request::new(Operation::Update, &path, Json::from_text("{}"));
    match runtime.handle(request, Some(Duration::from_secs(60))).await {
        Err(CallError::Plugin(error)) => error.message,
        other => panic!("{other:?}"),
    }
}

/// A machine on which these have run, each answering with its digit.
async fn having_run(machine: Machine, plugins: &[(&str, &str)]) -> Machine {
    let runtime = machine.start().await;
    for (name, digit) in plugins {
        machine.enable(&runtime, name, digit).await;
    }
    let counts = runtime.compilation_counts();
    let number = plugins.len() as u64;
    assert_eq!((counts.compiled, counts.disk_misses), (number, number));
    runtime.shutdown().await;
    assert_eq!(machine.files().len(), plugins.len());
    machine
}

async fn a_restart_loads_what_was_compiled_before(machine: Machine) {
    let machine = having_run(machine, &[("one", "1"), ("two", "2")]).await;
    let (answers, counts) = machine.ask(&["one", "two"]).await;
    assert_eq!(answers, ["1", "2"]);
    let expected = CompilationCounts {
        disk_hits: 2,
        ..CompilationCounts::default()
    };
    assert_eq!(counts, expected);
}

async fn a_compiled_component_that_was_changed_is_compiled_anew(machine: Machine) {
    let machine = having_run(machine, &[("one", "1")]).await;
    let file = machine.files().remove(0);
    let length = fs::metadata(&file).unwrap().len();
    let changes: [fn(&mut Vec<u8>); 5] = [
        |content| content[0] ^= 1,
        |content| content[200] ^= 0x80,
        |content| {
            let middle = content.len() / 2;
            content[middle] ^= 1;
        },
        |content| *content.last_mut().unwrap() ^= 1,
        |content| content.truncate(content.len() / 3),
    ];
    for change in changes {
        let mut content = fs::read(&file).unwrap();
        change(&mut content);
        fs::write(&file, content).unwrap();
        let (answers, counts) = machine.ask(&["one"]).await;
        assert_eq!(answers, ["1"]);
        assert_eq!(
            (counts.compiled, counts.disk_rejections),
            (1, 1),
            "{counts:?}"
        );
        assert_eq!(fs::metadata(&file).unwrap().len(), length);
    }
    // The control: unchanged, what was compiled anew is loaded.
    let (_, counts) = machine.ask(&["one"]).await;
    assert_eq!((counts.compiled, counts.disk_hits), (0, 1), "{counts:?}");
}

async fn compiled_components_in_each_others_place_are_compiled_anew(machine: Machine) {
    let machine = having_run(machine, &[("one", "1"), ("two", "2")]).await;
    let files = machine.files();
    let contents: Vec<_> = files.iter().map(|file| fs::read(file).unwrap()).collect();
    fs::write(&files[0], &contents[1]).unwrap();
    fs::write(&files[1], &contents[0]).unwrap();
    let (answers, counts) = machine.ask(&["one", "two"]).await;
    assert_eq!(answers, ["1", "2"]);
    assert_eq!(
        (counts.compiled, counts.disk_rejections),
        (2, 2),
        "{counts:?}"
    );
}

async fn under_another_key_everything_is_compiled_anew(machine: Machine) {
    let machine = having_run(machine, &[("one", "1")]).await;
    machine.unseal(Some(2));
    let (answers, counts) = machine.ask(&["one"]).await;
    assert_eq!(answers, ["1"]);
    assert_eq!(
        (counts.compiled, counts.disk_rejections),
        (1, 1),
        "{counts:?}"
    );
}

async fn while_sealed_no_compiled_component_is_loaded(machine: Machine) {
    let machine = having_run(machine, &[("one", "1")]).await;
    let before = fs::read(machine.files().remove(0)).unwrap();
    machine.unseal(None);
    let (_, counts) = machine.ask(&["one"]).await;
    assert_eq!((counts.disk_hits, counts.compiled), (0, 1), "{counts:?}");
    assert_eq!(fs::read(machine.files().remove(0)).unwrap(), before);
    machine.unseal(Some(1));
    let (_, counts) = machine.ask(&["one"]).await;
    assert_eq!((counts.disk_hits, counts.compiled), (1, 0), "{counts:?}");
}
