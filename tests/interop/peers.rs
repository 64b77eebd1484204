//! The Go executables, how they are built, and how a case is run with each of them.

use std::collections::HashSet;
use std::path::Path;
use std::pin::Pin;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use libtest_mimic::Trial;
use palisade_demo::built;
use palisade_runtime::catalog::Manifest;
use palisade_runtime::contract::PluginType;
use palisade_runtime::{MountInfo, NewMount};
use palisade_tests::{Guest, Harness, Mode};
use rustix::process::Pid;
use tokio::runtime::Runtime;
use tokio::sync::{RwLock, RwLockReadGuard};

use crate::idle;

/// How long a case may take before it counts as hung, besides the time for which one leaves a process alone.
pub(crate) const CASE_TIMEOUT: Duration = Duration::from_secs(120);

/// Held by each case, and by nobody else during one that measures what the whole process takes.
static TOGETHER: RwLock<()> = RwLock::const_new(());

/// Where the sources of the executables in Go are: on the SDKs of today, and on one of old, which cannot be in one module.
const MODULES: &[&str] = &["interop/go", "interop/go-old"];

/// A plugin, as one of its ways to be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    /// An executable that is built from one of [`MODULES`].
    Go {
        program: &'static str,
        multiplex: bool,
    },
    /// Our own mock plugin, in this mode.
    Rust(Mode),
}

/// Every mock plugin: the SDKs' own, then ours in every mode, last the one that keeps nothing between two requests.
pub(crate) const MOCKS: &[Peer] = &[
    go("bao-mock", false),
    go("bao-mock", true),
    go("vault-mock", false),
    go("vault-mock", true),
    Peer::Rust(Mode::Builtin),
    Peer::Rust(Mode::Native),
    Peer::Rust(Mode::WasmMount),
    Peer::Rust(Mode::WasmCall),
];

/// The SDKs' own.
pub(crate) const GO_MOCKS: &[Peer] = MOCKS.split_at(4).0;

/// Those that keep something in memory.
pub(crate) const REMEMBERING_MOCKS: &[Peer] = MOCKS.split_at(7).0;

/// The peer with which everything else is tried.
pub(crate) const BAO_PEERS: &[Peer] = &[go("bao-peer", false), go("bao-peer", true)];

/// The same for what only Vault's SDK has.
pub(crate) const VAULT_PEERS: &[Peer] = &[go("vault-peer", false), go("vault-peer", true)];

/// Vault's own key-value engine.
pub(crate) const VAULT_KV: &[Peer] = &[go("vault-kv", false), go("vault-kv", true)];

/// Vault's own JWT login.
pub(crate) const VAULT_JWT: &[Peer] = &[go("vault-jwt", false), go("vault-jwt", true)];

/// An old plugin, on version 4 of the protocol.
pub(crate) const PROTOCOL_FOUR: &[Peer] = &[go("protocol-four", false)];

/// Database plugins: first those that hold one database per process.
pub(crate) const DATABASES: &[Peer] = &[
    go("bao-database", false),
    go("vault-database", false),
    go("bao-database", true),
    go("vault-database", true),
];

/// Those with one.
pub(crate) const SINGLE_DATABASES: &[Peer] = DATABASES.split_at(2).0;

/// Those with many.
pub(crate) const MULTIPLEXED_DATABASES: &[Peer] = DATABASES.split_at(2).1;

/// A database plugin on go-plugin 1.0.
pub(crate) const OLD_DATABASES: &[Peer] = &[go("old-database", false)];

/// A plugin that starts others, and may not want to end.
pub(crate) const FAMILY: &[Peer] = &[go("family", false)];

/// A plugin that is wrong on the wire, in the one way that its argument names.
pub(crate) const CROOKED: &[Peer] = &[go("crooked", false)];

/// A plugin that executes itself again.
pub(crate) const RE_EXEC: &[Peer] = &[go("re-exec", false), go("re-exec", true)];

const fn go(program: &'static str, multiplex: bool) -> Peer {
    Peer::Go { program, multiplex }
}

impl Peer {
    /// Its name in the catalog.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Go { program, .. } => program,
            Self::Rust(_) => Guest::Mock.name(),
        }
    }

    pub(crate) fn is_go(self) -> bool {
        matches!(self, Self::Go { .. })
    }

    fn mode(self) -> Mode {
        match self {
            Self::Go { .. } => Mode::Native,
            Self::Rust(mode) => mode,
        }
    }

    /// The first part of a test's name.
    fn title(self) -> String {
        match self {
            Self::Go {
                program,
                multiplex: true,
            } => format!("{program}::multiplexed"),
            Self::Go { program, .. } => format!("{program}::alone"),
            Self::Rust(mode) => format!("mock::{}", mode.name()),
        }
    }
}

/// A case under way.
pub(crate) type Running = Pin<Box<dyn Future<Output = ()> + Send>>;

/// One thing that has to hold, and with which peers.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) peers: &'static [Peer],
    pub(crate) run: fn(Harness, Peer) -> Running,
}

