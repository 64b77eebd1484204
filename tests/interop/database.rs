//! Database plugins on both SDKs, each with one database per process and with many.

use std::sync::Arc;
use std::time::{Duration, Instant};

use palisade_runtime::contract::{Json, PluginErrorKind, PluginType};
use palisade_runtime::driver::{Database, DatabaseConfig, DatabasePlugin};
use palisade_runtime::services::Deadline;
use palisade_runtime::{CallError, ErrorKind, NewMount};
use palisade_tests::{Harness, reaped};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::peers::{DATABASES, MULTIPLEXED_DATABASES, Peer, SINGLE_DATABASES, cases, register};

/// How long anything may take that has no reason to take long.
const PATIENCE: Duration = Duration::from_secs(30);

cases! {
    CASES for DATABASES;
    a_database_is_started_pinged_and_closed,
    the_configuration_to_keep_comes_back_as_it_went,
    a_refusal_crosses_in_the_plugins_own_words,
    an_unreachable_database_is_found_out_only_where_that_is_asked_for,
    a_type_that_takes_too_long_is_told_by_its_call_and_the_process_lives,
    a_killed_process_is_a_crash,
    a_closed_database_answers_no_more,
    a_shutdown_ends_the_process,
    a_dropped_handle_ends_the_process,
    it_cannot_be_enabled_at_a_path,
}

cases! {
    SINGLE for SINGLE_DATABASES;
    a_second_database_is_refused_where_a_process_holds_one,
}

cases! {
    MULTIPLEXED for MULTIPLEXED_DATABASES;
    two_databases_share_a_process_and_are_kept_apart,
    a_refused_database_leaves_the_others_alone,
}

async fn a_database_is_started_pinged_and_closed(h: Harness, peer: Peer) {
    check_life(&launch(&h, peer).await, peer).await;
}

/// From its first ping to its orderly end.
pub(crate) async fn check_life(plugin: &Arc<dyn DatabasePlugin>, peer: Peer) {
    plugin.ping(soon()).await.unwrap();
    let database = start(plugin, json!({ "url": "x" })).await.unwrap();
    assert_eq!(database.kind(), peer.name());
    assert_eq!(database.ask_kind(soon()).await.unwrap(), peer.name());
    plugin.ping(soon()).await.unwrap();
    database.close().await.unwrap();
    let process = process(plugin);
    plugin.stop(Duration::from_secs(2)).await;
    assert_eq!(plugin.exited().await.reason, "exited with status 0");
    reaped(process).await;
}

async fn the_configuration_to_keep_comes_back_as_it_went(h: Harness, peer: Peer) {
    let plugin = launch(&h, peer).await;
    let config = json!({
        "url": "postgres://{{username}}:{{password}}@db",
        "max_open_connections": 4,
        "ratio": 0.25,
        "tls": { "skip": false, "ca": null },
        "hosts": ["a", "b"],
    });
    let database = start(&plugin, config.clone()).await.unwrap();
    assert_eq!(database.config().parse::<Value>().unwrap(), config);
}

async fn a_refusal_crosses_in_the_plugins_own_words(h: Harness, peer: Peer) {
    let plugin = launch(&h, peer).await;
    let text = "no such user: \"ünïcode\" 100%\tand a tab";
    let error = refused(&plugin, json!({ "refuse": text })).await;
    assert!(error.ends_with(text), "{error}");
}

async fn an_unreachable_database_is_found_out_only_where_that_is_asked_for(h: Harness, peer: Peer) {
    let config = json!({ "unreachable": true });
    let plugin = launch(&h, peer).await;
    let error = refused(&plugin, config.clone()).await;
    assert!(error.ends_with("the database is unreachable"), "{error}");
    let plugin = again(&h, peer).await;
    start_with(&plugin, config, false).await.unwrap();
}

async fn a_type_that_takes_too_long_is_told_by_its_call_and_the_process_lives(
    h: Harness,
    peer: Peer,
) {
    let plugin = launch(&h, peer).await;
    let database = start(&plugin, json!({ "type_delay": "1500ms" }))
        .await
        .unwrap();
    let since = Instant::now();
    let error = database.ask_kind(soon()).await.unwrap_err();
    let one_second = Duration::from_secs(1);
    let CallError::Slow {
        call: "Type",
        limit,
        ..
    } = &error
    else {
        panic!("{error}")
    };
    assert!(*limit <= one_second && *limit > Duration::from_millis(900));
    assert!(since.elapsed() < 2 * one_second);
    assert_eq!(error.kind(), ErrorKind::Timeout);
    plugin.ping(soon()).await.unwrap();
}

async fn a_killed_process_is_a_crash(h: Harness, peer: Peer) {
    let plugin = launch(&h, peer).await;
    let database = start(&plugin, json!({})).await.unwrap();
    let process = process(&plugin);
    kill_process(process, Signal::KILL).unwrap();
    assert_eq!(plugin.exited().await.reason, "killed by signal 9");
    reaped(process).await;
    let pinged = plugin.ping(soon()).await.unwrap_err();
    let asked = database.ask_kind(soon()).await.unwrap_err();
    for error in [pinged, asked] {
        assert_eq!(error.kind(), ErrorKind::Crashed, "{error}");
    }
    let next = again(&h, peer).await;
    start(&next, json!({})).await.unwrap();
}

