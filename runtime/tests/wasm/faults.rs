//! Faults of the host's own, which the engine's signal handlers must not take for a guest's.

use std::io::Write as _;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use libtest_mimic::Trial;
use palisade_runtime::{ErrorKind, Workers};
use rustix::process::{Resource, Rlimit, Signal, getpid, kill_process, setrlimit};

use crate::Place;
use crate::guest::Guest;

/// Set where this program is to become a host with a fault.
pub(crate) const CHILD: &str = "PALISADE_TEST_FAULTY_HOST";

const ABORTED: i32 = 6;

/// Ends a host that outlives its fault.
const PATIENCE: Duration = Duration::from_secs(60);

trials![workers => workers;
    a_fault_of_the_host_ends_it_while_components_run_and_trap,
];

/// Rust says "has overflowed its stack" and aborts when a thread runs into its guard page; the engine's handler comes
/// first, and has to leave that to it. In the same process a guest that recurses is a trap, and another one loops.
async fn a_fault_of_the_host_ends_it_while_components_run_and_trap(_workers: Workers) {
    let child = tokio::task::spawn_blocking(|| {
        let folder = tempfile::tempdir().unwrap();
        Command::new(std::env::current_exe().unwrap())
            .env(CHILD, "1")
            .env("TMPDIR", folder.path())
            .stdin(Stdio::null())
            .output()
            .unwrap()
    });
    let output = child.await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        String::from_utf8_lossy(&output.stdout).contains("one trapped, one loops"),
        "{said}"
    );
    assert_eq!(output.status.signal(), Some(ABORTED), "{said}");
    assert!(said.contains("overflowed its stack"), "{said}");
}

/// A host in which one guest traps and another one loops, when a thread of its own recurses.
pub(crate) fn become_faulty(workers: Workers) -> ! {
    thread::spawn(|| {
        thread::sleep(PATIENCE);
        kill_process(getpid(), Signal::KILL).unwrap();
    });
    leave_no_core();
    let threads = tokio::runtime::Runtime::new().unwrap();
    threads.block_on(async {
        let place = Arc::new(Place::open(workers).await);
        let recursing = Guest {
            more: "(func $down (call $down))",
            handle: "(call $down) (call $nothing)",
            ..Guest::default()
        };
        let looping = Guest {
            handle: "(call $loop) (call $nothing)",
            ..Guest::default()
        };
        for (name, guest) in [("recursing", recursing), ("looping", looping)] {
            place.register(name, &guest.component()).await.unwrap();
            place.enable(name, name).await.unwrap();
        }
        let trapped = place.ask("recursing/x").await.unwrap_err();
        assert_eq!(trapped.kind(), ErrorKind::Trap, "{trapped}");
        tokio::spawn(async move { place.ask("looping/x").await });
        until_guests_work().await;
        std::io::stdout()
            .write_all(b"one trapped, one loops\n")
            .unwrap();
        let fault = thread::spawn(|| down(1));
        let outlived = tokio::task::spawn_blocking(|| fault.join()).await;
        panic!("it outlived its own fault: {outlived:?}");
    })
}

/// The image of such a process has terabytes of address space.
fn leave_no_core() {
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    setrlimit(Resource::Core, none).unwrap();
}

/// Until the guests' own threads have used some hundredths of a second, which only a guest that goes on does.
async fn until_guests_work() {
    while used_by_guests() < 5 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// What the guests' threads have used of processors, in hundredths of a second: the 14th field of each one's `stat`.
fn used_by_guests() -> u64 {
    let threads = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    let used = threads.filter_map(|thread| {
        let stat = std::fs::read_to_string(thread.path().join("stat")).ok()?;
        let (name, rest) = stat.rsplit_once(')')?;
        let used = rest.split_whitespace().nth(11)?.parse::<u64>().ok()?;
        name.contains("palisade-guest").then_some(used)
    });
    used.sum()
}

/// More frames than a thread has room for.
fn down(depth: u64) -> u64 {
    let frame = std::hint::black_box([depth; 64]);
    match depth {
        u64::MAX => 0,
        _ => down(depth + 1) + std::hint::black_box(frame)[7],
    }
}
