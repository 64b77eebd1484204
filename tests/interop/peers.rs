//! The Go executables, how they are built, and how a case is run with each of them.

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use libtest_mimic::Trial;
use palisade_runtime::catalog::Manifest;
use palisade_runtime::contract::PluginType;
use palisade_runtime::{MountInfo, NewMount};
use palisade_tests::{Harness, Mode};
use tokio::runtime::Runtime;

/// How long a case may take before it counts as hung.
const CASE_TIMEOUT: Duration = Duration::from_secs(120);

/// A plugin that is built from `interop/go`, as one of its ways to be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    pub(crate) program: &'static str,
    pub(crate) multiplex: bool,
}

/// The SDKs' own mock plugins.
pub(crate) const MOCKS: &[Peer] = &[
    peer("bao-mock", false),
    peer("bao-mock", true),
    peer("vault-mock", false),
    peer("vault-mock", true),
];

/// The peer with which everything else is tried.
pub(crate) const BAO_PEERS: &[Peer] = &[peer("bao-peer", false), peer("bao-peer", true)];

const fn peer(program: &'static str, multiplex: bool) -> Peer {
    Peer { program, multiplex }
}

/// A case under way.
pub(crate) type Running = Pin<Box<dyn Future<Output = ()> + Send>>;

/// One thing that has to hold, and with which peers.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) peers: &'static [Peer],
    pub(crate) run: fn(Harness, Peer) -> Running,
}

/// Makes functions the cases of their file.
macro_rules! cases {
    ($peers:expr, $($name:ident),* $(,)?) => {
        /// Every case of this file.
        pub(crate) const CASES: &[$crate::peers::Case] = &[$($crate::peers::Case {
            name: stringify!($name),
            peers: $peers,
            run: |harness, peer| Box::pin($name(harness, peer)),
        }),*];
    };
}
pub(crate) use cases;

/// One test for each peer.
pub(crate) fn trials(case: &'static Case) -> impl Iterator<Item = Trial> {
    case.peers.iter().map(move |peer| {
        let peer = *peer;
        let served = if peer.multiplex {
            "multiplexed"
        } else {
            "alone"
        };
        let name = format!("{}::{served}::{}", peer.program, case.name);
        Trial::test(name, move || {
            runtime().block_on(async move {
                let harness = Harness::new(Mode::Native).await;
                let run = (case.run)(harness.clone(), peer);
                let ended = tokio::time::timeout(CASE_TIMEOUT, run).await;
                harness.shutdown().await;
                ended.map_err(|_| "the case hangs")
            })?;
            Ok(())
        })
    })
}

fn runtime() -> &'static Runtime {
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
    std::fs::create_dir_all(folder()).unwrap();
    let built = Command::new("go")
        .args(["build", "-trimpath", "-o"])
        .arg(folder())
        .arg("./...")
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("interop/go"))
        .status()
        .unwrap();
    assert!(built.success(), "the peers do not build");
    true
}

/// Where the executables are: in the target directory, next to this very test's.
fn folder() -> PathBuf {
    let executable = std::env::current_exe().unwrap();
    executable.ancestors().nth(2).unwrap().join("interop")
}

/// Registers a peer under its program's name and enables it at `path`.
pub(crate) async fn mount(h: &Harness, peer: Peer, path: &str) -> MountInfo {
    register(h, peer, PluginType::Secret, &[]).await;
    enable(h, peer, path).await
}

/// Registers a peer, with these arguments besides.
pub(crate) async fn register(h: &Harness, peer: Peer, plugin_type: PluginType, args: &[&str]) {
    let bytes = std::fs::read(folder().join(peer.program)).unwrap();
    let sha256 = h.place(peer.program, &bytes);
    let multiplex = peer.multiplex.then_some("-multiplex");
    let args = multiplex.iter().chain(args);
    let manifest = Manifest {
        plugin_type,
        name: peer.program.to_owned(),
        version: String::new(),
        command: String::new(),
        args: args.map(|&word| word.to_owned()).collect(),
        env: Vec::new(),
        sha256,
        runtime: None,
        isolation: None,
        limits: Default::default(),
    };
    h.runtime.register(manifest).await.unwrap();
}

/// Enables a registered peer.
pub(crate) async fn enable(h: &Harness, peer: Peer, path: &str) -> MountInfo {
    let mount = NewMount {
        plugin: peer.program.to_owned(),
        ..NewMount::default()
    };
    h.runtime
        .enable(path.parse().unwrap(), mount)
        .await
        .unwrap()
}
