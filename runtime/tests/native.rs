//! The native driver with real processes: this executable is the test, the server that dies, and the plugin.
#![allow(
    clippy::print_stdout,
    reason = "the server that a test plays tells its test what it did"
)]

/// Makes `trials`: one for each function named, with the front that its name is to have.
macro_rules! trials {
    ($front:literal; $($name:ident),* $(,)?) => {
        pub(crate) fn trials(workers: &palisade_runtime::Workers) -> Vec<libtest_mimic::Trial> {
            vec![$({
                let workers = workers.clone();
                libtest_mimic::Trial::test(concat!($front, stringify!($name)), move || {
                    crate::block_on($name(crate::Host::new(workers)));
                    Ok::<(), libtest_mimic::Failed>(())
                })
            }),*]
        }
    };
}

#[path = "native/attack.rs"]
mod attack;
#[path = "native/broker.rs"]
mod broker;
#[path = "native/fake.rs"]
mod fake;
#[path = "native/fuse.rs"]
mod fuse;
#[path = "native/limits.rs"]
mod limits;
#[path = "native/peers.rs"]
mod peers;
#[path = "native/plugin.rs"]
mod plugin;
#[path = "native/sharing.rs"]
mod sharing;
#[path = "native/standing.rs"]
mod standing;
#[path = "native/supervision.rs"]
mod supervision;
#[path = "native/walls.rs"]
mod walls;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use libtest_mimic::Arguments;
use palisade_runtime::catalog::{PluginDirectory, Program, Verified};
use palisade_runtime::contract::{
    Existence, Json, Operation, PluginType, Request, Response, SetupConfig,
};
use palisade_runtime::driver::native::NativeDriver;
use palisade_runtime::driver::{Driver, Instance, LaunchPlan};
use palisade_runtime::services::{Deadline, MountPrefix, MountServices, ServicesConfig};
use palisade_runtime::store::{MemoryStore, Store};
use palisade_runtime::{
    CallError, ErrorKind, Grants, LaunchError, Layer, Limits, ProcessOptions, RuntimeKind,
    Timeouts, Workers, enter_worker,
};
use rustix::thread::CapabilitySet;
use sha2::{Digest as _, Sha256};

use walls::{
    a_network_is_there_for_who_was_granted_it, a_plugin_has_no_privilege_on_any_thread,
    a_plugin_reaches_nothing_that_it_was_not_given,
    a_plugin_that_executes_itself_finds_itself_if_that_is_granted,
    a_plugin_that_wakes_interrupts_nobody, a_protection_that_is_required_and_lacking_is_a_refusal,
    each_process_is_a_user_of_its_own, memory_over_the_limit_ends_the_process_and_says_so,
    threads_over_the_limit_are_refused_to_it_alone,
    what_it_writes_to_the_temporary_folder_is_its_own,
};

/// How long anything that has to happen may take.
const SOON: Duration = Duration::from_secs(20);

/// Set for a child of this file that plays the server.
const SERVER_VARIABLE: &str = "PALISADE_TEST_SERVER";

fn main() -> ExitCode {
    if std::env::var_os(plugin::PLUGIN_VARIABLE).is_some() {
        return plugin::run();
    }
    let workers = enter_worker();
    if std::env::var_os(SERVER_VARIABLE).is_some() {
        return be_a_server(&workers);
    }
    let arguments = Arguments::from_args();
    let mut trials = trials(&workers);
    trials.extend(limits::trials(&workers));
    trials.extend(peers::trials(&workers));
    trials.extend(sharing::trials(&workers));
    let standing = standing::trials(&workers).into_iter();
    trials.extend(standing.map(|trial| trial.with_ignored_flag(!may_look_into_processes())));
    trials.extend(supervision::trials(&workers));
    libtest_mimic::run(&arguments, trials).exit_code()
}

