//! The walls around a plugin's process, from both sides: what the plugin cannot do behind them, and what the server finds
//! of it.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::os::fd::AsRawFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::sync::Arc;

use palisade_runtime::driver::Driver;
use palisade_runtime::driver::native::NativeDriver;
use palisade_runtime::{CallError, ErrorKind, Grants, LaunchError, Layer, Timeouts};

use super::attack::{self, DEEDS, Victim};
use super::{Host, strings};

/// Everything that a plugin attacks, held open.
struct Prey {
    victim: Victim,
    _listeners: (TcpListener, UnixListener, UnixListener),
    _folder: tempfile::TempDir,
}

impl Prey {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("secret"), "canary").expect("the folder is ours");
        std::fs::set_permissions(
            folder.path(),
            std::os::unix::fs::PermissionsExt::from_mode(0o777),
        )
        .expect("the folder is ours");
        let abstract_name = format!("palisade-test-{}", at("").display());
        let address = SocketAddr::from_abstract_name(&abstract_name).expect("it is short");
        let listeners = (
            TcpListener::bind("127.0.0.1:0").expect("a port is free"),
            UnixListener::bind_addr(&address).expect("the name is free"),
            UnixListener::bind(at("socket")).expect("the folder is ours"),
        );
        std::fs::set_permissions(
            at("socket"),
            std::os::unix::fs::PermissionsExt::from_mode(0o777),
        )
        .expect("the socket is ours");
        Self {
            victim: Victim {
                process: std::process::id().cast_signed(),
                descriptor: listeners.0.as_raw_fd(),
                file: at("secret"),
                folder: folder.path().to_path_buf(),
                address: listeners.0.local_addr().expect("it is bound"),
                abstract_name,
                socket: at("socket"),
            },
            _listeners: listeners,
            _folder: folder,
        }
    }
}

async fn attacks(host: &Host, grants: &[&str]) -> Vec<String> {
    let prey = Prey::new();
    let words: Vec<_> = grants.iter().map(|word| (*word).to_owned()).collect();
    let mut plan = host.plan("uuid-1", &[]);
    plan.grants = Grants::stated(&words).expect("they are grants");
    let plugin = host.launch_plan(plan).await.expect("it starts");
    let victim = serde_json::to_string(&prey.victim).expect("it has only string keys");
    let told = plugin.update("attack", &victim).await.expect("it answers");
    strings(&told["value"])
}

pub(crate) async fn a_plugin_reaches_nothing_that_it_was_not_given(host: Host) {
    assert_eq!(attacks(&host, &[]).await, Vec::<String>::new());
    // The control: without walls all of it can be done, by the very same code.
    let prey = Prey::new();
    assert_eq!(attack::successes(&prey.victim).len(), DEEDS);
}

pub(crate) async fn a_network_is_there_for_who_was_granted_it(host: Host) {
    let done = attacks(&host, &["network"]).await;
    let mut expected = vec!["connect by TCP", "send by UDP"];
    // They belong to the network too, and older kernels have no other wall around them.
    if !host.holds(Layer::LandlockSignals).await {
        expected.push("connect to an abstract socket");
    }
    assert_eq!(done, expected);
}

pub(crate) async fn a_plugin_has_no_privilege_on_any_thread(host: Host) {
    let plugin = host.launch().await;
    let told = plugin.read("privileges").await.expect("it answers");
    let nothing = "0000000000000000";
    let expected = [
        format!("CapAmb: {nothing}"),
        format!("CapBnd: {nothing}"),
        format!("CapEff: {nothing}"),
        format!("CapPrm: {nothing}"),
        "Groups:".to_owned(),
        "NoNewPrivs: 1".to_owned(),
        "Seccomp: 2".to_owned(),
    ];
    assert_eq!(strings(&told["value"]), expected);
}

pub(crate) async fn a_plugin_that_wakes_interrupts_nobody(host: Host) {
    let plugin = host.launch().await;
    // The control: whoever makes nothing of it, as this test, is of the ordinary policy, 0, and so is all it starts.
    assert_eq!(scheduling_policies(std::process::id()), BTreeSet::from([0]));
    let of_batches = BTreeSet::from([libc::SCHED_BATCH]);
    assert_eq!(scheduling_policies(plugin.pid()), of_batches);
}

/// Of all threads of a process.
fn scheduling_policies(process: u32) -> BTreeSet<i32> {
    let threads = std::fs::read_dir(format!("/proc/{process}/task")).expect("it lives");
    let stats =
        threads.filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("stat")).ok());
    // The policy is the 41st field; the second is a name in parentheses.
    let policy = |stat: String| {
        stat.rsplit(')')
            .next()?
            .split_whitespace()
            .nth(41 - 3)?
            .parse()
            .ok()
    };
    stats.filter_map(policy).collect()
}

