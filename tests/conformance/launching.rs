//! Starting: what goes wrong is told, leaves nothing behind, delays nobody else; and what a plugin is given.

use std::time::{Duration, Instant};

use palisade_runtime::{ErrorKind, Timeouts};
use palisade_tests::{Guest, Harness, Mode, Setup};
use serde_json::{Value, json};

use crate::case::cases;

cases! {
    a_setup_that_refuses_fails_the_enable_with_its_text,
    a_setup_that_dies_fails_the_enable,
    a_setup_that_hangs_is_given_up,
    a_start_that_hangs_delays_only_its_own_callers,
    storage_cannot_be_written_during_setup,
    an_initialize_that_fails_fails_the_enable,
    initialize_runs_once_for_each_generation,
    mount_options_reach_setup,
    the_environment_holds_nothing_of_the_host,
    no_descriptor_of_the_host_is_inherited,
    the_system_view_answers,
    randomness_differs_from_instance_to_instance,
    the_clock_is_the_hosts,
}

async fn a_setup_that_refuses_fails_the_enable_with_its_text(h: Harness) {
    let error = refused(&h, &[("fail_setup", "no, thank you")]).await;
    assert_eq!(error.0, ErrorKind::SetupFailed);
    assert!(error.1.contains("no, thank you"), "{}", error.1);
}

async fn a_setup_that_dies_fails_the_enable(h: Harness) {
    let error = refused(&h, &[("crash_setup", "true")]).await;
    let kinds = match h.mode.is_wasm() {
        true => [ErrorKind::Trap, ErrorKind::Trap],
        false => [ErrorKind::Crashed, ErrorKind::LaunchFailed],
    };
    assert!(kinds.contains(&error.0), "{error:?}");
}

async fn a_setup_that_hangs_is_given_up(h: Harness) {
    let h = impatient(&h).await;
    let begun = Instant::now();
    let error = refused(&h, &[("spin_setup", "true")]).await;
    // A component's fuel may be gone before the time is.
    let kinds = [
        ErrorKind::LaunchTimeout,
        ErrorKind::Timeout,
        ErrorKind::OutOfFuel,
    ];
    assert!(kinds.contains(&error.0), "{error:?}");
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "{:?}",
        begun.elapsed()
    );
    h.shutdown().await;
}

async fn a_start_that_hangs_delays_only_its_own_callers(h: Harness) {
    let h = impatient(&h).await;
    h.mount_at("other", Guest::Hostile, &[]).await;
    let mut hanging = {
        let h = h.clone();
        tokio::spawn(async move {
            let options = [("spin_setup", "true")];
            h.enable("hangs", Guest::Hostile, &options).await
        })
    };
    // Neither a request elsewhere nor another start waits for it.
    let others = async {
        h.read("other/echo").await.unwrap();
        h.enable("third", Guest::Hostile, &[]).await.unwrap();
        h.read("third/echo").await.unwrap();
    };
    tokio::select! {
        () = others => {}
        _ = &mut hanging => panic!("the start should still be hanging"),
    }
    hanging.await.unwrap().unwrap_err();
    h.shutdown().await;
}

async fn storage_cannot_be_written_during_setup(h: Harness) {
    let error = refused(&h, &[("write_in_setup", "a")]).await;
    assert_eq!(error.0, ErrorKind::SetupFailed);
    assert!(
        error.1.contains("cannot write to storage during setup"),
        "{}",
        error.1
    );
}

async fn an_initialize_that_fails_fails_the_enable(h: Harness) {
    let error = refused(&h, &[("fail_initialize", "not today")]).await;
    assert!(error.1.contains("not today"), "{}", error.1);
}

async fn initialize_runs_once_for_each_generation(h: Harness) {
    h.mount(Guest::Hostile).await;
    for _ in 0..3 {
        assert_eq!(initialized(&h).await, 1);
    }
    h.reload("hostile").await.unwrap();
    for _ in 0..3 {
        assert_eq!(initialized(&h).await, 2);
    }
}

async fn initialized(h: &Harness) -> Value {
    h.read("hostile/initialized").await.unwrap()["times"].clone()
}

async fn mount_options_reach_setup(h: Harness) {
    let mount = h
        .mount_at("hostile", Guest::Hostile, &[("colour", "blue")])
        .await;
    assert_eq!(mount.options["colour"], "blue");
    let error = refused_at(&h, "second", &[("fail_setup", "blue")]).await;
    assert!(error.1.contains("blue"));
}

