//! What becomes of a process that dies, of what it was about to write, and of one whose server dies.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use palisade_runtime::CallError;

use super::{Host, SOON, Server, await_end, children_of, has_something, kill, server, sorted};

/// The machine may be busy: so many tries are made, of which all but one have to be in time.
const TRIES: usize = 5;

/// How soon a death is to be noticed.
const NOTICED: Duration = Duration::from_millis(100);

/// How soon nothing of a dead server is to be left.
const GONE: Duration = Duration::from_secs(2);

/// The part of a server that starts many plugins and ends them all.
pub(crate) const MANY: &str = "many";

/// How many launches at once.
const LAUNCHES: usize = 100;

/// Kills of a server, and the variable for more of them.
const KILLS: u32 = 8;
const KILLS_VARIABLE: &str = "PALISADE_KILLS";

trials!["supervision::";
    a_death_is_noticed_within_a_tenth_of_a_second,
    a_death_at_any_byte_of_an_answer_is_a_crash_and_the_next_start_serves,
    a_death_within_a_transaction_leaves_nothing_of_it,
    the_death_of_the_server_ends_the_plugin_within_two_seconds,
    a_plugin_that_would_outlive_the_server_does_not,
    a_plugin_that_would_outlive_the_spawner_does_not,
    a_server_that_is_killed_at_any_moment_leaves_nothing,
    a_hundred_launches_at_once_leave_no_descriptor,
];

async fn a_death_is_noticed_within_a_tenth_of_a_second(host: Host) {
    let mut times = Vec::new();
    for _ in 0..TRIES {
        let plugin = host.launch().await;
        let process = plugin.pid();
        let waiting = plugin.read("wait/60000");
        let death = async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            kill(process);
            Instant::now()
        };
        let (failed, begun) = tokio::join!(waiting, death);
        assert!(matches!(failed, Err(CallError::Crashed { .. })));
        assert_eq!(plugin.instance.exited().await.reason, "killed by signal 9");
        times.push(begun.elapsed());
    }
    all_but_one_within(NOTICED, &mut times);
}

fn all_but_one_within(limit: Duration, times: &mut [Duration]) {
    times.sort_unstable();
    assert!(times[times.len() - 2] < limit, "{times:?}");
}

async fn a_death_at_any_byte_of_an_answer_is_a_crash_and_the_next_start_serves(host: Host) {
    /// So many bytes are passed over from one death to the next.
    const STEP: usize = 7;
    let mut deaths = 0;
    for bytes in (0..).step_by(STEP) {
        let mut plan = host.plan("uuid-1", &[]);
        plan.process.args = ["fake".to_owned(), format!("cut:{bytes}")].to_vec();
        let plugin = host.launch_plan(plan).await.expect("it starts");
        match plugin.read("x").await {
            Err(CallError::Crashed { sent: true, .. }) => deaths += 1,
            // The whole answer has come, which ends this.
            Ok(_) => break,
            other => panic!("after {bytes} bytes: {other:?}"),
        }
    }
    assert!(deaths > 5, "{deaths}");
}

async fn a_death_within_a_transaction_leaves_nothing_of_it(host: Host) {
    let plugin = host.launch().await;
    let died = plugin.read("transaction/die").await;
    assert!(matches!(died, Err(CallError::Crashed { sent: true, .. })));
    let next = host.launch().await;
    assert_eq!(next.list("store/t/").await, Vec::<String>::new());
    // The control: the same writes, committed.
    next.read("transaction/commit").await.expect("it answers");
    assert_eq!(next.list("store/t/").await, ["a", "b"]);
}

async fn the_death_of_the_server_ends_the_plugin_within_two_seconds(_: Host) {
    let mut times = Vec::new();
    for _ in 0..TRIES {
        let (server, plugin) = Server::start("serve");
        let begun = Instant::now();
        drop(server);
        await_end(plugin).await;
        times.push(begun.elapsed());
    }
    all_but_one_within(GONE, &mut times);
}

/// It has refused the signal that comes at its parent's death: the spawner ends it, which waits for the server's.
async fn a_plugin_that_would_outlive_the_server_does_not(_: Host) {
    let (server, plugin) = Server::start("serve-on");
    drop(server);
    await_end(plugin).await;
}

