//! What an enabled mount that nobody asks takes of the server's memory: little, since a server may have thousands.
//!
//! `main` is this file's own, because `enter_worker` has to come first in it, and because every byte is counted: nothing else
//! is to run meanwhile.

#![expect(
    unsafe_code,
    reason = "an allocator that counts is an allocator, whose trait is unsafe"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};

use libtest_mimic::{Arguments, Trial};
use palisade_tests::{Guest, Harness, Mode, workers_for_all_tests};

/// The most that an idle mount takes, its record in a store in memory included.
const MOUNT_BYTES_MAX: usize = 8 << 10;

/// Mounts over which that is measured.
const MOUNTS: usize = 500;

/// What an allocator needs for itself in each block, and loses behind it, on average.
const BLOCK_BYTES: usize = 16;

#[global_allocator]
static COUNTED: Counted = Counted {
    bytes: AtomicUsize::new(0),
};

/// The system's allocator, and how much is taken from it.
struct Counted {
    bytes: AtomicUsize,
}

impl Counted {
    fn bytes(&self) -> usize {
        self.bytes.load(Ordering::SeqCst)
    }

    fn took(&self, bytes: usize) {
        self.bytes.fetch_add(bytes + BLOCK_BYTES, Ordering::SeqCst);
    }

    fn gave_back(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes + BLOCK_BYTES, Ordering::SeqCst);
    }
}

// SAFETY: every call goes on to the system's allocator unchanged, and counting touches no memory but the count.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.took(layout.size());
        // SAFETY: the caller keeps the promises of this same function.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        self.gave_back(layout.size());
        // SAFETY: the block is the system's, since every block of this allocator is.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        self.took(bytes);
        self.gave_back(layout.size());
        // SAFETY: the block is the system's, since every block of this allocator is.
        unsafe { System.realloc(block, layout, bytes) }
    }
}

fn main() -> ExitCode {
    let workers = palisade_runtime::enter_worker();
    workers_for_all_tests(workers);
    let trials = vec![Trial::test(
        "an_idle_mount_takes_little_memory_and_holds_no_store",
        || {
            let runtime = tokio::runtime::Runtime::new()?;
            runtime.block_on(an_idle_mount_takes_little_memory_and_holds_no_store());
            Ok(())
        },
    )];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

async fn an_idle_mount_takes_little_memory_and_holds_no_store() {
    let h = Harness::new(Mode::WasmCall).await;
    h.mount(Guest::Kv).await;
    // What grows by doubling has some room by then.
    enable(&h, "warm", 20).await;
    let before = COUNTED.bytes();
    enable(&h, "idle", MOUNTS).await;
    let each = COUNTED.bytes().saturating_sub(before) / MOUNTS;
    assert!(
        each <= MOUNT_BYTES_MAX,
        "an idle mount takes {each} bytes, and {MOUNT_BYTES_MAX} are allowed"
    );
    // Less than its own record were no mount at all.
    assert!(
        each > 1 << 10,
        "{each} bytes were counted, which is too few"
    );
    let mounts = h.runtime.mounts();
    assert!(mounts.len() > MOUNTS && mounts.iter().all(|mount| mount.running));
    assert!(mounts.iter().all(|mount| mount.memory_bytes == Some(0)));
}

async fn enable(h: &Harness, kind: &str, mounts: usize) {
    for number in 0..mounts {
        let mount = h.enable(&format!("{kind}-{number}"), Guest::Kv, &[]).await;
        mount.expect("the guest can be enabled");
    }
}