/// Makes functions cases for these peers.
macro_rules! cases {
    ($list:ident for $peers:expr; $($name:ident),* $(,)?) => {
        /// Cases of this file.
        pub(crate) const $list: &[$crate::peers::Case] = &[$($crate::peers::Case {
            name: stringify!($name),
            peers: $peers,
            run: |harness, peer| Box::pin($name(harness, peer)),
        }),*];
    };
}
pub(crate) use cases;

/// One test for each peer; those in Go are skipped without it.
pub(crate) fn trials(case: &'static Case, has_go: bool) -> impl Iterator<Item = Trial> {
    case.peers.iter().map(move |peer| {
        let peer = *peer;
        let name = format!("{}::{}", peer.title(), case.name);
        Trial::test(name, move || {
            runtime().block_on(async move {
                let _turn = turn(peer).await;
                let harness = Harness::new(peer.mode()).await;
                let run = (case.run)(harness.clone(), peer);
                let ended = tokio::time::timeout(CASE_TIMEOUT + idle::time(), run).await;
                harness.shutdown().await;
                ended.map_err(|_| "the case hangs")
            })?;
            Ok(())
        })
        .with_ignored_flag(peer.is_go() && !has_go)
    })
}

/// What a case holds while it runs.
async fn turn(peer: Peer) -> impl Sized {
    match CROOKED.contains(&peer) {
        true => (None, Some(TOGETHER.write().await)),
        false => (Some(together().await), None),
    }
}

/// Held, nothing is measured.
pub(crate) async fn together() -> RwLockReadGuard<'static, ()> {
    TOGETHER.read().await
}

pub(crate) fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| Runtime::new().unwrap())
}

/// Builds every peer; false where there is no Go.
///
/// # Panics
///
/// When there is, and the build fails.
pub(crate) fn build() -> bool {
    let Ok(version) = Command::new("go").arg("version").output() else {
        eprintln!("skipped: Go is not installed, and the peers are built with it");
        return false;
    };
    let version = String::from_utf8_lossy(&version.stdout);
    eprintln!(
        "building the peers with {} (about two minutes the first time)",
        version.trim()
    );
    std::fs::create_dir_all(built::peers()).unwrap();
    MODULES.iter().for_each(|module| build_module(module));
    true
}

fn build_module(module: &str) {
    let outcome = Command::new("go")
        .args(["build", "-trimpath", "-o"])
        .arg(built::peers())
        .arg("./...")
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(module))
        .status()
        .unwrap();
    assert!(outcome.success(), "the peers of {module} do not build");
}

/// Registers a peer under its name and enables it at `path`.
pub(crate) async fn mount(h: &Harness, peer: Peer, path: &str) -> MountInfo {
    match peer {
        Peer::Go { .. } => register(h, peer, PluginType::Secret, &[]).await,
        Peer::Rust(_) => h.register(Guest::Mock).await.unwrap(),
    }
    enable(h, peer, path).await
}

/// Registers a peer in Go, with these arguments besides.
pub(crate) async fn register(h: &Harness, peer: Peer, plugin_type: PluginType, args: &[&str]) {
    let manifest = manifest(h, peer, plugin_type, args);
    h.runtime.register(manifest).await.unwrap();
}

/// A registration of a peer in Go, whose executable is put in place.
pub(crate) fn manifest(
    h: &Harness,
    peer: Peer,
    plugin_type: PluginType,
    args: &[&str],
) -> Manifest {
    let Peer::Go { program, multiplex } = peer else {
        panic!("{peer:?} takes no arguments")
    };
    let bytes = std::fs::read(built::peer(program)).unwrap();
    let sha256 = h.place(program, &bytes);
    let multiplex = multiplex.then_some("-multiplex");
    let args = multiplex.iter().chain(args);
    Manifest {
        args: args.map(|&word| word.to_owned()).collect(),
        ..Manifest::new(plugin_type, program, &sha256)
    }
}

/// Enables a registered peer.
pub(crate) async fn enable(h: &Harness, peer: Peer, path: &str) -> MountInfo {
    enable_as(h, peer, path, NewMount::default()).await
}

/// Enables a registered peer as this says besides its name.
pub(crate) async fn enable_as(h: &Harness, peer: Peer, path: &str, mount: NewMount) -> MountInfo {
    let mount = NewMount {
        plugin: peer.name().to_owned(),
        ..mount
    };
    let mounted = h.runtime.enable(path.parse().unwrap(), mount).await;
    mounted.unwrap()
}

/// The process that serves a mount now. Its own number for itself is another: it may be the first of a namespace.
pub(crate) fn process(h: &Harness, path: &str) -> Pid {
    let number = h.info(path).process_id.expect("a process runs");
    Pid::from_raw(number.cast_signed()).unwrap()
}

/// The processes that have this line in their environment, by the numbers that they have here.
pub(crate) fn processes_with(line: &str) -> HashSet<Pid> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let has_line = |number: &i32| {
        let environment = std::fs::read(format!("/proc/{number}/environ")).unwrap_or_default();
        environment
            .split(|byte| *byte == 0)
            .any(|variable| variable == line.as_bytes())
    };
    numbers.filter(has_line).filter_map(Pid::from_raw).collect()
}