async fn the_environment_holds_nothing_of_the_host(h: Harness) {
    // The control: the host has an environment that could leak.
    assert!(std::env::var_os("PATH").is_some());
    h.mount(Guest::Hostile).await;
    let seen = h.read("hostile/environment").await.unwrap();
    let names: Vec<_> = seen["vars"].as_object().unwrap().keys().cloned().collect();
    for name in [
        "PATH",
        "HOME",
        "USER",
        "CARGO_MANIFEST_DIR",
        "LD_LIBRARY_PATH",
    ] {
        assert!(!names.iter().any(|seen| seen == name), "{names:?}");
    }
    match h.mode.is_wasm() {
        true => assert!(names.is_empty(), "{names:?}"),
        // What the protocol sets, less what the plugin half removes before the plugin runs.
        false => assert!(names.len() < 12, "{names:?}"),
    }
}

async fn no_descriptor_of_the_host_is_inherited(h: Harness) {
    // The control: the host has a file open that could leak.
    let folder = tempfile::tempdir().unwrap();
    let marker = folder.path().join("left-open-by-the-host");
    let open = std::fs::File::create(&marker).unwrap();
    rustix::io::fcntl_setfd(&open, rustix::io::FdFlags::empty()).unwrap();
    h.mount(Guest::Hostile).await;
    let seen = h.read("hostile/descriptors").await.unwrap();
    let seen = seen["descriptors"].as_object().unwrap();
    assert!(
        !seen
            .values()
            .any(|target| target.to_string().contains("left-open")),
        "{seen:?}"
    );
    let files = seen
        .values()
        .filter_map(Value::as_str)
        .filter(|target| target.starts_with('/'));
    let files: Vec<_> = files.filter(|target| !known_to_a_process(target)).collect();
    assert!(files.is_empty(), "{files:?}");
}

/// What a process opens by itself: nothing to read from, and its own executable in memory.
fn known_to_a_process(target: &str) -> bool {
    ["/dev/null", "/memfd:", "/proc/"]
        .iter()
        .any(|known| target.starts_with(known))
}

async fn the_system_view_answers(h: Harness) {
    h.mount(Guest::Hostile).await;
    let facts = h.read("hostile/system").await.unwrap();
    assert_eq!(facts["default_lease_ttl"], 2_764_800);
    assert_eq!(facts["max_lease_ttl"], 2_764_800);
    for (fact, value) in [("tainted", json!(false)), ("local_mount", json!(false))] {
        assert_eq!(facts[fact], value, "{fact}");
    }
    assert!(
        facts["version"]
            .as_str()
            .is_some_and(|version| !version.is_empty())
    );
    assert!(facts["cluster_id"].is_string());
}

async fn randomness_differs_from_instance_to_instance(h: Harness) {
    h.mount(Guest::Hostile).await;
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..3 {
        let hex = h.read("hostile/random").await.unwrap()["hex"].clone();
        assert_eq!(hex.as_str().unwrap().len(), 64);
        assert!(seen.insert(hex.to_string()), "{seen:?}");
        h.reload("hostile").await.unwrap();
    }
}

async fn the_clock_is_the_hosts(h: Harness) {
    h.mount(Guest::Hostile).await;
    let seen = h.read("hostile/now").await.unwrap()["seconds"]
        .as_i64()
        .unwrap();
    let epoch = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
    let distance = (epoch.as_secs() as i64 - seen).abs();
    assert!(distance < 30, "{distance} seconds apart");
}

/// Enables with options that make it fail; nothing is left behind.
async fn refused(h: &Harness, options: &[(&str, &str)]) -> (ErrorKind, String) {
    h.register(Guest::Hostile).await.unwrap();
    refused_at(h, "hostile", options).await
}

async fn refused_at(h: &Harness, path: &str, options: &[(&str, &str)]) -> (ErrorKind, String) {
    let before = h.runtime.mounts().len();
    let error = h.enable(path, Guest::Hostile, options).await.unwrap_err();
    assert_eq!(h.runtime.mounts().len(), before, "a failed mount was kept");
    // The control: the path is free, and without those options it starts.
    h.enable(path, Guest::Hostile, &[]).await.unwrap();
    assert!(h.read(&format!("{path}/echo")).await.is_ok());
    (error.kind(), error.to_string())
}

/// A runtime that gives up on a start after a second.
async fn impatient(h: &Harness) -> Harness {
    let mut setup = Setup::new(h.mode);
    setup.timeouts = Timeouts {
        startup_call: Duration::from_secs(match h.mode {
            Mode::Native => 2,
            _ => 3,
        }),
        ..Timeouts::default()
    };
    let h = Harness::start(setup).await;
    h.register(Guest::Hostile).await.unwrap();
    h
}