pub(crate) async fn each_process_is_a_user_of_its_own(host: Host) {
    let apart = || {
        let mut plan = host.plan("uuid-1", &[]);
        plan.process.dedicated = true;
        host.launch_plan(plan)
    };
    let (one, other) = tokio::join!(apart(), apart());
    let [one, other] = [one, other].map(|plugin| plugin.expect("it starts"));
    let users = [&one, &other].map(|plugin| {
        let pid = plugin.pid();
        let process = std::fs::metadata(format!("/proc/{pid}")).expect("it lives");
        (process.uid(), process.gid())
    });
    assert!(
        users[0] != users[1] && users.iter().all(|user| user.0 > 0 && user.0 == user.1),
        "{users:?}"
    );
    let told = one.read("process").await.expect("it answers");
    let folder =
        std::fs::metadata(told["directory"].as_str().expect("it is text")).expect("it is there");
    assert_eq!(
        (folder.uid(), folder.gid(), folder.mode() & 0o777),
        (users[0].0, users[0].1, 0o700)
    );
}

pub(crate) async fn memory_over_the_limit_ends_the_process_and_says_so(host: Host) {
    let limit = 64 << 20;
    let launch = async || {
        let mut plan = host.plan("uuid-1", &[]);
        Arc::make_mut(&mut plan.limits).memory_bytes = limit;
        host.launch_plan(plan).await.expect("it starts")
    };
    let error = launch()
        .await
        .read("hog/256")
        .await
        .expect_err("it is more than it may have");
    assert_eq!(error.kind(), ErrorKind::OutOfMemory, "{error}");
    let text = error.to_string();
    assert!(
        text.contains(&limit.to_string()) && text.contains("memory_bytes"),
        "{text}"
    );
    assert!(matches!(error, CallError::Crashed { sent: true, .. }));
    // The control: what it may have is given.
    launch().await.read("hog/8").await.expect("it is little");
}

pub(crate) async fn threads_over_the_limit_are_refused_to_it_alone(host: Host) {
    let mut plan = host.plan("uuid-1", &[]);
    Arc::make_mut(&mut plan.limits).processes = 64;
    let plugin = host.launch_plan(plan).await.expect("it starts");
    let told = plugin.read("multiply/200").await.expect("it answers");
    let started = told["value"].as_u64().expect("it is a number");
    assert!((1..64).contains(&started), "{started}");
    assert_eq!(attack::multiply(200), 200);
}

pub(crate) async fn what_it_writes_to_the_temporary_folder_is_its_own(host: Host) {
    let plugin = host.launch().await;
    let name = format!("/tmp/palisade-test-{}", std::process::id());
    let told = plugin
        .update("write", &serde_json::json!(name).to_string())
        .await;
    assert_eq!(told.expect("it answers")["value"], true);
    assert!(!std::path::Path::new(&name).exists());
    let filled = plugin.read("fill").await.expect("it answers");
    // There are 16 MiB, a part of which it has used.
    assert_eq!(filled["value"], 15);
}

pub(crate) async fn a_plugin_that_executes_itself_finds_itself_if_that_is_granted(host: Host) {
    let mut plan = host.plan("uuid-1", &[]);
    let told = host
        .launch_plan(plan.clone())
        .await
        .expect("it starts")
        .read("execute-itself")
        .await;
    assert_eq!(told.expect("it answers")["value"], serde_json::Value::Null);
    plan.process.re_executes = true;
    let plugin = host.launch_plan(plan).await.expect("it starts");
    let changed = plugin.read("change-itself").await.expect("it answers");
    assert_eq!(changed["value"], serde_json::json!([]));
    let told = plugin.read("execute-itself").await;
    assert_eq!(told.expect("it answers")["value"], "the same executable");
}

pub(crate) async fn a_protection_that_is_required_and_lacking_is_a_refusal(host: Host) {
    let lacking = |layers: BTreeSet<Layer>| {
        let workers = host.workers.clone();
        let driver = NativeDriver::new(workers, Timeouts::default(), layers);
        let plan = host.plan("uuid-1", &[]);
        async move { driver.launch(plan).await.map(drop) }
    };
    let protections = host
        .workers
        .protections()
        .await
        .expect("there is a spawner");
    // What holds can be required.
    lacking(protections.holding().clone())
        .await
        .expect("it starts");
    for (layer, fault) in protections.lacking() {
        match lacking([*layer].into()).await {
            Err(LaunchError::Unprotected {
                layer: said,
                fault: why,
                ..
            }) => {
                assert_eq!((said, &why), (*layer, fault));
            }
            other => panic!("{layer}: {other:?}"),
        }
    }
}
