//! Go processes that are killed under those who ask them something: how soon that is told, and who is told.

use std::time::{Duration, Instant};

use palisade_runtime::contract::{Json, Operation, Request};
use palisade_runtime::{CallError, ErrorKind};
use palisade_tests::{Guest, Harness, expect_kind, reaped};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::peers::{BAO_PEERS, Peer, cases, mount, process};

/// How soon a death has to be told to everybody.
const TOLD_WITHIN: Duration = Duration::from_millis(100);

/// The machine may be busy: of so many tries,
const TRIES: usize = 5;

/// so many have to be in time.
const TRIES_IN_TIME: usize = 4;

const CLIENTS: u32 = 8;

/// How long the clients ask, and how often the process is killed meanwhile.
const ASKING: Duration = Duration::from_millis(1500);
const KILL_INTERVAL: Duration = Duration::from_millis(300);

/// How many requests there are around a kill: half of them before it.
const AROUND: usize = 50;

cases! {
    CASES for BAO_PEERS;
    a_death_is_told_to_everybody_within_a_tenth_of_a_second,
    a_kill_under_eight_readers_fails_what_is_under_way_and_nothing_that_is_declared_safe,
    fifty_requests_around_a_kill_cause_one_start_and_none_fails_that_can_be_sent_again,
}

async fn a_death_is_told_to_everybody_within_a_tenth_of_a_second(h: Harness, peer: Peer) {
    mount(&h, peer, "p").await;
    let mut times = Vec::new();
    for _ in 0..TRIES {
        times.push(until_death_is_told(&h).await);
    }
    let in_time = times.iter().filter(|&&time| time < TOLD_WITHIN).count();
    assert!(in_time >= TRIES_IN_TIME, "{times:?}");
}

/// From the kill until the calls under way have failed and the mount is known to have no process.
async fn until_death_is_told(h: &Harness) -> Duration {
    // After crashes in a row one request is tried before there may be others.
    h.read("p/pid").await.unwrap();
    let slow = || h.write("p/slow", json!({ "ms": 60_000 }));
    let mut under_way = std::pin::pin!(async { tokio::join!(slow(), slow(), slow()) });
    // The answer to what was asked last says that the process has the others.
    tokio::select! {
        biased;
        ended = &mut under_way => panic!("{ended:?}"),
        answer = h.read("p/pid") => drop(answer.unwrap()),
    }
    let process = process(h, "p");
    let killed = Instant::now();
    kill_process(process, Signal::KILL).unwrap();
    let (first, second, third) = under_way.await;
    while h.info("p").process_id.is_some() {
        tokio::task::yield_now().await;
    }
    let told = killed.elapsed();
    for outcome in [first, second, third] {
        let error = expect_kind(outcome, ErrorKind::Crashed).to_string();
        assert!(error.contains("killed by signal 9"), "{error}");
    }
    reaped(process).await;
    told
}

/// Nothing that a plugin on Go's SDKs says declares its reads safe; our own key-value engine declares all of its.
async fn a_kill_under_eight_readers_fails_what_is_under_way_and_nothing_that_is_declared_safe(
    h: Harness,
    peer: Peer,
) {
    mount(&h, peer, "p").await;
    h.write("p/store/a", json!({ "bytes": 3 })).await.unwrap();
    let undeclared = killed_under_readers(&h, "p", "p/store/a").await;
    assert!(undeclared.failed > 0, "{undeclared:?}");
    assert!(
        undeclared.failed <= CLIENTS * undeclared.kills,
        "{undeclared:?}"
    );
    h.mount(Guest::Kv).await;
    let put = h.write("kv/data/a", json!({ "data": { "k": "v" } }));
    put.await.unwrap();
    let declared = killed_under_readers(&h, "kv", "kv/data/a").await;
    assert_eq!(declared.failed, 0, "{declared:?}");
    for readers in [undeclared, declared] {
        assert!(readers.kills > 1 && readers.answered > 0, "{readers:?}");
    }
}

/// What became of the reads of all clients.
#[derive(Debug, Default)]
struct Readers {
    kills: u32,
    answered: u32,
    failed: u32,
}

impl Readers {
    fn count(&mut self, outcome: Result<Value, CallError>) {
        match outcome {
            Ok(answer) => {
                assert_ne!(answer, Value::Null);
                self.answered += 1;
            }
            failed => {
                expect_kind(failed, ErrorKind::Crashed);
                self.failed += 1;
            }
        }
    }
}

/// Clients read a path one time after the other, and the mount's process is killed again and again.
async fn killed_under_readers(h: &Harness, mount: &str, path: &'static str) -> Readers {
    let until = Instant::now() + ASKING;
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| tokio::spawn(read_until(h.clone(), path, until)))
        .collect();
    let mut all = Readers::default();
    while Instant::now() < until {
        tokio::time::sleep(KILL_INTERVAL).await;
        let number = h.info(mount).process_id;
        let process = number.and_then(|number| Pid::from_raw(number.cast_signed()));
        let killed = process.map(|process| kill_process(process, Signal::KILL));
        all.kills += u32::from(killed.is_some_and(|killed| killed.is_ok()));
    }
    for client in clients {
        let one = client.await.unwrap();
        all.answered += one.answered;
        all.failed += one.failed;
    }
    all
}

async fn read_until(h: Harness, path: &str, until: Instant) -> Readers {
    let mut readers = Readers::default();
    while Instant::now() < until {
        readers.count(h.read(path).await);
    }
    readers
}

async fn fifty_requests_around_a_kill_cause_one_start_and_none_fails_that_can_be_sent_again(
    h: Harness,
    peer: Peer,
) {
    mount(&h, peer, "p").await;
    let before = starts(&h).await;
    let first = process(&h, "p");
    let mut asked: Vec<_> = (0..AROUND / 2).map(|_| ask(&h)).collect();
    kill_process(first, Signal::KILL).unwrap();
    asked.extend((AROUND / 2..AROUND).map(|_| ask(&h)));
    for one in asked {
        one.await.unwrap().unwrap();
    }
    reaped(first).await;
    assert_eq!(starts(&h).await, before + 1);
}

/// A question whether something exists has no effect, so that it can be sent again.
fn ask(h: &Harness) -> JoinHandle<Result<(), CallError>> {
    let h = h.clone();
    tokio::spawn(async move {
        let question = Request::new(Operation::Create, "p/store/a", Json::null());
        let limit = Some(Duration::from_secs(20));
        h.runtime.exists(question, limit).await.map(drop)
    })
}

/// How often the mount was started.
async fn starts(h: &Harness) -> u64 {
    let answer = h.read("p/starts").await.unwrap();
    answer["starts"].as_u64().unwrap()
}
