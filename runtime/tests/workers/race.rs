//! An attacker who can write to the plugin directory, against the way from a file to a process. He swaps the registered
//! program for another, over and over, while it is being verified and started. What ran is told by its exit: the
//! registered program is `true`, the attacker's is `false`.

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use palisade_runtime::catalog::PluginDirectory;
use palisade_runtime::worker::{Execution, ProcessExit, Surroundings};
use palisade_runtime::{Digest, Workers};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use sha2::{Digest as _, Sha256};

use super::block_on;

/// Starts of what was verified, under attack.
const LAUNCHES: usize = 10_000;

/// Tries to verify, at most: while the wrong file lies there, they are refused.
const TRIES: usize = 40 * LAUNCHES;

/// Starts by path for the control, at most. Some tens are enough to meet the attacker's program.
const CONTROL_TRIES: usize = 20_000;

/// The two programs, side by side in a plugin directory, and the attacker at work.
struct Attack {
    folder: tempfile::TempDir,
    registered: Digest,
    over: Arc<AtomicBool>,
    attacker: Option<JoinHandle<()>>,
}

impl Attack {
    fn begin(deed: fn(&Path)) -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let place = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            fs::write(&path, bytes).expect("the folder is ours");
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("it is ours");
        };
        let (good, evil) = programs();
        place("plugin", &good);
        place("evil", &evil);
        let over = Arc::new(AtomicBool::new(false));
        let (place, stop) = (folder.path().to_path_buf(), Arc::clone(&over));
        let attacker = std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                deed(&place);
            }
        });
        Self {
            folder,
            registered: Digest::new(Sha256::digest(&good).into()),
            over,
            attacker: Some(attacker),
        }
    }

    fn plugin(&self) -> PathBuf {
        self.folder.path().join("plugin")
    }
}

impl Drop for Attack {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(attacker) = self.attacker.take() {
            let _ = attacker.join();
        }
    }
}

/// Two programs of the same length, so that one can be written over the other.
fn programs() -> (Vec<u8>, Vec<u8>) {
    let mut programs =
        ["/bin/true", "/bin/false"].map(|path| fs::read(path).expect("every machine has them"));
    let length = programs.iter().map(Vec::len).max().unwrap_or_default();
    for program in &mut programs {
        program.resize(length, 0);
    }
    let [good, evil] = programs;
    (good, evil)
}

/// The two names change places, at once.
fn swap(folder: &Path) {
    let (plugin, evil) = (folder.join("plugin"), folder.join("evil"));
    renameat_with(CWD, plugin, CWD, evil, RenameFlags::EXCHANGE).expect("both are there");
}

/// The registered file's own bytes become the other's and come back, in small steps.
fn rewrite(folder: &Path) {
    let (good, evil) = programs();
    let open = fs::OpenOptions::new()
        .write(true)
        .open(folder.join("plugin"));
    let Ok(file) = open else {
        return;
    };
    for bytes in [evil, good] {
        for (at, piece) in bytes.chunks(4096).enumerate() {
            let offset = u64::try_from(at * 4096).unwrap_or_default();
            file.write_all_at(piece, offset).expect("it is ours");
        }
    }
}

/// What came of many starts under attack.
#[derive(Debug, Default)]
struct Tally {
    launched: usize,
    refused: usize,
    foreign: usize,
}

async fn attack(workers: &Workers, deed: fn(&Path), launches: usize) -> Tally {
    let attack = Attack::begin(deed);
    let directory = PluginDirectory::open(attack.folder.path()).expect("it is a directory");
    let mut tally = Tally::default();
    for _ in 0..TRIES {
        if tally.launched == launches {
            break;
        }
        let Ok(verified) = directory.verify("plugin", attack.registered).await else {
            tally.refused += 1;
            continue;
        };
        let execution = execution(verified.sealed().as_fd());
        let started = workers.spawn(Surroundings::default(), execution).await;
        let exit = started.expect("it starts").process.exited().await;
        tally.launched += 1;
        tally.foreign += usize::from(exit != ProcessExit::Code(0));
    }
    tally
}

fn execution(executable: std::os::fd::BorrowedFd<'_>) -> Execution<'_> {
    Execution {
        executable,
        argv: vec!["plugin".to_owned()],
        env: Vec::new(),
    }
}

pub(crate) fn an_attacker_who_swaps_the_file_runs_nothing(workers: Workers) {
    block_on(async {
        let tally = attack(&workers, swap, LAUNCHES).await;
        println!("{tally:?}");
        assert_eq!((tally.launched, tally.foreign), (LAUNCHES, 0), "{tally:?}");
        assert!(tally.refused > 0, "he was never in time: {tally:?}");
    });
}

pub(crate) fn an_attacker_who_rewrites_the_file_runs_nothing(workers: Workers) {
    block_on(async {
        let tally = attack(&workers, rewrite, LAUNCHES / 20).await;
        println!("{tally:?}");
        assert_eq!(tally.foreign, 0, "{tally:?}");
        assert!(tally.launched > 0 && tally.refused > 0, "{tally:?}");
    });
}

/// The control: who hashes by path and executes by path runs the attacker's program.
pub(crate) fn who_trusts_the_path_runs_what_the_attacker_placed(_: Workers) {
    let attack = Attack::begin(swap);
    let runs_foreign = || {
        let bytes = fs::read(attack.plugin()).expect("it is there");
        let matches = Digest::new(Sha256::digest(bytes).into()) == attack.registered;
        matches
            && !Command::new(attack.plugin())
                .status()
                .expect("it starts")
                .success()
    };
    assert!((0..CONTROL_TRIES).any(|_| runs_foreign()));
}