trials!["";
    a_request_is_answered,
    numbers_and_text_of_the_data_are_not_changed,
    the_plugin_says_what_it_is,
    what_a_plugin_answers_as_an_error_keeps_kind_and_text,
    storage_is_read_written_listed_and_deleted,
    two_mounts_see_their_own_storage_only,
    a_key_with_dots_reaches_nothing,
    what_another_generation_commits_is_forgotten_before_the_next_request,
    existence_is_told_in_three_ways,
    initialize_may_write_and_setup_may_not,
    a_transaction_is_visible_as_a_whole_or_not_at_all,
    a_transaction_that_lost_a_race_says_so,
    transactions_have_a_number_that_is_enough,
    the_system_view_is_served,
    what_is_printed_and_logged_keeps_nobody_waiting,
    the_environment_is_the_entrys_and_the_protocols,
    no_descriptor_of_the_server_is_open_in_the_plugin,
    limits_and_folder_are_its_own,
    a_request_that_takes_too_long_is_a_timeout_and_the_process_lives,
    a_request_that_is_dropped_leaves_the_process_alive,
    a_response_over_its_limit_is_told_with_its_size,
    a_request_over_its_limit_never_leaves,
    a_killed_process_is_a_crash_that_may_have_had_an_effect,
    a_dead_process_is_sent_nothing,
    an_abort_is_a_crash_with_its_signal,
    calls_run_side_by_side,
    stop_cleans_up_and_leaves_nothing,
    stop_ends_one_that_hangs,
    dropping_the_handle_kills_the_process,
    what_a_plugin_started_dies_with_it,
    a_plugin_that_says_nothing_is_ended_at_the_deadline,
    a_plugin_that_speaks_byte_by_byte_is_ended_at_the_deadline,
    a_plugin_that_says_something_else_is_refused,
    a_line_without_end_is_refused,
    a_plugin_that_exits_is_reported_at_once_with_its_last_words,
    a_handshake_without_certificate_is_refused,
    a_socket_elsewhere_is_never_dialled,
    a_handshake_of_a_child_counts_while_its_parent_lives,
    a_socket_that_never_answers_is_a_timeout,
    a_socket_that_a_process_of_another_session_holds_is_not_used,
    a_plugin_of_another_type_is_refused,
    a_setup_that_fails_keeps_its_text,
    a_setup_that_hangs_is_a_timeout,
    a_launch_that_is_given_up_leaves_no_process,
    a_plugin_reaches_nothing_that_it_was_not_given,
    a_network_is_there_for_who_was_granted_it,
    a_plugin_has_no_privilege_on_any_thread,
    a_plugin_that_wakes_interrupts_nobody,
    each_process_is_a_user_of_its_own,
    memory_over_the_limit_ends_the_process_and_says_so,
    threads_over_the_limit_are_refused_to_it_alone,
    what_it_writes_to_the_temporary_folder_is_its_own,
    a_plugin_that_executes_itself_finds_itself_if_that_is_granted,
    a_protection_that_is_required_and_lacking_is_a_refusal,
];

// ---- answers

