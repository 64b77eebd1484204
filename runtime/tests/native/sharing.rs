//! One process for all mounts of an entry: who joins it, who does not, and when it ends.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::{join_all, try_join_all};
use palisade_runtime::contract::Operation;
use palisade_runtime::driver::{Driver, LaunchPlan};
use palisade_runtime::{CallError, Grants, LaunchError};
use rustix::process::Signal;

use super::{Host, Running, SOON, await_end, children_of, kill, process_exists, signal};

trials!["sharing::";
    mounts_share_a_process_and_nothing_else,
    the_last_mount_to_leave_ends_the_process,
    a_mount_that_is_dropped_leaves_the_others_alone,
    a_mount_that_left_writes_nothing_more,
    a_mount_that_nobody_stopped_is_forgotten_by_the_process,
    a_dedicated_entry_has_a_process_for_each_mount,
    what_is_started_differently_is_another_process,
    a_plugin_that_does_not_multiplex_has_a_process_for_each_mount,
    fifty_mounts_at_once_start_one_process,
    mounts_whose_process_died_come_back_in_one,
    one_that_hangs_in_its_setup_keeps_no_other_mount_waiting,
    a_process_that_got_no_newcomer_set_up_is_left_to_those_inside,
    one_that_hangs_in_its_cleanup_keeps_the_last_mount_served,
    a_stop_ends_the_process_while_another_mount_is_being_forgotten,
    a_start_goes_on_as_long_as_one_mount_waits,
    a_start_that_fails_is_told_to_all_who_waited,
    an_entry_that_hangs_at_its_start_delays_no_other,
    a_mount_that_wants_a_newer_process_leaves_the_old_one_to_the_others,
];

async fn mounts_share_a_process_and_nothing_else(host: Host) {
    let (one, other) = (mount(&host, "uuid-1").await, mount(&host, "uuid-2").await);
    assert_eq!(one.pid(), other.pid());
    for (plugin, uuid) in [(&one, "uuid-1"), (&other, "uuid-2")] {
        assert_eq!(plugin.read("echo").await.expect("it answers")["uuid"], uuid);
        plugin.update("store/k", uuid).await.expect("it is written");
    }
    for (plugin, uuid) in [(&one, "uuid-1"), (&other, "uuid-2")] {
        let stored = plugin.read("cached/k").await.expect("it is read");
        assert_eq!(stored["value"], uuid);
    }
}

async fn the_last_mount_to_leave_ends_the_process(host: Host) {
    let (one, other) = (mount(&host, "uuid-1").await, mount(&host, "uuid-2").await);
    let process = one.pid();
    one.instance.stop(SOON).await;
    other.read("echo").await.expect("it serves the other still");
    // Its own clean-up ran, and nobody answers for it any more.
    assert!(one.read("echo").await.is_err());
    let late = mount(&host, "uuid-3").await;
    assert_eq!(late.pid(), process);
    late.instance.stop(SOON).await;
    other.instance.stop(SOON).await;
    assert!(!process_exists(process));
    let next = mount(&host, "uuid-1").await;
    assert_ne!(next.pid(), process);
    let cleaned = next.read("store/cleaned").await.expect("it is read");
    assert_eq!(cleaned["value"], "yes");
}

async fn a_mount_that_is_dropped_leaves_the_others_alone(host: Host) {
    let (one, other) = (mount(&host, "uuid-1").await, mount(&host, "uuid-2").await);
    let process = one.pid();
    drop(one);
    other.read("echo").await.expect("it serves the other still");
    drop(other);
    await_end(process).await;
}

async fn a_mount_that_left_writes_nothing_more(host: Host) {
    let (one, other) = (mount(&host, "uuid-1").await, mount(&host, "uuid-2").await);
    // Both write half a second from now, and one of them is stopped before.
    let stopped = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        one.instance.stop(Duration::from_millis(200)).await;
    };
    let (late, fine, ()) = tokio::join!(
        one.handle(Operation::Read, "late-store/500", "null"),
        other.handle(Operation::Read, "late-store/500", "null"),
        stopped
    );
    late.expect_err("what the host offered it has ended");
    fine.expect("the other one serves");
    let again = mount(&host, "uuid-1").await;
    // What its clean-up wrote is the last of it.
    assert_eq!(again.list("store/").await, ["cleaned"]);
    assert_eq!(other.list("store/").await, ["late"]);
}

