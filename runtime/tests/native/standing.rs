//! A process that stands by for the next start: who takes it, who does not, and how many there are.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use palisade_runtime::driver::{Driver, LaunchPlan, Needs};

use super::{Host, Running, SOON, await_end, kill, process_exists};

/// How often it is looked whether somebody stands by.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// When somebody would stand by for the next start.
const LATER_THAN_SETTLED: Duration = Duration::from_millis(300);

/// How many a driver keeps.
const KEPT: usize = 8;

trials!["standing::";
    a_restart_takes_what_stood_by,
    what_died_while_it_stood_by_is_not_missed,
    what_lost_its_folder_while_it_stood_by_is_not_taken,
    a_plugin_of_other_limits_leaves_it_alone,
    one_is_made_for_a_plugin_that_is_expected,
    eight_stand_by_at_most_and_the_oldest_goes,
    what_stands_by_ends_with_its_driver,
    what_stands_by_ends_when_nothing_more_is_launched,
];

async fn a_restart_takes_what_stood_by(host: Host) {
    let first = host.launch().await;
    let standby = another(&folder(&first)).await;
    let second = restarted(&host, &first).await;
    assert_eq!(second.pid(), standby);
    second.read("echo").await.expect("it answers");
    // And somebody else stands by for the third.
    assert_ne!(another(&folder(&second)).await, standby);
}

async fn what_died_while_it_stood_by_is_not_missed(host: Host) {
    let first = host.launch().await;
    let standby = another(&folder(&first)).await;
    kill(standby);
    await_end(standby).await;
    let second = restarted(&host, &first).await;
    assert_ne!(second.pid(), standby);
    second.read("echo").await.expect("it answers");
}

async fn what_lost_its_folder_while_it_stood_by_is_not_taken(host: Host) {
    let first = host.launch().await;
    let standby = another(&folder(&first)).await;
    let lost = fs::read_link(format!("/proc/{standby}/cwd")).expect("it lives");
    fs::remove_dir(&lost).expect("it is empty");
    let second = restarted(&host, &first).await;
    assert_ne!(second.pid(), standby);
    await_end(standby).await;
}

async fn a_plugin_of_other_limits_leaves_it_alone(host: Host) {
    let first = host.launch().await;
    let standby = another(&folder(&first)).await;
    let other = host.launch_plan(with_processes(&host, 99)).await;
    assert_ne!(other.expect("it starts").pid(), standby);
    assert!(process_exists(standby));
}

async fn one_is_made_for_a_plugin_that_is_expected(host: Host) {
    let first = host.launch().await;
    let folder = folder(&first);
    let known = another(&folder).await;
    let plan = with_processes(&host, 99);
    expect(&host, &plan);
    let made = anyone(&folder, |process| process != known).await;
    // Whoever expects the same once more gets no second one.
    expect(&host, &plan);
    expect(&host, &with_processes(&host, 98));
    anyone(&folder, |process| ![known, made].contains(&process)).await;
    assert_eq!(standing_by(&folder).len(), 3);
    let plugin = host.launch_plan(plan).await.expect("it starts");
    assert_eq!(plugin.pid(), made);
    assert!(process_exists(known));
}

async fn eight_stand_by_at_most_and_the_oldest_goes(host: Host) {
    let first = host.launch().await;
    let folder = folder(&first);
    let oldest = another(&folder).await;
    let mut known = vec![oldest];
    for processes in 1..KEPT {
        expect(&host, &with_processes(&host, 90 + processes));
        known.push(anyone(&folder, |process| !known.contains(&process)).await);
    }
    assert_eq!(standing_by(&folder).len(), KEPT);
    expect(&host, &with_processes(&host, 80));
    anyone(&folder, |process| !known.contains(&process)).await;
    await_end(oldest).await;
    assert_eq!(standing_by(&folder).len(), KEPT);
}

async fn what_stands_by_ends_with_its_driver(host: Host) {
    let first = host.launch().await;
    let standby = another(&folder(&first)).await;
    drop((first, host));
    await_end(standby).await;
}

async fn what_stands_by_ends_when_nothing_more_is_launched(host: Host) {
    let first = host.launch().await;
    let folder = folder(&first);
    let standby = another(&folder).await;
    host.driver.close();
    await_end(standby).await;
    // Who is late is served, and leaves nobody behind.
    let late = host.launch_plan(with_processes(&host, 99)).await;
    late.expect("it starts")
        .read("echo")
        .await
        .expect("it answers");
    host.driver.close();
    expect(&host, &host.plan("uuid-1", &[]));
    tokio::time::sleep(LATER_THAN_SETTLED).await;
    assert!(standing_by(&folder).is_empty());
}

async fn restarted(host: &Host, plugin: &Running) -> Running {
    kill(plugin.pid());
    plugin.instance.exited().await;
    host.launch().await
}

fn expect(host: &Host, plan: &LaunchPlan) {
    host.driver.expect(Needs {
        limits: &plan.limits,
        grants: &plan.grants,
        process: &plan.process,
    });
}

/// A plan with walls that no other test has.
fn with_processes(host: &Host, processes: usize) -> LaunchPlan {
    let mut plan = host.plan("uuid-9", &[]);
    let limits = Arc::make_mut(&mut plan.limits);
    limits.processes = processes.try_into().expect("it is a small number");
    plan
}

/// Where a driver makes the folders of its processes, by which they are known from those of other tests.
fn folder(plugin: &Running) -> PathBuf {
    let own = fs::read_link(format!("/proc/{}/cwd", plugin.pid())).expect("it lives");
    own.parent().expect("it lies in another").to_owned()
}

/// Waits until somebody stands by.
async fn another(folder: &Path) -> u32 {
    anyone(folder, |_| true).await
}

async fn anyone(folder: &Path, is_it: impl Fn(u32) -> bool) -> u32 {
    let begun = Instant::now();
    loop {
        if let Some(process) = standing_by(folder).into_iter().find(|it| is_it(*it)) {
            return process;
        }
        assert!(begun.elapsed() < SOON, "nobody stands by");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// The processes that stand by in a folder of this one's.
fn standing_by(folder: &Path) -> Vec<u32> {
    let processes = fs::read_dir("/proc").expect("there are processes");
    let processes = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    processes
        .filter(|process| stands_by(*process, folder))
        .collect()
}

fn stands_by(process: u32, folder: &Path) -> bool {
    let name = fs::read_to_string(format!("/proc/{process}/comm"));
    let own = fs::read_link(format!("/proc/{process}/cwd"));
    name.is_ok_and(|name| name == "palisade-ready\n")
        && own.is_ok_and(|own| own.parent() == Some(folder))
}
