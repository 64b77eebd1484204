//! Looks from inside a wall whether it holds: by what can no longer be done, not by what a call returned.

use std::fs::{self, File};
use std::hint::black_box;
use std::io;
use std::net::TcpListener;
use std::path::PathBuf;

use rustix::net::{AddressFamily, SocketType, socket};
use rustix::process::{Pid, Uid, getpid, getuid, test_kill_process};
use rustix::thread::{CapabilitySet, capabilities, set_thread_res_uid};

use super::{Layer, Sandbox, cgroup};

/// The memory that a process with [`LIMIT_BYTES`] asks for.
const MEMORY_BYTES: usize = 64 << 20;
const LIMIT_BYTES: u64 = 16 << 20;

/// The children that a process with [`LIMIT_PROCESSES`] asks for.
const CHILDREN: usize = 16;
const LIMIT_PROCESSES: u32 = 4;

/// What it takes, besides becoming another user: to give a folder away and still use it, and to make namespaces as one is.
/// In a user namespace of an ordinary user nobody can become anybody else.
const RULE: CapabilitySet = CapabilitySet::CHOWN
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::SYS_ADMIN);

/// What can only be known from outside.
pub(in crate::worker) struct Outside {
    namespaces: Vec<Option<PathBuf>>,
    spawner: Pid,
    /// What the spawner's control groups are called.
    group: String,
    /// Whether a process of another user can be given its folder, and be met there, with every other wall around it.
    has_rule: bool,
}

impl Outside {
    /// As the spawner sees it, before the child is born.
    pub(in crate::worker) fn look() -> Self {
        Self {
            namespaces: namespaces(),
            spawner: getpid(),
            group: cgroup::own_name(),
            has_rule: capabilities(None).is_ok_and(|held| held.effective.contains(RULE)),
        }
    }
}

/// A sandbox with this wall alone.
pub(in crate::worker) fn sandbox(layer: Layer, user: u32) -> Sandbox {
    Sandbox {
        layers: [layer].into(),
        user,
        memory_bytes: LIMIT_BYTES,
        processes: LIMIT_PROCESSES,
        cpu_weight: 50,
        network: false,
        as_file: false,
    }
}

/// Whether the wall holds. Behind the cap on memory this does not return: the kernel kills who asks for more.
pub(in crate::worker) fn holds(layer: Layer, sandbox: &Sandbox, outside: &Outside) -> bool {
    let differs = |place: usize| namespaces()[place] != outside.namespaces[place];
    match layer {
        Layer::MemoryLimit => !can_allocate(),
        Layer::ProcessLimit => !can_multiply(),
        // Their files said so when the group was made, and the process is in it.
        Layer::CpuWeight | Layer::GroupKill => is_in_a_group(&outside.group),
        Layer::User => {
            outside.has_rule && getuid().as_raw() == sandbox.user && !can_be_root_again()
        }
        Layer::MountNamespace => !PathBuf::from("/etc/passwd").exists() && is_read_only(),
        Layer::ProcessNamespace => getpid() == Pid::INIT,
        Layer::IpcNamespace => differs(0),
        Layer::NetworkNamespace => differs(1),
        Layer::LandlockFiles => is_denied(File::open("/").err()),
        Layer::LandlockNetwork => is_denied(TcpListener::bind("127.0.0.1:0").err()),
        Layer::LandlockSignals => test_kill_process(outside.spawner).is_err(),
        Layer::Seccomp => socket(AddressFamily::NETLINK, SocketType::RAW, None).is_err(),
    }
}

fn namespaces() -> Vec<Option<PathBuf>> {
    ["ipc", "net"]
        .iter()
        .map(|kind| fs::read_link(format!("/proc/self/ns/{kind}")).ok())
        .collect()
}

fn can_allocate() -> bool {
    let held = black_box(vec![1_u8; MEMORY_BYTES]);
    held.iter().map(|byte| usize::from(*byte)).sum::<usize>() == MEMORY_BYTES
}

fn can_multiply() -> bool {
    let threads: io::Result<Vec<_>> = (0..CHILDREN)
        .map(|_| std::thread::Builder::new().spawn(std::thread::park))
        .collect();
    // They end with this process.
    threads.is_ok()
}

fn is_in_a_group(of_the_spawner: &str) -> bool {
    fs::read_to_string("/proc/self/cgroup").is_ok_and(|groups| groups.contains(of_the_spawner))
}

fn can_be_root_again() -> bool {
    set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT).is_ok()
}

fn is_read_only() -> bool {
    File::create("/probe").is_err()
}

fn is_denied(error: Option<io::Error>) -> bool {
    error.is_some_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
}
