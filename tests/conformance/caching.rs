//! Memory is a cache: it may vanish between requests, and never shows what another instance has overwritten.

use palisade_tests::{Guest, Harness, Mode};
use serde_json::{Value, json};

use crate::case::cases;

cases! {
    memory_lives_as_long_as_the_mode_says,
    a_key_committed_by_one_store_is_forgotten_by_the_others,
    a_crash_loses_memory_and_keeps_storage,
}

async fn memory_lives_as_long_as_the_mode_says(h: Harness) {
    h.mount(Guest::Hostile).await;
    let mut counts = Vec::new();
    for _ in 0..3 {
        counts.push(count(&h).await);
    }
    match h.mode {
        // A fresh store for each request counts from the start each time.
        Mode::WasmCall => assert_eq!(counts, [1, 1, 1]),
        _ => assert_eq!(counts, [1, 2, 3]),
    }
}

async fn a_key_committed_by_one_store_is_forgotten_by_the_others(h: Harness) {
    h.mount(Guest::Hostile).await;
    for round in 0..10 {
        let value = format!("value {round}");
        h.write("hostile/cache/a", json!({ "value": value }))
            .await
            .unwrap();
        // Several at once, so that several live stores take part where there can be more than one.
        let reads: Vec<_> = std::iter::repeat_with(|| read_cached(&h)).take(6).collect();
        for read in reads {
            assert_eq!(read.await.unwrap()["value"], value.as_str());
        }
    }
    // The control: what was read is indeed remembered, so that a missing invalidation would show.
    let remembered = h.read("hostile/cache/a").await.unwrap()["cached"].clone();
    assert_eq!(remembered, json!(h.mode != Mode::WasmCall));
}

fn read_cached(h: &Harness) -> tokio::task::JoinHandle<Value> {
    let h = h.clone();
    tokio::spawn(async move { h.read("hostile/cache/a").await.unwrap() })
}

async fn a_crash_loses_memory_and_keeps_storage(h: Harness) {
    h.mount(Guest::Hostile).await;
    h.write("hostile/store/a", json!({ "value": "kept" }))
        .await
        .unwrap();
    count(&h).await;
    h.read("hostile/crash").await.unwrap_err();
    assert_eq!(count(&h).await, 1);
    assert_eq!(h.read("hostile/store/a").await.unwrap()["value"], "kept");
}

async fn count(h: &Harness) -> u64 {
    let answer = h.read("hostile/count").await.unwrap();
    answer["count"].as_u64().unwrap()
}