/// The same, and it is the spawner that dies: the server ends what it can no longer oversee.
async fn a_plugin_that_would_outlive_the_spawner_does_not(_: Host) {
    let (server, plugin) = Server::start("serve-on");
    let [spawner] = children_of(server.0.id())[..] else {
        panic!("a server has one child")
    };
    // Later on nothing is started, which would make another spawner, which clears up after the first.
    let begun = Instant::now();
    while children_of(spawner).len() < 2 {
        assert!(begun.elapsed() < SOON, "nothing stands by");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    kill(spawner);
    let begun = Instant::now();
    while is_running(plugin) {
        assert!(begun.elapsed() < GONE / 4, "it lives on");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    drop(server);
}

/// Whose parent is dead may be reaped by nobody for a while.
fn is_running(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit(')').next().unwrap_or_default().trim_start();
    !state.is_empty() && !state.starts_with('Z')
}

async fn a_server_that_is_killed_at_any_moment_leaves_nothing(_: Host) {
    let kills = std::env::var(KILLS_VARIABLE).ok();
    let kills = kills.map_or(KILLS, |kills| kills.parse().expect("it is a number"));
    let mut had_something = 0;
    for kill in 0..kills {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let server = server("serve").env("TMPDIR", folder.path()).spawn();
        let server = Server(server.expect("the test can start itself"));
        // A start takes some tenths of a second, most of it for the plugin's digest.
        tokio::time::sleep(Duration::from_millis(u64::from(kill * 83 % 500))).await;
        let plugins = started_by(server.0.id());
        // The first is the spawner.
        had_something += usize::from(plugins.len() > 1);
        drop(server);
        let begun = Instant::now();
        while plugins.iter().any(|pid| is_running(*pid)) || has_something(folder.path()) {
            assert!(begun.elapsed() < GONE, "something is left");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    assert!(had_something > 0, "every kill came too early");
}

/// The spawner and what it has started.
fn started_by(server: u32) -> BTreeSet<u32> {
    let spawners = children_of(server);
    let plugins = spawners.iter().copied().flat_map(children_of);
    plugins.chain(spawners.iter().copied()).collect()
}

async fn a_hundred_launches_at_once_leave_no_descriptor(_: Host) {
    let output = server(MANY).output().expect("the test can start itself");
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && told == "the same\n", "{told}");
}

/// In a process of its own, so that all descriptors are its.
pub(crate) async fn launch_many(host: &Host) {
    drop(host.launch().await);
    let before = settled_descriptors(None).await;
    let launches = (0..LAUNCHES).map(|number| {
        let mut plan = host.plan("uuid-1", &[]);
        plan.process.dedicated = true;
        plan.process.args = match number % 4 {
            0 => vec!["garbage".to_owned()],
            1 => vec!["exit".to_owned()],
            _ => vec!["serve".to_owned()],
        };
        host.launch_plan(plan)
    });
    let launched = futures_util::future::join_all(launches).await;
    let (running, failed): (Vec<_>, Vec<_>) = launched.into_iter().partition(Result::is_ok);
    assert_eq!((running.len(), failed.len()), (LAUNCHES / 2, LAUNCHES / 2));
    let stops = running.iter().flatten();
    futures_util::future::join_all(stops.map(|plugin| plugin.instance.stop(SOON))).await;
    drop((running, failed));
    let after = settled_descriptors(Some(&before)).await;
    match after == before {
        true => println!("the same"),
        false => println!("before {before:?}, after {after:?}"),
    }
}

/// What this process has open, once that is as expected or for a while is something else.
async fn settled_descriptors(expected: Option<&Vec<String>>) -> Vec<String> {
    let begun = Instant::now();
    loop {
        let open = open_kinds();
        if expected == Some(&open) || begun.elapsed() > Duration::from_secs(2) {
            return open;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// What kinds of descriptors are open, one for each.
fn open_kinds() -> Vec<String> {
    let entries = std::fs::read_dir("/proc/self/fd").expect("it is there");
    let links = entries.flatten().filter_map(|entry| {
        let target = std::fs::read_link(entry.path()).ok()?;
        Some(target.to_string_lossy().into_owned())
    });
    let links: Vec<_> = links.collect();
    let kind = |link: &String| link.split([':', '[']).next().unwrap_or_default().to_owned();
    let kinds: Vec<_> = links.iter().map(kind).collect();
    sorted(kinds.iter().map(String::as_str).collect())
        .into_iter()
        .map(str::to_owned)
        .collect()
}
