//! Reloading: the next generation takes over without a gap, from the bytes that were registered and no others.

use palisade_runtime::ErrorKind;
use palisade_tests::{Guest, Harness, Mode};
use serde_json::json;

use crate::case::cases;

cases! {
    a_reload_keeps_the_data_and_loses_the_memory,
    a_reload_under_load_fails_no_request,
    bytes_registered_anew_run_from_the_next_reload_on,
    a_file_that_changed_is_refused_at_the_next_start,
    a_reload_that_fails_leaves_the_old_generation_serving,
    a_reload_of_a_plugin_reloads_each_of_its_mounts,
}

async fn a_reload_keeps_the_data_and_loses_the_memory(h: Harness) {
    h.mount(Guest::Hostile).await;
    h.write("hostile/store/a", json!({ "value": "kept" }))
        .await
        .unwrap();
    h.read("hostile/count").await.unwrap();
    h.reload("hostile").await.unwrap();
    assert_eq!(h.read("hostile/count").await.unwrap()["count"], 1);
    assert_eq!(h.read("hostile/store/a").await.unwrap()["value"], "kept");
}

async fn a_reload_under_load_fails_no_request(h: Harness) {
    h.mount(Guest::Hostile).await;
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let load = |n: u32| {
        let (h, stopped) = (h.clone(), stopped.clone());
        let (progress, served) = tokio::sync::watch::channel(0);
        let client = tokio::spawn(async move {
            let mut served = 0_u32;
            while !*stopped.borrow() {
                let path = format!("hostile/store/{n}");
                h.write(&path, json!({ "value": served.to_string() }))
                    .await
                    .unwrap();
                let value = h.read(&path).await.unwrap()["value"].clone();
                assert_eq!(value, served.to_string());
                served += 1;
                progress.send_replace(served);
                tokio::task::yield_now().await;
            }
        });
        (client, served)
    };
    let mut loads: Vec<_> = (0..4).map(load).collect();
    for _ in 0..3 {
        for (_, served) in &mut loads {
            served.changed().await.expect("the client goes on");
        }
        h.reload("hostile").await.unwrap();
    }
    stop.send(true).unwrap();
    for (client, _) in loads {
        client.await.unwrap();
    }
}

async fn bytes_registered_anew_run_from_the_next_reload_on(h: Harness) {
    let before = h.mount(Guest::Hostile).await.running_sha256.unwrap();
    let digest = h.place("hostile", &other_build(&h));
    h.runtime
        .register(h.manifest(Guest::Hostile, digest.clone()))
        .await
        .unwrap();
    assert_eq!(h.info("hostile").running_sha256, Some(before));
    assert!(h.read("hostile/echo").await.is_ok());
    h.reload("hostile").await.unwrap();
    let after = h.info("hostile").running_sha256.unwrap();
    assert_eq!(after.to_string(), digest);
    assert!(h.read("hostile/echo").await.is_ok());
}

async fn a_file_that_changed_is_refused_at_the_next_start(h: Harness) {
    h.mount(Guest::Hostile).await;
    h.place("hostile", &other_build(&h));
    let error = h.reload("hostile").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DigestMismatch);
    let error = h.enable("second", Guest::Hostile, &[]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DigestMismatch);
    // The control: the registered bytes start.
    h.place_guest(Guest::Hostile);
    h.enable("second", Guest::Hostile, &[]).await.unwrap();
}

async fn a_reload_that_fails_leaves_the_old_generation_serving(h: Harness) {
    h.mount(Guest::Hostile).await;
    h.read("hostile/count").await.unwrap();
    h.place("hostile", &other_build(&h));
    h.reload("hostile").await.unwrap_err();
    let count = h.read("hostile/count").await.unwrap()["count"].clone();
    // Memory shows that it is still the same one, where there is memory.
    assert_eq!(count, if h.mode == Mode::WasmCall { 1 } else { 2 });
}

async fn a_reload_of_a_plugin_reloads_each_of_its_mounts(h: Harness) {
    h.mount_at("one", Guest::Hostile, &[]).await;
    h.mount_at("two", Guest::Hostile, &[]).await;
    h.mount(Guest::Kv).await;
    let name = "hostile".parse().unwrap();
    let mut reloaded = h.runtime.reload_plugin(&name).await.unwrap();
    reloaded.sort();
    let reloaded: Vec<_> = reloaded.iter().map(|path| path.as_str()).collect();
    assert_eq!(reloaded, ["one/", "two/"]);
    assert_eq!(h.read("one/initialized").await.unwrap()["times"], 2);
}

/// The same guest in other bytes: an executable with something behind its end, a component with a section of nothing.
fn other_build(h: &Harness) -> Vec<u8> {
    let artifact = Guest::Hostile.artifact(h.mode).unwrap();
    let mut bytes = std::fs::read(artifact).unwrap();
    let section = [0, 2, 1, b'x'];
    bytes.extend(if h.mode.is_wasm() {
        &section[..]
    } else {
        &[0][..]
    });
    bytes
}
