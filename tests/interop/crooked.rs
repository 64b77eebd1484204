//! A plugin that is right in all but one way, on the wire: its start fails at once and says why, or its flaw harms nobody
//! but who calls it.
//!
//! How the server stands a flood is measured of the whole process, so that no other case runs meanwhile.

use std::time::{Duration, Instant};

use palisade_runtime::catalog::Manifest;
use palisade_runtime::contract::{Operation, PluginType};
use palisade_runtime::{ErrorKind, MountError, NewMount};
use palisade_tests::{Guest, Harness, Outcome, reaped};
use rustix::process::Pid;
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

use crate::peers::{CROOKED, Peer, cases, enable, manifest, process, processes_with};

/// How soon a start fails that is wrong at once; its steps would have half a minute each.
const AT_ONCE: Duration = Duration::from_secs(5);

/// The deadline of the request that gets no good answer, and how long after it the caller has been told.
const LIMIT: Duration = Duration::from_millis(500);
const TOLD_AFTER: Duration = Duration::from_millis(500);

/// How long the server is watched from the request on. What is wrong then goes on until the process ends.
const WATCHED: Duration = Duration::from_millis(800);

/// How soon another mount answers meanwhile, and how often it is asked.
const ELSEWHERE_WITHIN: Duration = Duration::from_secs(1);
const ELSEWHERE_INTERVAL: Duration = Duration::from_millis(10);

/// How much the server may grow meanwhile.
const GROWTH_BYTES_MAX: u64 = 64 << 20;

/// How many threads' time the server may spend meanwhile. A flood that nothing ends takes nearly a whole one.
const THREADS_MAX: f64 = 0.5;

cases! {
    CASES for CROOKED;
    one_without_a_flaw_starts_answers_and_ends,
    an_older_tls_more_certificates_and_a_server_that_asks_for_none_are_taken,
    each_flaw_of_the_start_is_refused_at_once_in_its_own_words,
    a_flood_of_legal_frames_ends_the_connection,
    what_a_connection_does_not_survive_is_a_crash_told_at_once,
    what_never_comes_whole_meets_the_deadline,
}

async fn one_without_a_flaw_starts_answers_and_ends(h: Harness, peer: Peer) {
    check_good(&h, peer, "").await;
    watch(&h, peer, "").await.unwrap();
}

/// Whether the plugin asks the host for a certificate is the plugin's own affair. The host has one, and asks for theirs.
async fn an_older_tls_more_certificates_and_a_server_that_asks_for_none_are_taken(
    h: Harness,
    peer: Peer,
) {
    for flaw in ["tls12", "chain", "no-client-auth"] {
        check_good(&h, peer, flaw).await;
    }
}

async fn each_flaw_of_the_start_is_refused_at_once_in_its_own_words(h: Harness, peer: Peer) {
    for (flaw, words) in [
        (
            "plaintext",
            "mutual TLS with it failed: received corrupt message",
        ),
        ("tls10", "received fatal alert: ProtocolVersion"),
        ("tls11", "received fatal alert: ProtocolVersion"),
        ("no-alpn", "its server did not choose HTTP/2 (ALPN h2)"),
        ("http11", "received fatal alert: NoApplicationProtocol"),
        (
            "chain-behind",
            "mutual TLS with it failed: invalid peer certificate",
        ),
    ] {
        let mark = register(&h, peer, flaw).await;
        let since = Instant::now();
        let error = refused(&h, peer).await;
        assert!(since.elapsed() < AT_ONCE, "{flaw}: {:?}", since.elapsed());
        assert_eq!(error.kind(), ErrorKind::LaunchFailed, "{flaw}: {error}");
        assert!(error.to_string().contains(words), "{flaw}: {error}");
        for process in processes_with(&mark) {
            reaped(process).await;
        }
    }
}

async fn a_flood_of_legal_frames_ends_the_connection(h: Harness, peer: Peer) {
    for flaw in [
        "ping-flood",
        "settings-flood",
        "unknown-frames",
        "goaway-loop",
    ] {
        let outcome = watch(&h, peer, flaw).await;
        let words = "frames a second carry nothing of a call";
        expect_failure(outcome, flaw, ErrorKind::Crashed, words);
    }
    // Its first frame is an end of the call, and all others are of a call that has ended.
    let outcome = watch(&h, peer, "reset-answered").await;
    let words = "it ended the call without an answer";
    expect_failure(outcome, "reset-answered", ErrorKind::Protocol, words);
}

