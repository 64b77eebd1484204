//! A restart of the server: what was acknowledged is there again, and nothing runs before it is asked for.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use palisade_runtime::store::RedbStore;
use palisade_tests::{Guest, Harness, Setup};
use serde_json::json;

use crate::case::cases;

cases! {
    a_restart_keeps_mounts_and_data_in_a_file,
    nothing_runs_after_a_restart_until_it_is_asked_for,
    an_entry_whose_file_is_gone_does_not_hold_up_the_others,
}

async fn a_restart_keeps_mounts_and_data_in_a_file(h: Harness) {
    let folder = tempfile::tempdir().unwrap();
    let before = with_file(&h, folder.path(), None).await;
    let mount = before
        .mount_at("some/where", Guest::Kv, &[("a", "b")])
        .await;
    let body = json!({ "data": { "k": "v" } });
    before.write("some/where/data/x", body).await.unwrap();
    let plugins = before.shut_down_and_keep_plugins().await;

    let after = with_file(&h, folder.path(), Some(plugins)).await;
    let known = after.info("some/where");
    assert_eq!((known.uuid, known.accessor), (mount.uuid, mount.accessor));
    assert_eq!(known.options, mount.options);
    let answer = after.read("some/where/data/x").await.unwrap();
    assert_eq!(answer["data"]["k"], "v");
    after.shutdown().await;
}

async fn nothing_runs_after_a_restart_until_it_is_asked_for(h: Harness) {
    let folder = tempfile::tempdir().unwrap();
    let before = with_file(&h, folder.path(), None).await;
    before.mount(Guest::Hostile).await;
    assert!(before.info("hostile").running);
    let plugins = before.shut_down_and_keep_plugins().await;

    let after = with_file(&h, folder.path(), Some(plugins)).await;
    let idle = after.info("hostile");
    assert!(!idle.running && idle.process_id.is_none());
    // Both generations were initialized, each once.
    assert_eq!(after.read("hostile/initialized").await.unwrap()["times"], 2);
    assert!(after.info("hostile").running);
    after.shutdown().await;
}

async fn an_entry_whose_file_is_gone_does_not_hold_up_the_others(h: Harness) {
    let folder = tempfile::tempdir().unwrap();
    let before = with_file(&h, folder.path(), None).await;
    before.mount(Guest::Hostile).await;
    before.mount(Guest::Kv).await;
    let plugins = before.shut_down_and_keep_plugins().await;
    std::fs::remove_file(plugins.path().join("hostile")).unwrap();

    let after = with_file(&h, folder.path(), Some(plugins)).await;
    let error = after.read("hostile/echo").await.unwrap_err();
    assert_eq!(error.kind(), palisade_runtime::ErrorKind::ArtifactMissing);
    assert!(after.read("kv/config").await.is_ok());
    // It heals once the file is back.
    after.place_guest(Guest::Hostile);
    after.reload("hostile").await.unwrap();
    assert!(after.read("hostile/echo").await.is_ok());
    after.shutdown().await;
}

async fn with_file(h: &Harness, folder: &Path, plugins: Option<Arc<tempfile::TempDir>>) -> Harness {
    let mut setup = Setup::new(h.mode);
    setup.store = Arc::new(open_when_free(&folder.join("store.redb")).await);
    setup.plugins = plugins.unwrap_or(setup.plugins);
    Harness::start(setup).await
}

/// A server that ends lets go of its file at once; within one process the last tasks need a moment to do so.
async fn open_when_free(file: &Path) -> RedbStore {
    let begun = Instant::now();
    loop {
        match RedbStore::open(file) {
            Ok(store) => return store,
            Err(error) => assert!(begun.elapsed() < LET_GO, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

const LET_GO: Duration = Duration::from_secs(20);
