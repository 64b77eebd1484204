//! Proof that acknowledged means synced: a process that commits is killed again and again.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;

use super::RedbStore;
use crate::store::{Commit, Store, Write};

/// Names the file for the process that commits; without it that test has nothing to do.
const FILE_VARIABLE: &str = "PALISADE_TEST_CRASH_FILE";

const KILLS: u64 = 25;

/// Commits in flight at once in the process that is killed.
const COMMITTERS: u64 = 4;

#[test]
fn what_was_acknowledged_survives_any_kill_and_nothing_else_appears() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("store.redb");
    let mut acknowledged = BTreeSet::new();
    for round in 0..KILLS {
        let (mut child, output) = start(&file);
        // Different places in the stream of commits, and different places within one.
        let wanted = 1 + round * 7 % 60;
        let pause = std::time::Duration::from_micros(round * 137 % 3000);
        acknowledged.extend(read_until_killed(&mut child, output, wanted, pause));
        check(&file, &acknowledged);
    }
    assert!(acknowledged.len() as u64 > KILLS);
}

fn start(file: &Path) -> (Child, ChildStdout) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "store::redb::crash::commits_until_it_is_killed",
            "--exact",
            "--nocapture",
        ])
        .env(FILE_VARIABLE, file)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let output = child.stdout.take().unwrap();
    (child, output)
}

/// Every number acknowledged, those included that are still in the pipe after the kill.
fn read_until_killed(
    child: &mut Child,
    output: ChildStdout,
    wanted: u64,
    pause: std::time::Duration,
) -> Vec<u64> {
    let mut numbers = Vec::new();
    for line in BufReader::new(output).lines() {
        let line = line.unwrap();
        // The kill may cut the last line short; an acknowledgement is one with its full stop.
        let number = line
            .split("ack ")
            .nth(1)
            .and_then(|rest| rest.strip_suffix('.'));
        let Some(number) = number else { continue };
        numbers.push(number.parse().unwrap());
        if numbers.len() as u64 == wanted {
            std::thread::sleep(pause);
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    assert!(
        numbers.len() as u64 >= wanted,
        "the process ended by itself"
    );
    numbers
}

/// Each commit writes its number at two places and so is there twice or not at all.
fn check(file: &Path, acknowledged: &BTreeSet<u64>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let (left, right) = runtime.block_on(async {
        let store = RedbStore::open(file).unwrap();
        (
            numbers(&store, "left/").await,
            numbers(&store, "right/").await,
        )
    });
    assert_eq!(left, right, "a commit was applied in part");
    let lost: Vec<_> = acknowledged.difference(&left).collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
    let surplus = left.difference(acknowledged).count() as u64;
    // Unacknowledged commits in flight at each kill may have been made.
    assert!(surplus <= KILLS * COMMITTERS);
}

async fn numbers(store: &RedbStore, prefix: &str) -> BTreeSet<u64> {
    let snapshot = store.snapshot().await.unwrap();
    let names = snapshot.list_page(prefix, "", usize::MAX).await.unwrap();
    let mut numbers = BTreeSet::new();
    for name in names {
        let value = snapshot.get(&format!("{prefix}{name}")).await.unwrap();
        assert_eq!(value.unwrap().value, content(name.parse().unwrap()));
        numbers.insert(name.parse().unwrap());
    }
    numbers
}

/// Sizes from a few bytes to several pages, recognisable.
fn content(number: u64) -> Vec<u8> {
    let length = 10 + (number * 997 % 20_000) as usize;
    let pattern = number.to_be_bytes();
    pattern.into_iter().cycle().take(length).collect()
}

#[test]
fn commits_until_it_is_killed() {
    let Some(file) = std::env::var_os(FILE_VARIABLE) else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap();
    runtime.block_on(commit_for_ever(PathBuf::from(file)));
}

async fn commit_for_ever(file: PathBuf) {
    let store = Arc::new(RedbStore::open(&file).unwrap());
    let begin = numbers(&store, "left/")
        .await
        .last()
        .map_or(0, |last| last + 1);
    let committers = (0..COMMITTERS).map(|committer| {
        let store = store.clone();
        tokio::spawn(async move {
            let mut number = begin + committer;
            loop {
                commit_number(&store, number).await;
                number += COMMITTERS;
            }
        })
    });
    futures_util::future::join_all(committers).await;
}

async fn commit_number(store: &RedbStore, number: u64) {
    let put = |side: &str| Write::Put {
        key: format!("{side}/{number}"),
        value: content(number),
    };
    let writes = vec![put("left"), put("right")];
    store.commit(Commit::of(writes)).await.unwrap();
    let line = format!("ack {number}.\n");
    let mut output = std::io::stdout().lock();
    output.write_all(line.as_bytes()).unwrap();
    output.flush().unwrap();
}
