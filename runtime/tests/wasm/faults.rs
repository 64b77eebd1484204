//! Faults of the host's own, which the engine's signal handlers must not take for a guest's.

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::thread;

use libtest_mimic::Trial;
use palisade_runtime::{ErrorKind, Workers};

use crate::Place;
use crate::guest::Guest;

/// Set where this program is to become a host with a fault.
pub(crate) const CHILD: &str = "PALISADE_TEST_FAULTY_HOST";

const ABORTED: i32 = 6;

trials![workers => workers;
    a_fault_of_the_host_ends_it_while_components_run_and_trap,
];

/// Rust says "has overflowed its stack" and aborts when a thread runs into its guard page; the engine's handler comes
/// first, and has to leave that to it. In the same process a guest that recurses is a trap, and another one loops.
async fn a_fault_of_the_host_ends_it_while_components_run_and_trap(_workers: Workers) {
    let child = tokio::task::spawn_blocking(|| {
        Command::new(std::env::current_exe().unwrap())
            .env(CHILD, "1")
            .stdin(Stdio::null())
            .output()
            .unwrap()
    });
    let output = child.await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        String::from_utf8_lossy(&output.stdout).contains("the guest trapped"),
        "{said}"
    );
    assert_eq!(output.status.signal(), Some(ABORTED), "{said}");
    assert!(said.contains("overflowed its stack"), "{said}");
}

/// A host in which one guest traps, another one loops, and then a thread of its own recurses.
pub(crate) fn become_faulty(workers: Workers) -> ! {
    let threads = tokio::runtime::Runtime::new().unwrap();
    threads.block_on(async {
        let place = Place::open(workers).await;
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
        println!("the guest trapped");
        let fault = async { thread::spawn(|| println!("{}", down(1))).join() };
        let _ = tokio::join!(place.ask("looping/x"), fault);
        unreachable!("it outlived its own fault");
    })
}

/// More frames than a thread has room for.
fn down(depth: u64) -> u64 {
    let frame = std::hint::black_box([depth; 64]);
    match depth {
        u64::MAX => 0,
        _ => down(depth + 1) + std::hint::black_box(frame)[7],
    }
}