async fn a_request_is_answered(host: Host) {
    let plugin = host.launch().await;
    let data = plugin
        .update("echo/x", r#"{"a":1}"#)
        .await
        .expect("it answers");
    assert_eq!(data["operation"], "update");
    assert_eq!(data["data"], r#"{"a":1}"#);
    assert_eq!(data["mount_point"], "test/");
    assert_eq!(data["uuid"], "uuid-1");
    assert_eq!(
        plugin
            .handle(Operation::Read, "none", "null")
            .await
            .expect("it answers"),
        None
    );
}

async fn numbers_and_text_of_the_data_are_not_changed(host: Host) {
    let plugin = host.launch().await;
    let text = r#"{ "n": 123456789012345678901234567890.50, "é": "\u0000" }"#;
    let data = plugin.update("echo", text).await.expect("it answers");
    assert_eq!(data["data"], text);
}

async fn the_plugin_says_what_it_is(host: Host) {
    let plugin = host.launch().await;
    let description = plugin.instance.description();
    assert_eq!(description.plugin_type, PluginType::Secret);
    assert_eq!(description.version, "v1.2.3");
    assert_eq!(description.special_paths.root, ["root/*"]);
    assert!(
        plugin
            .instance
            .memory_bytes()
            .is_some_and(|bytes| bytes > 1 << 20)
    );
}

async fn what_a_plugin_answers_as_an_error_keeps_kind_and_text(host: Host) {
    let plugin = host.launch().await;
    match plugin.read("fail").await {
        Err(CallError::Plugin(error)) => {
            assert_eq!(error.message, "as asked");
            assert_eq!(error.kind.to_wire().0, 7);
        }
        other => panic!("{other:?}"),
    }
    match plugin.read("nowhere").await {
        Err(CallError::Plugin(error)) => assert_eq!(error.kind.to_wire().0, 6),
        other => panic!("{other:?}"),
    }
}

// ---- storage

async fn storage_is_read_written_listed_and_deleted(host: Host) {
    let plugin = host.launch().await;
    for key in ["b", "a/1", "a/2"] {
        plugin
            .update(&format!("store/{key}"), r#""v""#)
            .await
            .expect("it is written");
    }
    assert_eq!(
        plugin.read("store/b").await.expect("it is read")["value"],
        r#""v""#
    );
    assert_eq!(plugin.list("store/").await, ["a/", "b"]);
    assert_eq!(plugin.list("store/a/").await, ["1", "2"]);
    plugin
        .handle(Operation::Delete, "store/b", "null")
        .await
        .expect("it is deleted");
    assert!(plugin.read("store/b").await.expect("it is read")["value"].is_null());
}

async fn two_mounts_see_their_own_storage_only(host: Host) {
    let (one, other) = (host.launch().await, host.launch_mount("uuid-2", &[]).await);
    let other = other.expect("it starts");
    one.update("store/a", r#""one""#)
        .await
        .expect("it is written");
    assert!(other.read("store/a").await.expect("it is read")["value"].is_null());
    assert_eq!(other.list("store/").await, Vec::<String>::new());
}

async fn a_key_with_dots_reaches_nothing(host: Host) {
    let plugin = host.launch().await;
    for key in ["../uuid-2/a", "a/../../b", ".."] {
        match plugin.update(&format!("store/{key}"), "1").await {
            Err(CallError::Plugin(error)) => assert!(!error.message.is_empty()),
            other => panic!("{key}: {other:?}"),
        }
    }
}

async fn what_another_generation_commits_is_forgotten_before_the_next_request(host: Host) {
    let plan = host.plan("uuid-1", &[]);
    let services = Arc::clone(&plan.services);
    let old = host.launch_plan(plan).await.expect("it starts");
    let mut plan = host.plan("uuid-1", &[]);
    plan.services = services;
    let new = host.launch_plan(plan).await.expect("it starts");
    for value in ["1", "2"] {
        new.update("store/k", value).await.expect("it is written");
        let before = old.read("cached/k").await.expect("it is read");
        assert_eq!(before["value"], value);
        // Nobody is told of what it wrote itself: it still remembers.
        old.update("store/k", "own").await.expect("it is written");
        let own = old.read("cached/k").await.expect("it is read");
        assert_eq!(own["value"], value);
    }
}

async fn existence_is_told_in_three_ways(host: Host) {
    let plugin = host.launch().await;
    plugin
        .update("store/there", "1")
        .await
        .expect("it is written");
    let cases = [
        ("store/there", Existence::Present),
        ("store/not", Existence::Absent),
        ("echo", Existence::Unchecked),
    ];
    for (path, expected) in cases {
        let request = Request::new(Operation::Create, path, Json::null());
        let found = plugin
            .instance
            .exists(Box::new(request), Deadline::after(SOON))
            .await;
        assert_eq!(found.expect("it answers"), expected, "{path}");
    }
}

async fn initialize_may_write_and_setup_may_not(host: Host) {
    let plugin = host.launch().await;
    plugin
        .instance
        .initialize(Deadline::after(SOON))
        .await
        .expect("it may write");
    assert_eq!(
        plugin.read("store/initialized").await.expect("it is read")["value"],
        "yes"
    );
    match host
        .launch_mount("uuid-3", &[("write_in_setup", "key")])
        .await
    {
        Err(LaunchError::Setup { error, .. }) => {
            assert_eq!(error.message, "cannot write to storage during setup");
        }
        other => panic!("{:?}", other.err()),
    }
}

async fn a_transaction_is_visible_as_a_whole_or_not_at_all(host: Host) {
    let plugin = host.launch().await;
    let rolled_back = plugin
        .read("transaction/rollback")
        .await
        .expect("it answers");
    assert_eq!(rolled_back["seen_outside"], false);
    assert_eq!(rolled_back["after"], serde_json::json!([]));
    let committed = plugin.read("transaction/commit").await.expect("it answers");
    assert_eq!(committed["seen_outside"], false);
    assert_eq!(committed["after"], serde_json::json!(["a", "b"]));
}

async fn a_transaction_that_lost_a_race_says_so(host: Host) {
    let plugin = host.launch().await;
    match plugin.read("transaction/race").await {
        Err(CallError::Plugin(error)) => {
            assert!(
                error.message.contains("transaction commit failed"),
                "{}",
                error.message
            );
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(plugin.list("store/t/").await, ["a"]);
}

async fn transactions_have_a_number_that_is_enough(host: Host) {
    let plugin = host.launch().await;
    let many = plugin.read("begin-many").await.expect("it answers");
    assert_eq!(many["open"], 16);
    let error = many["error"].as_str().expect("it is text");
    assert!(error.starts_with("storage quota exceeded: 16 "), "{error}");
}

async fn the_system_view_is_served(host: Host) {
    let plugin = host.launch().await;
    let system = plugin.read("system").await.expect("it answers");
    assert_eq!(system["default_lease_ttl"], 2_764_800);
    assert_eq!(system["tainted"], false);
    assert_eq!(system["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(system["entity"], false);
    assert!(system["password"]["Err"].is_string(), "{system}");
}

async fn what_is_printed_and_logged_keeps_nobody_waiting(host: Host) {
    let plugin = host.launch().await;
    let long = "x".repeat(100_000);
    for _ in 0..20 {
        plugin.read(&format!("print/{long}")).await.err();
        assert_eq!(
            plugin
                .handle(Operation::Read, &format!("print/{long}"), "null")
                .await
                .expect("it answers"),
            None
        );
    }
}

// ---- what it is given

async fn the_environment_is_the_entrys_and_the_protocols(host: Host) {
    let mut plan = host.plan("uuid-1", &[]);
    plan.process.env = vec![
        "OWN=value".to_owned(),
        "PLUGIN_CLIENT_CERT=other".to_owned(),
    ];
    let plugin = host.launch_plan(plan).await.expect("it starts");
    let has_its_own_files = host.holds(Layer::MountNamespace).await;
    let told = plugin.read("environment").await.expect("it answers");
    let lines = strings(&told["value"]);
    let names: Vec<_> = lines
        .iter()
        .filter_map(|line| line.split('=').next())
        // It is told where to write where it has no place of its own for that.
        .filter(|name| *name != "TMPDIR" || has_its_own_files)
        .collect();
    let expected = [
        "BAO_PLUGIN_AUTOMTLS_ENABLED",
        "BAO_PLUGIN_METADATA_MODE",
        "BAO_VERSION",
        "OWN",
        "PLUGIN_CLIENT_CERT",
        "PLUGIN_MAX_PORT",
        "PLUGIN_MIN_PORT",
        "PLUGIN_PROTOCOL_VERSIONS",
        "PLUGIN_UNIX_SOCKET_DIR",
        "VAULT_BACKEND_PLUGIN",
        "VAULT_PLUGIN_AUTOMTLS_ENABLED",
        "VAULT_PLUGIN_METADATA_MODE",
        "VAULT_VERSION",
    ];
    assert_eq!(sorted(names), expected);
    assert!(lines.contains(&"OWN=value".to_owned()));
    assert!(!lines.contains(&"PLUGIN_CLIENT_CERT=other".to_owned()));
}

async fn no_descriptor_of_the_server_is_open_in_the_plugin(host: Host) {
    let leak = rustix::fs::memfd_create("canary", rustix::fs::MemfdFlags::empty())
        .expect("it can be made");
    let plugin = host.launch().await;
    drop(leak);
    let told = plugin.read("descriptors").await.expect("it answers");
    for target in strings(&told["value"]) {
        let own = ["pipe:", "socket:", "anon_inode:", "/dev/null"];
        let listing = target.starts_with("/proc/");
        assert!(
            listing || own.iter().any(|start| target.starts_with(start)),
            "{target}"
        );
    }
}

async fn limits_and_folder_are_its_own(host: Host) {
    let plugin = host.launch().await;
    let told = plugin.read("process").await.expect("it answers");
    let directory = told["directory"].as_str().expect("it is text");
    assert!(directory.contains("/palisade-"), "{directory}");
    let mode = std::fs::metadata(directory)
        .expect("it is there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o700);
    assert_eq!(strings(&told["arguments"]), ["test-plugin-v1.2.3", "serve"]);
    let limits = told["limits"].as_str().expect("it is text");
    assert_eq!(largest_core(limits), Some("1"), "{limits}");
    // The control: it is not what the test was started with.
    let own = std::fs::read_to_string("/proc/self/limits").expect("it is there");
    assert_ne!(largest_core(&own), Some("1"), "{own}");
    let pid = plugin
        .instance
        .process_id()
        .expect("it is a process")
        .to_string();
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it lives");
    let session = stat.rsplit(')').next().unwrap_or_default();
    assert_eq!(session.split_whitespace().nth(3), Some(pid.as_str()));
}

/// The soft limit in a list of them.
fn largest_core(limits: &str) -> Option<&str> {
    let mut lines = limits.lines();
    let line = lines.find(|line| line.starts_with("Max core file size"))?;
    line.split_whitespace().nth(4)
}

// ---- limits

async fn a_request_that_takes_too_long_is_a_timeout_and_the_process_lives(host: Host) {
    let plugin = host.launch().await;
    let limit = Duration::from_millis(200);
    let request = Request::new(Operation::Read, "wait/60000", Json::null());
    let start = Instant::now();
    match plugin
        .instance
        .handle(Box::new(request), Deadline::after(limit))
        .await
    {
        Err(CallError::Timeout { limit: told, .. }) => assert_eq!(told, limit),
        other => panic!("{other:?}"),
    }
    assert!(start.elapsed() < SOON);
    let left = plugin.read("wait/0").await.expect("it lives")["left"]
        .as_u64()
        .expect("it knows");
    assert!(left > 1000 && left <= 20_000, "{left}");
}

async fn a_request_that_is_dropped_leaves_the_process_alive(host: Host) {
    let plugin = host.launch().await;
    let waiting = plugin.read("wait/60000");
    assert!(
        tokio::time::timeout(Duration::from_millis(100), waiting)
            .await
            .is_err()
    );
    plugin.read("echo").await.expect("it lives");
}

async fn a_response_over_its_limit_is_told_with_its_size(host: Host) {
    let mut plan = host.plan("uuid-1", &[]);
    Arc::make_mut(&mut plan.limits).message_bytes = 10_000;
    let plugin = host.launch_plan(plan).await.expect("it starts");
    let around = r#"{"x":""}"#.len() as u64;
    plugin
        .read(&format!("big/{}", 10_000 - around))
        .await
        .expect("it fits exactly");
    for excess in [1, 5_000_000] {
        match plugin
            .read(&format!("big/{}", 10_000 - around + excess))
            .await
        {
            Err(CallError::TooLarge {
                what: "response",
                bytes,
                limit: 10_000,
            }) => {
                assert!(
                    bytes >= 10_000 + excess && bytes < 10_200 + excess,
                    "{bytes}"
                );
            }
            other => panic!("{other:?}"),
        }
    }
    plugin.read("echo").await.expect("it lives");
}

async fn a_request_over_its_limit_never_leaves(host: Host) {
    let mut plan = host.plan("uuid-1", &[]);
    Arc::make_mut(&mut plan.limits).message_bytes = 10;
    let plugin = host.launch_plan(plan).await.expect("it starts");
    match plugin.update("store/a", r#""123456789""#).await {
        Err(CallError::TooLarge {
            what: "request body",
            bytes: 11,
            limit: 10,
        }) => {}
        other => panic!("{other:?}"),
    }
}

// ---- death

async fn a_killed_process_is_a_crash_that_may_have_had_an_effect(host: Host) {
    let plugin = host.launch().await;
    let pid = plugin.pid();
    let waiting = plugin.read("wait/60000");
    let killer = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        kill(pid);
    };
    match tokio::join!(waiting, killer).0 {
        Err(CallError::Crashed {
            reason, sent: true, ..
        }) => assert_eq!(reason, "killed by signal 9"),
        other => panic!("{other:?}"),
    }
    assert_eq!(plugin.instance.exited().await.reason, "killed by signal 9");
}

async fn a_dead_process_is_sent_nothing(host: Host) {
    let plugin = host.launch().await;
    kill(plugin.pid());
    plugin.instance.exited().await;
    match plugin.read("echo").await {
        Err(CallError::Crashed { sent: false, .. }) => {}
        other => panic!("{other:?}"),
    }
}

async fn an_abort_is_a_crash_with_its_signal(host: Host) {
    let plugin = host.launch().await;
    // The first process of a namespace cannot be ended by its own signal; C libraries then execute what is no instruction.
    let signal = match host.holds(Layer::ProcessNamespace).await {
        true => "killed by signal 11",
        false => "killed by signal 6",
    };
    match plugin.read("abort").await {
        Err(CallError::Crashed {
            reason, sent: true, ..
        }) => assert_eq!(reason, signal),
        other => panic!("{other:?}"),
    }
}

async fn calls_run_side_by_side(host: Host) {
    let plugin = host.launch().await;
    let start = Instant::now();
    let calls = (0..50).map(|_| plugin.read("wait/300"));
    for answer in futures_util::future::join_all(calls).await {
        answer.expect("it answers");
    }
    assert!(start.elapsed() < Duration::from_secs(10));
}

async fn stop_cleans_up_and_leaves_nothing(host: Host) {
    let plugin = host.launch().await;
    let pid = plugin.pid();
    let told = plugin.read("process").await.expect("it answers");
    let folder = told["directory"].as_str().expect("it is text").to_owned();
    plugin.instance.stop(SOON).await;
    assert_eq!(
        plugin.instance.exited().await.reason,
        "exited with status 0"
    );
    assert!(!process_exists(pid));
    drop(plugin);
    assert!(!std::path::Path::new(&folder).exists());
    let next = host.launch().await;
    assert_eq!(
        next.read("store/cleaned").await.expect("it is read")["value"],
        "yes"
    );
}

async fn stop_ends_one_that_hangs(host: Host) {
    let plugin = host.launch().await;
    let pid = plugin.pid();
    signal(pid, rustix::process::Signal::STOP);
    let start = Instant::now();
    plugin.instance.stop(Duration::from_millis(300)).await;
    assert!(
        start.elapsed() < Duration::from_secs(3),
        "{:?}",
        start.elapsed()
    );
    assert!(!process_exists(pid));
}

async fn dropping_the_handle_kills_the_process(host: Host) {
    let plugin = host.launch().await;
    let pid = plugin.pid();
    drop(plugin);
    await_end(pid).await;
}

async fn what_a_plugin_started_dies_with_it(host: Host) {
    let plugin = host.launch().await;
    plugin.read("child").await.expect("it answers");
    let pid = plugin.pid();
    let [child] = children_of(pid)[..] else {
        panic!("it has one child")
    };
    plugin.instance.stop(SOON).await;
    await_end(child).await;
}

// ---- launches that fail

async fn a_plugin_that_says_nothing_is_ended_at_the_deadline(host: Host) {
    match host.launch_part("hang").await {
        LaunchError::Timeout {
            step: "handshake",
            limit,
            ..
        } => assert_eq!(limit, HANDSHAKE),
        other => panic!("{other:?}"),
    }
}

async fn a_plugin_that_speaks_byte_by_byte_is_ended_at_the_deadline(host: Host) {
    match host.launch_part("drip").await {
        LaunchError::Timeout {
            step: "handshake", ..
        } => {}
        other => panic!("{other:?}"),
    }
}

async fn a_plugin_that_says_something_else_is_refused(host: Host) {
    let error = host.launch_part("garbage").await;
    assert_eq!(error.kind(), ErrorKind::LaunchFailed);
    let text = error.to_string();
    assert!(text.contains("hello, I am a plugin"), "{text}");
    assert!(!text.contains('\x1b'), "{text}");
}

async fn a_line_without_end_is_refused(host: Host) {
    let error = host.launch_part("endless").await;
    assert!(error.to_string().contains("65537 bytes"), "{error}");
}

async fn a_plugin_that_exits_is_reported_at_once_with_its_last_words(host: Host) {
    let start = Instant::now();
    let error = host.launch_part("exit").await;
    assert!(start.elapsed() < HANDSHAKE);
    let text = error.to_string();
    assert!(
        text.contains("it exited with status 3 before its handshake"),
        "{text}"
    );
    assert!(text.contains("bad luck"), "{text}");
}

async fn a_handshake_without_certificate_is_refused(host: Host) {
    let error = host.launch_part("no-certificate").await;
    assert!(error.to_string().contains("sent no certificate"), "{error}");
}

async fn a_socket_elsewhere_is_never_dialled(host: Host) {
    let decoy = Decoy::new();
    let places = [
        "decoy", "link", "file", "beneath", "dots", "missing", "relative", "abstract", "long",
    ];
    for place in places {
        let mut plan = host.plan("uuid-1", &[]);
        plan.process.args = ["elsewhere", place].map(str::to_owned).to_vec();
        plan.process.env = vec![decoy.variable()];
        let error = host.launch_plan(plan).await.err().expect("it is refused");
        let text = error.to_string();
        let expected = match place {
            "abstract" | "relative" => "the path is not absolute",
            "long" => "longer than the 107 bytes of a socket's",
            _ => "no socket in its own folder",
        };
        assert!(text.contains(expected), "{place}: {text}");
        assert!(!decoy.was_met(), "{place}: somebody connected");
    }
    // The control: who does connect is seen.
    let met = std::os::unix::net::UnixStream::connect(&decoy.path);
    assert!(met.is_ok() && decoy.was_met());
}

async fn a_handshake_of_a_child_counts_while_its_parent_lives(host: Host) {
    let error = host.launch_part("serve-orphaned").await.to_string();
    assert!(error.contains("exited with status 0"), "{error}");
    // The control: the same child serves for a parent that stays.
    let mut plan = host.plan("uuid-1", &[]);
    plan.process.args = vec!["serve-as-a-child".to_owned()];
    let plugin = host.launch_plan(plan).await.expect("it starts");
    plugin.read("echo").await.expect("it answers");
}

async fn a_socket_that_never_answers_is_a_timeout(host: Host) {
    match host.launch_part("silent").await {
        LaunchError::Timeout {
            step: "connection", ..
        } => {}
        other => panic!("{other:?}"),
    }
}

async fn a_socket_that_a_process_of_another_session_holds_is_not_used(host: Host) {
    let error = host.launch_part("held-elsewhere").await.to_string();
    assert!(error.contains("held by another process"), "{error}");
    // The control: a child in the plugin's own session is the plugin, and is waited for.
    match host.launch_part("held-by-a-child").await {
        LaunchError::Timeout {
            step: "connection", ..
        } => {}
        other => panic!("{other:?}"),
    }
}

async fn a_plugin_of_another_type_is_refused(host: Host) {
    match host.launch_part("serve-auth").await {
        LaunchError::Type {
            expected: PluginType::Secret,
            found: PluginType::Auth,
            ..
        } => {}
        other => panic!("{other:?}"),
    }
}

async fn a_setup_that_fails_keeps_its_text(host: Host) {
    match host
        .launch_mount("uuid-1", &[("fail_setup", "not like this")])
        .await
    {
        Err(LaunchError::Setup { error, .. }) => assert_eq!(error.message, "not like this"),
        other => panic!("{:?}", other.err()),
    }
}

async fn a_setup_that_hangs_is_a_timeout(host: Host) {
    match host.launch_mount("uuid-1", &[("hang_setup", "")]).await {
        Err(LaunchError::Timeout { step: "setup", .. }) => {}
        other => panic!("{:?}", other.err()),
    }
}

async fn a_launch_that_is_given_up_leaves_no_process(host: Host) {
    let mut plan = host.plan("uuid-1", &[]);
    plan.process.args = vec!["hang".to_owned(), "given-up".to_owned()];
    let launch = host.driver.launch(plan);
    assert!(
        tokio::time::timeout(Duration::from_millis(300), launch)
            .await
            .is_err()
    );
    host.await_end_of("given-up").await;
}

/// Plays a server: starts a plugin in the part that its variable names, tells its number, and waits to be killed.
fn be_a_server(workers: &Workers) -> ExitCode {
    let part = std::env::var(SERVER_VARIABLE).expect("it is set");
    block_on(async {
        let host = Host::new(workers.clone());
        if part == supervision::MANY {
            return supervision::launch_many(&host).await;
        }
        let mut plan = host.plan("uuid-1", &[]);
        plan.process.args = vec![part];
        let plugin = host.launch_plan(plan).await.expect("it starts");
        println!("{}", plugin.pid());
        std::future::pending::<()>().await;
    });
    ExitCode::SUCCESS
}

/// A server in a process of its own, killed when it is dropped.
struct Server(Child);

impl Server {
    /// One that starts a plugin in this part, and the plugin's number.
    fn start(part: &str) -> (Self, u32) {
        let mut server = Self(server(part).spawn().expect("the test can start itself"));
        let mut line = String::new();
        let stdout = server.0.stdout.take().expect("it was asked for");
        BufReader::new(stdout)
            .read_line(&mut line)
            .expect("it is text");
        (server, line.trim().parse().expect("it is a number"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.0.kill().expect("the server can be killed");
        self.0.wait().expect("the server can be reaped");
    }
}

fn server(part: &str) -> Command {
    let mut server = Command::new("/proc/self/exe");
    server.env(SERVER_VARIABLE, part).stdout(Stdio::piped());
    server
}

// ---- tools

/// What stands by is closed to its own user, so only who may look into any process sees whose it is.
fn may_look_into_processes() -> bool {
    let held = rustix::thread::capabilities(None);
    held.is_ok_and(|held| held.effective.contains(CapabilitySet::SYS_PTRACE))
}

const HANDSHAKE: Duration = Duration::from_secs(5);

/// A server's worth of things: a driver and a store.
struct Host {
    workers: Workers,
    driver: NativeDriver,
    store: Arc<dyn Store>,
}

/// A socket that nobody has any business with.
struct Decoy {
    path: std::path::PathBuf,
    listener: std::os::unix::net::UnixListener,
    _folder: tempfile::TempDir,
}

impl Decoy {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let path = folder.path().join("decoy");
        let listener = std::os::unix::net::UnixListener::bind(&path).expect("the folder is ours");
        listener.set_nonblocking(true).expect("it can be");
        Self {
            path,
            listener,
            _folder: folder,
        }
    }

    /// What tells the plugin of it.
    fn variable(&self) -> String {
        format!("DECOY={}", self.path.display())
    }

    fn was_met(&self) -> bool {
        self.listener.accept().is_ok()
    }
}

/// A running plugin.
struct Running {
    instance: Arc<dyn Instance>,
}

impl Host {
    fn new(workers: Workers) -> Self {
        let timeouts = Timeouts {
            handshake: HANDSHAKE,
            startup_call: Duration::from_secs(5),
            ..Timeouts::default()
        };
        let driver = NativeDriver::new(workers.clone(), timeouts, BTreeSet::new());
        Self {
            workers,
            driver,
            store: Arc::new(MemoryStore::new()),
        }
    }

    /// Whether this wall holds here.
    async fn holds(&self, layer: Layer) -> bool {
        let protections = self.workers.protections().await;
        let protections = protections.expect("there is a spawner");
        protections.holding().contains(&layer)
    }

    fn plan(&self, uuid: &str, options: &[(&str, &str)]) -> LaunchPlan {
        let limits = Limits::of(RuntimeKind::Native);
        let prefix = MountPrefix::new(PluginType::Secret, uuid).expect("it is well-formed");
        let label = "test-plugin v1.2.3";
        let config = ServicesConfig::new(Arc::clone(&self.store), prefix, label, &limits);
        let options = options
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        LaunchPlan {
            program: Program::Verified(this_executable()),
            label: label.to_owned(),
            plugin_type: PluginType::Secret,
            limits: Arc::new(limits),
            grants: Grants::default(),
            started_after: None,
            process: ProcessOptions {
                args: vec!["serve".to_owned()],
                ..ProcessOptions::default()
            },
            config: Arc::new(SetupConfig {
                options: options.collect::<BTreeMap<_, _>>(),
                backend_uuid: uuid.to_owned(),
            }),
            services: MountServices::new(config),
        }
    }

    async fn launch(&self) -> Running {
        self.launch_mount("uuid-1", &[]).await.expect("it starts")
    }

    async fn launch_mount(
        &self,
        uuid: &str,
        options: &[(&str, &str)],
    ) -> Result<Running, LaunchError> {
        self.launch_plan(self.plan(uuid, options)).await
    }

    async fn launch_plan(&self, plan: LaunchPlan) -> Result<Running, LaunchError> {
        Ok(Running {
            instance: self.driver.launch(plan).await?,
        })
    }

    async fn launch_part(&self, part: &str) -> LaunchError {
        self.launch_refused(&[part]).await
    }

    /// A launch that fails, and leaves no process.
    async fn launch_refused(&self, args: &[&str]) -> LaunchError {
        static LAUNCHES: AtomicUsize = AtomicUsize::new(0);
        let mut plan = self.plan("uuid-1", &[]);
        let word = format!("launch-{}.", LAUNCHES.fetch_add(1, Ordering::Relaxed));
        let words = args.iter().copied().chain([word.as_str()]);
        plan.process.args = words.map(str::to_owned).collect();
        let outcome = self.launch_plan(plan).await;
        let error = outcome.err().expect("it does not start");
        self.await_end_of(&word).await;
        error
    }

    /// Returns once there is no process with this word among its arguments.
    async fn await_end_of(&self, word: &str) {
        let spawner = self.workers.process_id().expect("there is a spawner");
        let start = Instant::now();
        while children_of(spawner)
            .into_iter()
            .any(|pid| arguments_of(pid).contains(word))
        {
            assert!(start.elapsed() < SOON, "{word} lives on");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Running {
    fn pid(&self) -> u32 {
        self.instance.process_id().expect("it is a process")
    }

    async fn handle(
        &self,
        operation: Operation,
        path: &str,
        data: &str,
    ) -> Result<Option<Response>, CallError> {
        let mut request = Request::new(operation, path, Json::from_text(data));
        request.mount_point = "test/".to_owned();
        let deadline = Deadline::after(SOON);
        let answer = self.instance.handle(Box::new(request), deadline).await?;
        Ok(answer.map(|answer| *answer))
    }

    async fn data(
        &self,
        operation: Operation,
        path: &str,
        data: &str,
    ) -> Result<serde_json::Value, CallError> {
        let response = self
            .handle(operation, path, data)
            .await?
            .unwrap_or_default();
        Ok(response
            .data
            .parse()
            .expect("the test's plugin answers JSON"))
    }

    async fn read(&self, path: &str) -> Result<serde_json::Value, CallError> {
        self.data(Operation::Read, path, "null").await
    }

    async fn update(&self, path: &str, data: &str) -> Result<serde_json::Value, CallError> {
        self.data(Operation::Update, path, data).await
    }

    async fn list(&self, path: &str) -> Vec<String> {
        let listed = self
            .data(Operation::List, path, "null")
            .await
            .expect("it lists");
        strings(&listed["value"])
    }
}

/// This executable, verified once.
fn this_executable() -> Verified {
    static VERIFIED: OnceLock<Verified> = OnceLock::new();
    VERIFIED
        .get_or_init(|| {
            std::thread::spawn(verify_this_executable)
                .join()
                .expect("it can be read")
        })
        .clone()
}

fn verify_this_executable() -> Verified {
    let path = std::env::current_exe().expect("it has a name");
    let bytes = std::fs::read(&path).expect("it can be read");
    let digest = hex::encode(Sha256::digest(&bytes))
        .parse()
        .expect("it is a digest");
    let folder = path
        .parent()
        .expect("it is in a folder")
        .canonicalize()
        .expect("it is there");
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .expect("it is text");
    let directory = PluginDirectory::open(&folder).expect("it is a directory");
    block_on(directory.verify(name, digest)).expect("it is what it is")
}

fn strings(list: &serde_json::Value) -> Vec<String> {
    let list = list.as_array().expect("it is a list");
    list.iter()
        .filter_map(|one| one.as_str().map(str::to_owned))
        .collect()
}

fn sorted(mut list: Vec<&str>) -> Vec<&str> {
    list.sort_unstable();
    list
}

fn kill(pid: u32) {
    signal(pid, rustix::process::Signal::KILL);
}

fn signal(pid: u32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(pid.cast_signed()).expect("it is a process");
    rustix::process::kill_process(pid, signal).expect("it can be signalled");
}

fn has_something(folder: &std::path::Path) -> bool {
    let mut entries = std::fs::read_dir(folder).expect("it is there");
    entries.next().is_some()
}

fn process_exists(pid: u32) -> bool {
    std::path::Path::new(&format!("/proc/{pid}")).exists()
}

async fn await_end(pid: u32) {
    let start = Instant::now();
    while process_exists(pid) {
        assert!(start.elapsed() < SOON, "process {pid} lives on");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Whichever of its threads started them.
fn children_of(pid: u32) -> Vec<u32> {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task"));
    let threads = threads.into_iter().flatten().flatten();
    let lists =
        threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
    let lists: Vec<_> = lists.collect();
    let words = lists.iter().flat_map(|list| list.split_whitespace());
    words.filter_map(|word| word.parse().ok()).collect()
}

fn arguments_of(pid: u32) -> String {
    let read = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&read).replace('\0', " ")
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime can be made")
        .block_on(future)
}