async fn what_a_connection_does_not_survive_is_a_crash_told_at_once(h: Harness, peer: Peer) {
    for (flaw, words) in [
        ("continuation-flood", "too_many_continuations"),
        ("many-headers", "too_many_continuations"),
        ("empty-data", "too_many_data_frames"),
        ("reset-flood", "protocol error detected"),
        ("push", "protocol error detected"),
        ("half-close", "broken pipe"),
        ("goaway", "not a result of an error"),
    ] {
        let outcome = watch(&h, peer, flaw).await;
        expect_failure(outcome, flaw, ErrorKind::Crashed, words);
    }
}

async fn what_never_comes_whole_meets_the_deadline(h: Harness, peer: Peer) {
    for flaw in ["zero-window", "trickle"] {
        let outcome = watch(&h, peer, flaw).await;
        expect_failure(outcome, flaw, ErrorKind::Timeout, "did not answer within");
    }
}

/// It starts, answers and ends.
async fn check_good(h: &Harness, peer: Peer, flaw: &str) {
    let mark = register(h, peer, flaw).await;
    enable(h, peer, "p").await;
    let process = process(h, "p");
    assert!(processes_with(&mark).contains(&process), "{flaw}");
    assert_eq!(h.read("p/x").await.unwrap(), Value::Null, "{flaw}");
    end(h, process).await;
}

/// Registers it with a flaw, and with a variable by which its processes are known.
async fn register(h: &Harness, peer: Peer, flaw: &str) -> String {
    let mark = format!("INTEROP_MARK=crooked-{flaw}-{}", std::process::id());
    let manifest = Manifest {
        env: vec![mark.clone()],
        ..manifest(h, peer, PluginType::Secret, &[flaw])
    };
    h.runtime.register(manifest).await.unwrap();
    mark
}

async fn refused(h: &Harness, peer: Peer) -> MountError {
    let mount = NewMount {
        plugin: peer.name().to_owned(),
        ..NewMount::default()
    };
    let outcome = h.runtime.enable("p".parse().unwrap(), mount).await;
    outcome.unwrap_err()
}

async fn end(h: &Harness, process: Pid) {
    h.disable("p").await.unwrap();
    reaped(process).await;
}

/// What the server needed meanwhile, and how long another mount needed at the most.
#[derive(Debug)]
struct Cost {
    growth_bytes: u64,
    threads: f64,
    elsewhere: Duration,
}

/// Asks once, and looks at the server for some time.
async fn watch(h: &Harness, peer: Peer, flaw: &str) -> Outcome {
    register(h, peer, flaw).await;
    enable(h, peer, "p").await;
    let process = process(h, "p");
    let asked = async {
        let since = Instant::now();
        let outcome = h.request_within(LIMIT, Operation::Read, "p/x", Value::Null);
        (outcome.await, since.elapsed())
    };
    let ((outcome, told_after), cost) = tokio::join!(asked, cost(h));
    assert!(told_after < LIMIT + TOLD_AFTER, "{flaw}: {told_after:?}");
    assert!(cost.growth_bytes < GROWTH_BYTES_MAX, "{flaw}: {cost:?}");
    assert!(cost.threads < THREADS_MAX, "{flaw}: {cost:?}");
    assert!(cost.elsewhere < ELSEWHERE_WITHIN, "{flaw}: {cost:?}");
    end(h, process).await;
    outcome
}

fn expect_failure(outcome: Outcome, flaw: &str, kind: ErrorKind, words: &str) {
    let error = outcome.unwrap_err();
    assert_eq!(error.kind(), kind, "{flaw}: {error}");
    assert!(error.to_string().contains(words), "{flaw}: {error}");
}

/// Asks another mount again and again.
async fn cost(h: &Harness) -> Cost {
    // There already, unless this is the first flaw of the case.
    let _ = h.enable("kv", Guest::Kv, &[]).await;
    let (memory, busy) = (memory_bytes(), processor_time());
    let since = Instant::now();
    let mut elsewhere = Duration::ZERO;
    let mut most_bytes = memory;
    while since.elapsed() < WATCHED {
        let asked = Instant::now();
        let put = h.write("kv/data/a", json!({ "data": { "k": "v" } }));
        put.await.unwrap();
        elsewhere = elsewhere.max(asked.elapsed());
        most_bytes = most_bytes.max(memory_bytes());
        tokio::time::sleep(ELSEWHERE_INTERVAL).await;
    }
    let busy = processor_time() - busy;
    Cost {
        growth_bytes: most_bytes - memory,
        threads: busy.as_secs_f64() / since.elapsed().as_secs_f64(),
        elsewhere,
    }
}

/// How much memory this process holds.
fn memory_bytes() -> u64 {
    let counted = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages = counted.split(' ').nth(1).unwrap();
    let page_bytes = u64::try_from(rustix::param::page_size()).unwrap();
    pages.parse::<u64>().unwrap() * page_bytes
}

/// How long this process has had a processor, all threads together.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(time).unwrap()
}