async fn a_closed_database_answers_no_more(h: Harness, peer: Peer) {
    let plugin = launch(&h, peer).await;
    let database = start(&plugin, json!({})).await.unwrap();
    database.close().await.unwrap();
    database.close().await.unwrap();
    let error = database.ask_kind(soon()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

async fn a_shutdown_ends_the_process(h: Harness, peer: Peer) {
    let plugin = launch(&h, peer).await;
    let _database = start(&plugin, json!({})).await.unwrap();
    let process = process(&plugin);
    h.shutdown().await;
    assert_eq!(plugin.exited().await.reason, "exited with status 0");
    reaped(process).await;
}

async fn a_dropped_handle_ends_the_process(h: Harness, peer: Peer) {
    let plugin = launch(&h, peer).await;
    let database = start(&plugin, json!({})).await.unwrap();
    let process = process(&plugin);
    drop(plugin);
    // The database is a handle as well.
    database.ask_kind(soon()).await.unwrap();
    drop(database);
    reaped(process).await;
}

async fn it_cannot_be_enabled_at_a_path(h: Harness, peer: Peer) {
    register(&h, peer, PluginType::Database, &[]).await;
    let mount = NewMount {
        plugin: peer.name().to_owned(),
        plugin_type: Some(PluginType::Database),
        ..NewMount::default()
    };
    let enabled = h.runtime.enable("p".parse().unwrap(), mount).await;
    assert_eq!(enabled.unwrap_err().kind(), ErrorKind::InvalidInput);
}

async fn a_second_database_is_refused_where_a_process_holds_one(h: Harness, peer: Peer) {
    let plugin = launch(&h, peer).await;
    assert!(!plugin.multiplexes());
    let first = start(&plugin, json!({})).await.unwrap();
    let error = start(&plugin, json!({})).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(
        error.to_string().contains("one database per process"),
        "{error}"
    );
    first.ask_kind(soon()).await.unwrap();
}

async fn two_databases_share_a_process_and_are_kept_apart(h: Harness, peer: Peer) {
    let plugin = launch(&h, peer).await;
    assert!(plugin.multiplexes());
    let slow = start(&plugin, json!({ "type_delay": "3s" })).await.unwrap();
    let quick = start(&plugin, json!({ "url": "quick" })).await.unwrap();
    // The delay is the other's.
    quick.ask_kind(soon()).await.unwrap();
    assert!(slow.ask_kind(soon()).await.is_err());
    slow.close().await.unwrap();
    quick.ask_kind(soon()).await.unwrap();
    quick.close().await.unwrap();
    plugin.ping(soon()).await.unwrap();
}

async fn a_refused_database_leaves_the_others_alone(h: Harness, peer: Peer) {
    let plugin = launch(&h, peer).await;
    let good = start(&plugin, json!({})).await.unwrap();
    refused(&plugin, json!({ "refuse": "not you" })).await;
    good.ask_kind(soon()).await.unwrap();
    start(&plugin, json!({})).await.unwrap();
}

async fn launch(h: &Harness, peer: Peer) -> Arc<dyn DatabasePlugin> {
    register(h, peer, PluginType::Database, &[]).await;
    again(h, peer).await
}

/// Another process of what is registered.
pub(crate) async fn again(h: &Harness, peer: Peer) -> Arc<dyn DatabasePlugin> {
    let name = peer.name().parse().unwrap();
    h.runtime.launch_database(&name, None).await.unwrap()
}

/// Has it connect to a database.
pub(crate) async fn start(
    plugin: &Arc<dyn DatabasePlugin>,
    config: Value,
) -> Result<Arc<dyn Database>, CallError> {
    start_with(plugin, config, true).await
}

async fn start_with(
    plugin: &Arc<dyn DatabasePlugin>,
    config: Value,
    verify: bool,
) -> Result<Arc<dyn Database>, CallError> {
    let config = DatabaseConfig {
        config: Json::from_text(config.to_string()),
        verify,
    };
    plugin.start(config, soon()).await
}

/// The plugin's own text for a configuration that it does not take.
async fn refused(plugin: &Arc<dyn DatabasePlugin>, config: Value) -> String {
    match start(plugin, config).await {
        Err(CallError::Plugin(error)) => {
            assert_eq!(error.kind, PluginErrorKind::Unknown);
            error.message
        }
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was taken"),
    }
}

/// The deadline of whatever has no reason to take long.
pub(crate) fn soon() -> Deadline {
    Deadline::after(PATIENCE)
}

/// The number of its process.
fn process(plugin: &Arc<dyn DatabasePlugin>) -> Pid {
    Pid::from_raw(plugin.process_id().unwrap().cast_signed()).unwrap()
}
