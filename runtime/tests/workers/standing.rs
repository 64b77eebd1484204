//! A process that stands by: what it has, who can see into it, and that it ends when nobody wants it.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::os::unix::process::CommandExt as _;
use std::process::{self, Command};

use palisade_runtime::Workers;
use palisade_runtime::worker::{
    Execution, Layer, ProcessExit, Sandbox, SpawnedProcess, Standby, Surroundings,
};
use rustix::thread::CapabilitySet;

use super::{SERVER_VARIABLE, await_end, block_on, line, read, shell, start};

/// What a child of this file is told to be, to serve here.
pub(crate) const SERVER: &str = "stand-by";

/// A user that nobody is.
const STRANGER: u32 = 0x6fff_fff0;

pub(crate) fn what_stands_by_has_nothing_but_its_outputs_and_its_gate(workers: Workers) {
    block_on(async {
        let running = start(&workers, "sleep 1000").await;
        let standby = stand_by(&workers, Surroundings::default()).await;
        let process = format!("/proc/{}", standby.process().id());
        let open = fs::read_dir(format!("{process}/fd")).expect("it lives");
        assert_eq!(open.count(), 4);
        let name = fs::read_to_string(format!("{process}/comm")).expect("it lives");
        assert_eq!(name, "palisade-ready\n");
        // It becomes whatever it is told.
        let started = execute(standby, shell("echo $ONLY")).await;
        assert_eq!(started.process.exited().await, ProcessExit::Code(0));
        assert_eq!(read(started.stdout), "this\n");
        drop(running);
    });
}

pub(crate) fn what_stands_by_is_walled_in(workers: Workers) {
    block_on(async {
        let layers = workers.protections().await.expect("the spawner lives");
        let layers = layers.holding().clone();
        if !layers.contains(&Layer::User) {
            return; // nobody has a user to give
        }
        let sandbox = Sandbox {
            layers,
            user: STRANGER,
            memory_bytes: 64 << 20,
            processes: 16,
            cpu_weight: 100,
            network: false,
            as_file: false,
        };
        let surroundings = Surroundings {
            sandbox: Some(sandbox),
            ..Surroundings::default()
        };
        let standby = stand_by(&workers, surroundings).await;
        let process = format!("/proc/{}", standby.process().id());
        let status = fs::read_to_string(format!("{process}/status")).expect("it lives");
        let user = format!("Uid:\t{STRANGER}\t{STRANGER}\t{STRANGER}\t{STRANGER}");
        assert_eq!(line(&status, "Uid:"), user);
        assert!(line(&status, "NoNewPrivs:").ends_with('1'), "{status}");
        assert!(line(&status, "Seccomp:").ends_with('2'), "{status}");
    });
}

/// As a server of an ordinary user, whose processes have no users of their own.
pub(crate) fn what_stands_by_is_closed_to_its_own_user(_workers: Workers) {
    let mut server = Command::new("/proc/self/exe");
    server.env(SERVER_VARIABLE, SERVER).uid(STRANGER);
    let told = server.output().expect("the test can start itself");
    let told = String::from_utf8(told.stdout).expect("it is text");
    // The control is the second: the same process, once it is a plugin's.
    let owners: Vec<_> = told.lines().skip(1).collect();
    assert_eq!(owners, ["0", &STRANGER.to_string()], "{told}");
}

/// What that server does, and tells.
pub(crate) async fn serve(workers: &Workers) {
    let standby = stand_by(workers, Surroundings::default()).await;
    let process = standby.process().id();
    println!("{}", owner_of_memory(process));
    // A shell that does not become what it runs.
    let _started = execute(standby, shell("sleep 1000; true")).await;
    println!("{}", owner_of_memory(process));
}

/// The kernel gives the memory of a process that is closed to its own user to root.
fn owner_of_memory(process: u32) -> u32 {
    let memory = fs::metadata(format!("/proc/{process}/mem")).expect("it lives");
    memory.uid()
}

pub(crate) fn what_nobody_wants_any_more_ends(workers: Workers) {
    block_on(async {
        let standby = stand_by(&workers, Surroundings::default()).await;
        let process = standby.process().id().to_string();
        drop(standby);
        await_end(&process);
    });
}

pub(crate) fn what_cannot_be_executed_ends_what_stood_by(workers: Workers) {
    block_on(async {
        let standby = stand_by(&workers, Surroundings::default()).await;
        let process = standby.process().id().to_string();
        let nul = Execution {
            argv: vec!["a\0b".to_owned()],
            ..shell("")
        };
        let (_process, answer) = standby.execute(nul).expect("it lives");
        let fault = answer.executed().await.expect_err("it has no such name");
        assert!(fault.to_string().contains("exec: "), "{fault}");
        await_end(&process);
    });
}

/// The environment goes from the server to the plugin's own process, and to no other.
pub(crate) fn the_spawner_never_has_the_environment_of_a_process(workers: Workers) {
    // Made at run time, so that they are in no executable; and often, so that not all of it is written over at once.
    let [secret, known] = ["secret", "known"].map(|word| format!("{word}-{:x}", process::id()));
    block_on(async {
        let mut execution = shell("sleep 1000");
        execution
            .env
            .push(("SECRET".to_owned(), secret.repeat(500)));
        // The control: what the spawner is told.
        let surroundings = Surroundings {
            remnant: Some(format!("/nowhere/{known}")),
            ..Surroundings::default()
        };
        let started = workers.spawn(surroundings, execution).await;
        let _started = started.expect("a shell starts");
        let spawner = workers.process_id().expect("there is a spawner");
        assert!(has_in_memory(spawner, &known));
        assert!(!has_in_memory(spawner, &secret));
    });
}

/// Whether this process may: what stands by is closed to its own user.
pub(crate) fn may_look_into_processes() -> bool {
    let held = rustix::thread::capabilities(None);
    held.is_ok_and(|held| held.effective.contains(CapabilitySet::SYS_PTRACE))
}

async fn stand_by(workers: &Workers, surroundings: Surroundings) -> Standby {
    let standby = workers.stand_by(surroundings, None).await;
    standby.expect("it is made")
}

async fn execute(standby: Standby, execution: Execution<'_>) -> SpawnedProcess {
    let (process, answer) = standby.execute(execution).expect("it lives");
    answer.executed().await.expect("it can be executed");
    process
}

/// Looks through all that a process can write to.
fn has_in_memory(process: u32, text: &str) -> bool {
    let maps = fs::read_to_string(format!("/proc/{process}/maps")).expect("it lives");
    let memory = File::open(format!("/proc/{process}/mem")).expect("it may be read");
    maps.lines()
        .filter(|line| line.contains(" rw"))
        .filter_map(extent)
        .any(|(start, bytes)| {
            let mut region = vec![0; bytes];
            memory.read_exact_at(&mut region, start).is_ok()
                && region
                    .windows(text.len())
                    .any(|bytes| bytes == text.as_bytes())
        })
}

/// The start of a region and its length in bytes.
fn extent(line: &str) -> Option<(u64, usize)> {
    let (start, end) = line.split(' ').next()?.split_once('-')?;
    let [start, end] = [start, end].map(|number| u64::from_str_radix(number, 16).ok());
    let (start, end) = (start?, end?);
    Some((start, usize::try_from(end.checked_sub(start)?).ok()?))
}
