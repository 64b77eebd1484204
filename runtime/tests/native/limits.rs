//! What a plugin may take of the machine, each beside a control that takes more without the limit.

use std::sync::Arc;
use std::time::Duration;

use palisade_runtime::{CallError, ErrorKind, Layer};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::{Host, Running, attack};

trials!["limits::";
    descriptors_over_the_limit_are_refused_to_it_alone,
    a_file_over_the_limit_is_refused_like_a_full_disk,
    memory_of_its_descendants_counts,
    busy_processors_are_shared_by_weight,
];

async fn descriptors_over_the_limit_are_refused_to_it_alone(host: Host) {
    let plugin = host.launch().await;
    for path in ["descriptors-at-most/4000", "sockets-at-most/4000"] {
        let told = plugin.read(path).await.expect("it answers");
        let opened = told["value"].as_u64().expect("it is a number");
        assert!((900..1024).contains(&opened), "{path}: {opened}");
    }
    plugin.read("echo").await.expect("it gave them back");
    let maximum = getrlimit(Resource::Nofile).maximum;
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    setrlimit(Resource::Nofile, raised).expect("everybody may");
    assert_eq!(attack::descriptors(2000), 2000);
    assert_eq!(attack::sockets(2000), 2000);
}

async fn a_file_over_the_limit_is_refused_like_a_full_disk(host: Host) {
    let plugin = host.launch().await;
    let told = plugin.read("write-beside-sockets").await;
    assert_eq!(told.expect("it lives")["value"], 16 << 20);
    let folder = tempfile::tempdir().expect("a folder can be made");
    let without = attack::largest_file(&folder.path().join("large"));
    assert_eq!(without, 32 << 20);
}

async fn memory_of_its_descendants_counts(host: Host) {
    if !host.holds(Layer::MemoryLimit).await {
        return;
    }
    let launch = async || -> Running {
        let mut plan = host.plan("uuid-1", &[]);
        Arc::make_mut(&mut plan.limits).memory_bytes = 160 << 20;
        host.launch_plan(plan).await.expect("it starts")
    };
    match launch().await.read("hog-with-children/16").await {
        // The kernel chooses whom it ends: some of them, or their parent.
        Ok(told) => assert!(told["value"].as_u64() < Some(10), "{told}"),
        Err(error @ CallError::Crashed { .. }) => assert_eq!(error.kind(), ErrorKind::OutOfMemory),
        Err(other) => panic!("{other}"),
    }
    // The control: what it may have is given to them.
    let told = launch().await.read("hog-with-children/3").await;
    assert_eq!(told.expect("it is little")["value"], 3);
}

/// Both keep every processor busy at the same time; whoever else does so here takes from both.
async fn busy_processors_are_shared_by_weight(host: Host) {
    if !host.holds(Layer::CpuWeight).await {
        return;
    }
    let launch = async |weight| {
        let mut plan = host.plan("uuid-1", &[]);
        plan.process.dedicated = true;
        Arc::make_mut(&mut plan.limits).cpu_weight = weight;
        host.launch_plan(plan).await.expect("it starts")
    };
    let (light, heavy) = (launch(10).await, launch(100).await);
    let begun = [processor_time(&light), processor_time(&heavy)];
    let (one, other) = tokio::join!(light.read("spin/1500"), heavy.read("spin/1500"));
    one.and(other).expect("they answer");
    let light = processor_time(&light) - begun[0];
    let heavy = processor_time(&heavy) - begun[1];
    assert!(heavy > 3 * light, "{heavy:?} and {light:?}");
}

/// What a process has used.
fn processor_time(plugin: &Running) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", plugin.pid()));
    let stat = stat.expect("it lives");
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks = fields.split_whitespace().skip(11).take(2);
    let ticks = ticks.map(|field| field.parse::<u64>().expect("it is a number"));
    Duration::from_millis(10 * ticks.sum::<u64>())
}