async fn a_mount_that_nobody_stopped_is_forgotten_by_the_process(host: Host) {
    let (one, other) = (mount(&host, "uuid-1").await, mount(&host, "uuid-2").await);
    let known = async || other.read("backends").await.expect("it answers")["value"].clone();
    assert_eq!(known().await, 2);
    drop(one);
    let begun = Instant::now();
    while known().await != 1 {
        assert!(begun.elapsed() < SOON, "it is known for ever");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn a_dedicated_entry_has_a_process_for_each_mount(host: Host) {
    let mut running = Vec::new();
    for uuid in ["uuid-1", "uuid-2"] {
        let mut plan = host.plan(uuid, &[]);
        plan.process.dedicated = true;
        running.push(host.launch_plan(plan).await.expect("it starts"));
    }
    assert_ne!(running[0].pid(), running[1].pid());
}

async fn what_is_started_differently_is_another_process(host: Host) {
    let changes: [fn(&mut LaunchPlan); 6] = [
        |_| {},
        |plan| plan.label = "test-plugin v2.0.0".to_owned(),
        |plan| Arc::make_mut(&mut plan.limits).memory_bytes /= 2,
        |plan| plan.grants = Grants::stated(&["network".to_owned()]).expect("there is one"),
        |plan| plan.process.args.push("more".to_owned()),
        |plan| plan.process.env.push("A=1".to_owned()),
    ];
    let launches = changes.iter().map(|change| {
        let mut plan = host.plan("uuid-1", &[]);
        change(&mut plan);
        host.launch_plan(plan)
    });
    let running = try_join_all(launches).await.expect("each starts");
    let processes: BTreeSet<_> = running.iter().map(Running::pid).collect();
    assert_eq!(processes.len(), changes.len());
}

async fn a_plugin_that_does_not_multiplex_has_a_process_for_each_mount(host: Host) {
    let launches = (0..4).map(|_| {
        let mut plan = host.plan("uuid-1", &[]);
        plan.process.args = vec!["fake".to_owned(), "bare".to_owned()];
        host.launch_plan(plan)
    });
    let running = try_join_all(launches).await.expect("each starts");
    let processes: BTreeSet<_> = running.iter().map(Running::pid).collect();
    assert_eq!(processes.len(), 4);
    let mut plan = host.plan("uuid-1", &[]);
    plan.process.args = vec!["fake".to_owned(), "bare".to_owned()];
    let late = host.launch_plan(plan).await.expect("it starts");
    assert!(!processes.contains(&late.pid()));
}

async fn fifty_mounts_at_once_start_one_process(host: Host) {
    let uuids: Vec<_> = (0..50).map(|number| format!("uuid-{number}")).collect();
    let running = join_all(uuids.iter().map(|uuid| mount(&host, uuid))).await;
    let processes: BTreeSet<_> = running.iter().map(Running::pid).collect();
    assert_eq!(processes.len(), 1);
    for (plugin, uuid) in running.iter().zip(&uuids) {
        let said = plugin.read("echo").await.expect("it answers");
        assert_eq!(said["uuid"], uuid.as_str());
    }
}

async fn mounts_whose_process_died_come_back_in_one(host: Host) {
    let (one, other) = (mount(&host, "uuid-1").await, mount(&host, "uuid-2").await);
    let process = one.pid();
    kill(process);
    for plugin in [&one, &other] {
        assert_eq!(plugin.instance.exited().await.reason, "killed by signal 9");
        let answer = plugin.read("echo").await;
        assert!(matches!(
            answer,
            Err(CallError::Crashed { sent: false, .. })
        ));
    }
    // Those of before are still held, as by requests that are being told.
    let (one, other) = tokio::join!(mount(&host, "uuid-1"), mount(&host, "uuid-2"));
    assert_eq!(one.pid(), other.pid());
    assert_ne!(one.pid(), process);
}

async fn one_that_hangs_in_its_setup_keeps_no_other_mount_waiting(host: Host) {
    let first = mount(&host, "uuid-1").await;
    let hanging = host.launch_mount("uuid-2", &[("hang_setup", "")]);
    let other = async {
        let quick = within(Duration::from_secs(2), mount(&host, "uuid-3")).await;
        quick.read("echo").await.expect("it answers");
    };
    let (hung, ()) = tokio::join!(hanging, other);
    assert!(matches!(
        hung.err(),
        Some(LaunchError::Timeout { step: "setup", .. })
    ));
    first.read("echo").await.expect("it serves the first still");
}

async fn a_process_that_got_no_newcomer_set_up_is_left_to_those_inside(host: Host) {
    let first = mount(&host, "uuid-1").await;
    let frozen = Frozen::new(first.pid());
    let late = host.launch_mount("uuid-2", &[]).await;
    assert!(matches!(late.err(), Some(LaunchError::Timeout { .. })));
    let second = within(Duration::from_secs(2), mount(&host, "uuid-2")).await;
    assert_ne!(second.pid(), first.pid());
    drop(frozen);
    first.read("echo").await.expect("it serves the first still");
}

async fn one_that_hangs_in_its_cleanup_keeps_the_last_mount_served(host: Host) {
    let options = [("spin_in_cleanup", "1500")];
    let spinning = host.launch_mount("uuid-1", &options).await;
    let spinning = spinning.expect("it starts");
    let last = mount(&host, "uuid-2").await;
    let quick = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let answer = within(Duration::from_millis(700), last.read("echo")).await;
        answer.expect("it answers");
    };
    tokio::join!(spinning.instance.stop(SOON), quick);
}

async fn a_stop_ends_the_process_while_another_mount_is_being_forgotten(host: Host) {
    let options = [("spin_in_cleanup", "1500")];
    let spinning = host.launch_mount("uuid-1", &options).await;
    let spinning = spinning.expect("it starts");
    let last = mount(&host, "uuid-2").await;
    let process = last.pid();
    drop(spinning);
    last.instance.stop(SOON).await;
    assert!(!process_exists(process));
}

async fn a_start_goes_on_as_long_as_one_mount_waits(host: Host) {
    let late = |uuid: &str| {
        let mut plan = host.plan(uuid, &[]);
        plan.process.args = vec!["serve-late".to_owned()];
        host.driver.launch(plan)
    };
    let impatient = tokio::time::timeout(Duration::from_millis(100), late("uuid-1"));
    let (given_up, started) = tokio::join!(impatient, late("uuid-2"));
    assert!(given_up.is_err());
    let started = Running {
        instance: started.expect("it starts"),
    };
    started.read("echo").await.expect("it answers");
    let spawner = host.workers.process_id().expect("there is a spawner");
    let arguments = |pid: &u32| super::arguments_of(*pid).contains("serve-late");
    let processes = children_of(spawner).into_iter().filter(arguments);
    assert_eq!(processes.collect::<Vec<_>>(), [started.pid()]);
}

async fn a_start_that_fails_is_told_to_all_who_waited(host: Host) {
    let launches = (0..5).map(|_| host.launch_part("exit"));
    for error in join_all(launches).await {
        let text = error.to_string();
        assert!(text.contains("it exited with status 3"), "{text}");
    }
}

async fn an_entry_that_hangs_at_its_start_delays_no_other(host: Host) {
    let hanging = host.launch_part("hang");
    let quick = within(Duration::from_secs(3), mount(&host, "uuid-1"));
    let (hung, quick) = tokio::join!(hanging, quick);
    assert!(matches!(hung, LaunchError::Timeout { .. }));
    quick.read("echo").await.expect("it answers");
}

async fn a_mount_that_wants_a_newer_process_leaves_the_old_one_to_the_others(host: Host) {
    let (one, other) = (mount(&host, "uuid-1").await, mount(&host, "uuid-2").await);
    let newer = |uuid: &str, moment| {
        let mut plan = host.plan(uuid, &[]);
        plan.started_after = Some(moment);
        plan
    };
    let moment = Instant::now();
    let moved = host.launch_plan(newer("uuid-1", moment)).await;
    let moved = moved.expect("it starts");
    one.instance.stop(SOON).await;
    assert_ne!(moved.pid(), other.pid());
    other.read("echo").await.expect("the old one serves");
    // The next ones go where the newest is, and so do all of one reload.
    let joined = mount(&host, "uuid-3").await;
    let last = host.launch_plan(newer("uuid-2", moment)).await;
    let last = last.expect("it starts");
    assert_eq!((joined.pid(), last.pid()), (moved.pid(), moved.pid()));
    let old = other.pid();
    other.instance.stop(SOON).await;
    assert!(!process_exists(old));
}

async fn mount(host: &Host, uuid: &str) -> Running {
    host.launch_mount(uuid, &[]).await.expect("it starts")
}

async fn within<T>(limit: Duration, work: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(limit, work).await;
    done.expect("nothing keeps it waiting")
}

/// A process that does nothing until this is dropped.
struct Frozen(u32);

impl Frozen {
    fn new(process: u32) -> Self {
        signal(process, Signal::STOP);
        Self(process)
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        signal(self.0, Signal::CONT);
    }
}
