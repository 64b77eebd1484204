//! The death of the host: an embedder in a process of its own is killed, and its plugins must not outlive it.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use palisade_runtime::Workers;
use palisade_tests::{Guest, Harness, Mode};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::case::cases;

/// The argument that makes this executable an embedder.
pub(crate) const ROLE: &str = "--embedder";

cases! {
    a_killed_host_takes_its_plugins_along,
    a_terminated_host_takes_its_plugins_along,
}

async fn a_killed_host_takes_its_plugins_along(_: Harness) {
    plugins_die_with(Signal::KILL);
}

async fn a_terminated_host_takes_its_plugins_along(_: Harness) {
    plugins_die_with(Signal::TERM);
}

fn plugins_die_with(signal: Signal) {
    // A killed host leaves its temporary directories behind; these are removed here.
    let folder = tempfile::tempdir().unwrap();
    let (mut host, plugin) = start(folder.path());
    // The control: it runs as long as its host does.
    assert!(test_kill_process(plugin).is_ok());
    assert_eq!(run_dirs(folder.path()).len(), 1);
    let id = i32::try_from(host.id()).unwrap();
    kill_process(Pid::from_raw(id).unwrap(), signal).unwrap();
    host.wait().unwrap();
    eventually("the plugin is gone", || test_kill_process(plugin).is_err());
    eventually("its folder is gone", || run_dirs(folder.path()).is_empty());
}

fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(10), "not so: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The folders of sockets that a server has made in `folder`.
fn run_dirs(folder: &Path) -> Vec<PathBuf> {
    let entries = folder
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let is_ours = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy();
        name.starts_with("palisade-")
    };
    entries.filter(is_ours).collect()
}

/// Starts an embedder and waits until its plugin runs.
fn start(folder: &Path) -> (Child, Pid) {
    let executable: PathBuf = std::env::current_exe().unwrap();
    let mut host = Command::new(executable)
        .arg(ROLE)
        .env("TMPDIR", folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let output = host.stdout.take().unwrap();
    BufReader::new(output).read_line(&mut line).unwrap();
    let plugin = line.trim().parse().ok().and_then(Pid::from_raw);
    (
        host,
        plugin.expect("the embedder tells its plugin's process"),
    )
}

/// What the embedder does: mounts a plugin, tells its process, and waits to be killed.
pub(crate) fn run(workers: Workers) -> ExitCode {
    palisade_tests::workers_for_all_tests(workers);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let harness = Harness::new(Mode::Native).await;
        let mount = harness.mount(Guest::Hostile).await;
        let process = mount.process_id.unwrap();
        println!("{process}");
        std::io::stdout().flush().unwrap();
        std::future::pending::<()>().await;
    });
    ExitCode::SUCCESS
}
