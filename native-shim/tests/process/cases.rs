//! The cases, each named as what it proves.

use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use palisade_contract::Operation;
use palisade_protocol::cert::Identity;
use palisade_protocol::env;
use palisade_protocol::health::HealthCheckRequest;
use palisade_protocol::health::health_client::HealthClient;
use palisade_protocol::multiplexing::MultiplexingSupportRequest;
use palisade_protocol::multiplexing::plugin_multiplexing_client::PluginMultiplexingClient;
use palisade_protocol::plugin::grpc_controller_client::GrpcControllerClient;
use palisade_protocol::{MISSING_STORAGE, MULTIPLEX_ID, logical, pb, plugin};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tonic::Code;

use crate::host::{
    Host, by_hand, command, connect, eventually, for_instance, run_to_end, store, within,
};
use crate::services::Kind;

macro_rules! cases {
    ($($name:ident),* $(,)?) => {
        pub(crate) fn all() -> Vec<(&'static str, fn())> {
            vec![$((stringify!($name), $name as fn())),*]
        }
    };
}

cases![
    started_by_hand_a_plugin_says_what_it_is_and_fails,
    without_a_certificate_of_its_host_a_plugin_does_not_serve,
    a_malformed_certificate_of_its_host_stops_a_plugin,
    a_directory_that_is_not_there_stops_a_plugin_with_its_name,
    the_line_names_version_socket_and_certificate,
    an_unasked_for_seventh_field_is_not_printed_and_an_asked_for_one_says_no,
    without_a_directory_the_socket_is_in_a_private_one_that_goes_away,
    the_launchs_variables_are_gone_before_the_plugin_runs,
    another_certificate_than_the_hosts_is_refused,
    a_client_without_tls_is_hung_up_on,
    a_stalled_client_delays_nobody,
    health_knows_the_plugin_and_nothing_else,
    the_process_multiplexes_and_has_a_version,
    a_call_names_exactly_one_instance,
    a_call_for_an_instance_that_was_not_set_up_is_refused,
    two_instances_have_their_own_storage_and_configuration,
    cleanup_takes_one_instance_and_leaves_the_other,
    type_and_special_paths_are_told,
    initialize_and_existence_and_invalidation_reach_the_backend,
    storage_is_read_written_listed_in_pages_and_deleted_through_the_broker,
    an_offer_may_come_after_the_setup_that_needs_it,
    a_setup_whose_connection_is_never_offered_fails_and_says_which,
    a_host_without_storage_says_so_and_setup_still_works,
    a_failed_setup_gives_its_text_and_no_instance,
    a_transaction_commits_or_rolls_back_or_conflicts,
    a_dropped_transaction_is_rolled_back,
    an_old_host_without_transactions_or_pages_is_enough,
    every_fact_of_the_system_view_arrives,
    a_hosts_error_comes_back_word_for_word,
    errors_keep_their_kind,
    numbers_keep_their_digits,
    a_large_body_passes_both_ways,
    the_deadline_of_a_call_reaches_the_plugin,
    a_panic_fails_its_call_and_nothing_else,
    what_is_printed_goes_to_the_stdio_stream_and_not_to_the_real_output,
    ten_mebibytes_printed_by_the_serving_thread_do_not_block_it,
    log_lines_are_hclog_json,
    the_clock_and_randomness_are_there,
    shutdown_ends_the_process_and_removes_the_socket,
    shutdown_does_not_wait_for_a_call_in_flight_for_ever,
    an_interrupt_is_ignored_and_a_termination_ends_cleanly,
    a_plugin_whose_host_dies_ends,
];

fn started_by_hand_a_plugin_says_what_it_is_and_fails() {
    let (status, stdout, stderr) = run_to_end(by_hand);
    assert_eq!(status.code(), Some(1));
    assert_eq!(stdout, "");
    assert!(stderr.contains("this program is a plugin"));
}

fn without_a_certificate_of_its_host_a_plugin_does_not_serve() {
    let (status, stdout, stderr) = run_to_end(|command| {
        command.env_remove(env::CLIENT_CERT);
    });
    assert!(!status.success());
    assert_eq!(stdout, "");
    assert!(stderr.contains(env::CLIENT_CERT));
}

fn a_malformed_certificate_of_its_host_stops_a_plugin() {
    let (status, stdout, stderr) = run_to_end(|command| {
        command.env(env::CLIENT_CERT, "garbage");
    });
    assert!(!status.success());
    assert_eq!(stdout, "");
    assert!(stderr.contains("PLUGIN_CLIENT_CERT is unusable"));
}

fn a_directory_that_is_not_there_stops_a_plugin_with_its_name() {
    let (status, stdout, stderr) = run_to_end(|command| {
        command.env(env::UNIX_SOCKET_DIR, "/nonexistent/dir");
    });
    assert!(!status.success());
    assert_eq!(stdout, "");
    assert!(stderr.contains("/nonexistent/dir"));
}

fn the_line_names_version_socket_and_certificate() {
    let host = Host::start();
    assert_eq!(host.handshake.protocol_version, 5);
    assert!(host.socket().starts_with(host.dir.path()));
    let mode = host.socket().metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(host.handshake.certificate.is_some());
}

fn an_unasked_for_seventh_field_is_not_printed_and_an_asked_for_one_says_no() {
    assert_eq!(Host::start().handshake.multiplex, None);
    let asked = Host::start_with(|command| {
        command.env(env::MULTIPLEX_GRPC, "true");
    });
    assert_eq!(asked.handshake.multiplex, Some(false));
}

fn without_a_directory_the_socket_is_in_a_private_one_that_goes_away() {
    let temp = tempfile::tempdir().unwrap();
    let mut host = Host::start_with(|command| {
        command
            .env_remove(env::UNIX_SOCKET_DIR)
            .env("TMPDIR", temp.path());
    });
    let dir = host.socket().parent().unwrap().to_owned();
    assert_eq!(dir.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    shut_down(&host);
    host.wait();
    assert_eq!(temp.path().read_dir().unwrap().count(), 0);
}

fn the_launchs_variables_are_gone_before_the_plugin_runs() {
    let host = Host::start_with(|command| {
        command.env(env::MULTIPLEX_GRPC, "true");
    });
    host.runtime.block_on(async {
        host.set_up("a", &store(Kind::OpenBao), &[]).await.unwrap();
        assert_eq!(host.ask("a", "env").await, json!({ "left": [] }));
    });
}

fn another_certificate_than_the_hosts_is_refused() {
    let host = Host::start();
    host.runtime.block_on(async {
        let stranger = Identity::generate_like_go().unwrap();
        // In TLS 1.3 a client learns of the refusal with its first call.
        if let Ok(channel) = connect(&host.handshake, &stranger).await {
            let request = HealthCheckRequest::default();
            within(HealthClient::new(channel).check(request))
                .await
                .unwrap_err();
        }
    });
}

fn a_client_without_tls_is_hung_up_on() {
    let host = Host::start();
    host.runtime.block_on(async {
        let mut stream = tokio::net::UnixStream::connect(host.socket())
            .await
            .unwrap();
        stream
            .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            .await
            .unwrap();
        let mut answer = Vec::new();
        let _ = within(stream.read_to_end(&mut answer)).await;
        assert!(answer.len() < 16, "an alert at most");
    });
}

fn a_stalled_client_delays_nobody() {
    let host = Host::start();
    host.runtime.block_on(async {
        let mut stalled = Vec::new();
        for _ in 0..8 {
            stalled.push(
                tokio::net::UnixStream::connect(host.socket())
                    .await
                    .unwrap(),
            );
        }
        let channel = connect(&host.handshake, &host.identity).await.unwrap();
        let request = HealthCheckRequest::default();
        within(HealthClient::new(channel).check(request))
            .await
            .unwrap();
    });
}

fn health_knows_the_plugin_and_nothing_else() {
    let host = Host::start();
    host.runtime.block_on(async {
        let mut client = HealthClient::new(host.channel.clone());
        for (service, expected) in [("plugin", Ok(1)), ("", Ok(1)), ("x", Err(Code::NotFound))] {
            let request = HealthCheckRequest {
                service: service.to_owned(),
            };
            let answer = within(client.check(request)).await;
            let answer = answer.map(|reply| reply.into_inner().status);
            assert_eq!(answer.map_err(|status| status.code()), expected);
        }
        let mut watch = within(client.watch(HealthCheckRequest::default()))
            .await
            .unwrap()
            .into_inner();
        assert_eq!(within(watch.message()).await.unwrap().unwrap().status, 1);
    });
}

fn the_process_multiplexes_and_has_a_version() {
    let host = Host::start();
    host.runtime.block_on(async {
        let mut client = PluginMultiplexingClient::new(host.channel.clone());
        let reply = within(client.multiplexing_support(MultiplexingSupportRequest {}))
            .await
            .unwrap();
        assert!(reply.into_inner().supported);
        let mut client =
            logical::plugin_version_client::PluginVersionClient::new(host.channel.clone());
        let reply = within(client.version(logical::Empty {})).await.unwrap();
        assert_eq!(reply.into_inner().plugin_version, crate::plugin::VERSION);
    });
}

fn a_call_names_exactly_one_instance() {
    let host = Host::start();
    host.runtime.block_on(async {
        host.set_up("a", &store(Kind::OpenBao), &[]).await.unwrap();
        for ids in [&[][..], &["a", "a"], &[""]] {
            let mut request = tonic::Request::new(pb::Empty {});
            for id in ids {
                request
                    .metadata_mut()
                    .append(MULTIPLEX_ID, id.parse().unwrap());
            }
            let status = within(host.backend().r#type(request)).await.unwrap_err();
            assert_eq!(status.code(), Code::InvalidArgument);
            assert!(status.message().contains(MULTIPLEX_ID));
        }
    });
}

fn a_call_for_an_instance_that_was_not_set_up_is_refused() {
    let host = Host::start();
    host.runtime.block_on(async {
        let status = host
            .send("a", Operation::Read, "kv/a", "null")
            .await
            .unwrap_err();
        assert!(status.message().contains("no backend instance found"));
    });
}

fn two_instances_have_their_own_storage_and_configuration() {
    let host = Host::start();
    host.runtime.block_on(async {
        let stores = [store(Kind::OpenBao), store(Kind::OpenBao)];
        host.set_up("a", &stores[0], &[]).await.unwrap();
        host.set_up("b", &stores[1], &[]).await.unwrap();
        host.send("a", Operation::Update, "kv/k", "1")
            .await
            .unwrap();
        assert_eq!(stores[0].value("k").as_deref(), Some(&b"1"[..]));
        assert_eq!(stores[1].value("k"), None);
        assert_eq!(host.ask("a", "uuid").await, json!({ "uuid": "uuid of a" }));
        assert_eq!(host.ask("b", "uuid").await, json!({ "uuid": "uuid of b" }));
    });
}

fn cleanup_takes_one_instance_and_leaves_the_other() {
    let host = Host::start();
    host.runtime.block_on(async {
        let stores = [store(Kind::OpenBao), store(Kind::OpenBao)];
        host.set_up("a", &stores[0], &[]).await.unwrap();
        host.set_up("b", &stores[1], &[]).await.unwrap();
        let request = for_instance("a", pb::Empty {});
        within(host.backend().cleanup(request)).await.unwrap();
        assert_eq!(stores[0].value("cleaned").as_deref(), Some(&b"yes"[..]));
        host.send("a", Operation::Read, "uuid", "null")
            .await
            .unwrap_err();
        host.ask("b", "uuid").await;
    });
}

fn type_and_special_paths_are_told() {
    let host = Host::start();
    host.runtime.block_on(async {
        host.set_up("a", &store(Kind::OpenBao), &[]).await.unwrap();
        let reply = within(host.backend().r#type(for_instance("a", pb::Empty {})))
            .await
            .unwrap();
        assert_eq!(reply.into_inner().r#type, 1);
        let reply = within(
            host.backend()
                .special_paths(for_instance("a", pb::Empty {})),
        )
        .await
        .unwrap();
        assert_eq!(reply.into_inner().paths.unwrap().root, ["root/*"]);
    });
}

fn initialize_and_existence_and_invalidation_reach_the_backend() {
    let host = Host::start();
    host.runtime.block_on(async {
        let store = store(Kind::OpenBao);
        host.set_up("a", &store, &[]).await.unwrap();
        let mut backend = host.backend();
        let reply = within(backend.initialize(for_instance("a", pb::InitializeArgs {})))
            .await
            .unwrap();
        assert_eq!(reply.into_inner().err, None);
        for (path, exists) in [("initialized", true), ("nothing", false)] {
            let request = palisade_contract::Request::new(
                Operation::Update,
                path,
                palisade_contract::Json::null(),
            );
            let request = for_instance("a", request.into());
            let reply = within(backend.handle_existence_check(request))
                .await
                .unwrap()
                .into_inner();
            assert_eq!((reply.check_found, reply.exists), (true, exists));
        }
        let args = pb::InvalidateKeyArgs {
            key: "k".to_owned(),
        };
        within(backend.invalidate_key(for_instance("a", args)))
            .await
            .unwrap();
        assert_eq!(store.value("invalidated").as_deref(), Some(&b"k"[..]));
    });
}

async fn write_some(host: &Host) {
    for key in ["a", "b", "c", "d/x", "d/y"] {
        let path = format!("kv/{key}");
        host.send("a", Operation::Update, &path, r#"{"v":1}"#)
            .await
            .unwrap();
    }
}

async fn list(host: &Host) -> serde_json::Value {
    let reply = host
        .send("a", Operation::List, "kv/", "null")
        .await
        .unwrap();
    serde_json::from_str(&reply.response.unwrap().data).unwrap()
}

fn storage_is_read_written_listed_in_pages_and_deleted_through_the_broker() {
    let host = Host::start();
    host.runtime.block_on(async {
        host.set_up("a", &store(Kind::OpenBao), &[]).await.unwrap();
        write_some(&host).await;
        assert_eq!(host.ask("a", "kv/b").await, json!({ "v": 1 }));
        assert_eq!(
            list(&host).await,
            json!({ "all": ["a", "b", "c", "d/"], "page": ["b", "c"] })
        );
        host.send("a", Operation::Delete, "kv/b", "null")
            .await
            .unwrap();
        let reply = host
            .send("a", Operation::Read, "kv/b", "null")
            .await
            .unwrap();
        assert_eq!((reply.response, reply.err), (None, None));
    });
}

fn an_offer_may_come_after_the_setup_that_needs_it() {
    let host = Host::start();
    host.runtime.block_on(async {
        let (broker_id, address) = host.listen(&store(Kind::OpenBao));
        let late = async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            host.offer(broker_id, &address).await;
        };
        let (made, ()) = tokio::join!(host.set_up_on("a", broker_id, &[]), late);
        made.unwrap();
        host.ask("a", "uuid").await;
    });
}

fn a_setup_whose_connection_is_never_offered_fails_and_says_which() {
    let host = Host::start();
    host.runtime.block_on(async {
        let text = host.set_up_on("a", 4711, &[]).await.unwrap_err();
        assert!(text.contains("4711"), "{text}");
    });
}

fn a_host_without_storage_says_so_and_setup_still_works() {
    let host = Host::start();
    host.runtime.block_on(async {
        host.set_up("a", &store(Kind::Missing), &[]).await.unwrap();
        for path in ["kv/a", "txn/commit"] {
            let reply = host.send("a", Operation::Read, path, "null").await.unwrap();
            assert_eq!(reply.err.unwrap().err_msg, MISSING_STORAGE);
        }
    });
}

fn a_failed_setup_gives_its_text_and_no_instance() {
    let host = Host::start();
    host.runtime.block_on(async {
        let refused = host
            .set_up("a", &store(Kind::OpenBao), &[("setup", "fail")])
            .await;
        assert_eq!(refused, Err("this mount is refused".to_owned()));
        let panicked = host
            .set_up("a", &store(Kind::OpenBao), &[("setup", "panic")])
            .await;
        assert!(panicked.unwrap_err().contains("panicked in setup"));
        host.send("a", Operation::Read, "uuid", "null")
            .await
            .unwrap_err();
        host.set_up("a", &store(Kind::OpenBao), &[("setup", "write")])
            .await
            .unwrap();
    });
}

fn a_transaction_commits_or_rolls_back_or_conflicts() {
    let host = Host::start();
    host.runtime.block_on(async {
        let store = store(Kind::OpenBao);
        host.set_up("a", &store, &[]).await.unwrap();
        let seen = json!({ "inside": true, "outside": false });
        assert_eq!(host.ask("a", "txn/rollback").await, seen);
        assert_eq!(store.value("t"), None);
        let reply = host
            .send("a", Operation::Read, "txn/conflict", "null")
            .await
            .unwrap();
        assert!(
            reply
                .err
                .unwrap()
                .err_msg
                .contains("transaction commit failed")
        );
        assert_eq!(store.value("t").as_deref(), Some(&b"2"[..]));
        host.send("a", Operation::Delete, "kv/t", "null")
            .await
            .unwrap();
        assert_eq!(host.ask("a", "txn/commit").await, seen);
        assert_eq!(store.value("t").as_deref(), Some(&b"1"[..]));
        assert_eq!(
            (store.begun(), store.open_transactions(), store.questions()),
            (3, 0, 1)
        );
    });
}

fn a_dropped_transaction_is_rolled_back() {
    let host = Host::start();
    host.runtime.block_on(async {
        let store = store(Kind::OpenBao);
        host.set_up("a", &store, &[]).await.unwrap();
        host.ask("a", "txn/drop").await;
        assert_eq!(store.begun(), 1);
        eventually(|| store.open_transactions() == 0).await;
        assert_eq!(store.value("t"), None);
    });
}

fn an_old_host_without_transactions_or_pages_is_enough() {
    let host = Host::start();
    host.runtime.block_on(async {
        let store = store(Kind::Vault);
        host.set_up("a", &store, &[]).await.unwrap();
        write_some(&host).await;
        assert_eq!(
            list(&host).await,
            json!({ "all": ["a", "b", "c", "d/"], "page": ["b", "c"] })
        );
        let seen = json!({ "inside": true, "outside": true });
        assert_eq!(host.ask("a", "txn/commit").await, seen);
        assert_eq!(store.value("t").as_deref(), Some(&b"1"[..]));
        let reply = host
            .send("a", Operation::Read, "txn/read-only", "null")
            .await
            .unwrap();
        assert!(
            reply
                .err
                .unwrap()
                .err_msg
                .contains("cannot write to readonly storage")
        );
        assert_eq!(store.questions(), 1);
    });
}

fn every_fact_of_the_system_view_arrives() {
    let host = Host::start();
    host.runtime.block_on(async {
        host.set_up("a", &store(Kind::OpenBao), &[]).await.unwrap();
        let expected = json!({
            "default": 5, "max": 0, "tainted": true, "caching_disabled": true, "replication": 8224, "mlock": false,
            "local": true, "version": "9.9.9", "entity": "Eve", "nobody": null, "groups": 2, "password": "p-word",
            "cluster": "c", "wrapped": "{} for 9000000000",
        });
        assert_eq!(host.ask("a", "system").await, expected);
    });
}

fn a_hosts_error_comes_back_word_for_word() {
    let host = Host::start();
    host.runtime.block_on(async {
        host.set_up("a", &store(Kind::OpenBao), &[]).await.unwrap();
        let reply = host
            .send("a", Operation::Update, "kv/forbidden", "1")
            .await
            .unwrap();
        let err = reply.err.unwrap();
        assert_eq!(
            (err.err_type, err.err_msg.as_str()),
            (0, "cannot write to readonly storage")
        );
    });
}

fn errors_keep_their_kind() {
    let host = Host::start();
    host.runtime.block_on(async {
        host.set_up("a", &store(Kind::OpenBao), &[]).await.unwrap();
        for (path, kind, code) in [
            ("error/coded", 3, 418),
            ("error/denied", 8, 0),
            ("error/x", 0, 0),
            ("x", 6, 0),
        ] {
            let reply = host.send("a", Operation::Read, path, "null").await.unwrap();
            let err = reply.err.unwrap();
            assert_eq!((err.err_type, err.err_code), (kind, code));
        }
        let mut args = pb::HandleRequestArgs::from(palisade_contract::Request::new(
            Operation::Read,
            "echo",
            palisade_contract::Json::null(),
        ));
        args.request.as_mut().unwrap().operation = "invented".to_owned();
        let reply = within(host.backend().handle_request(for_instance("a", args)))
            .await
            .unwrap();
        assert_eq!(reply.into_inner().err.unwrap().err_type, 5);
    });
}

fn numbers_keep_their_digits() {
    let host = Host::start();
    host.runtime.block_on(async {
        host.set_up("a", &store(Kind::OpenBao), &[]).await.unwrap();
        let data = r#"{ "n": 123456789012345678901234567890.10 }"#;
        let reply = host
            .send("a", Operation::Update, "echo", data)
            .await
            .unwrap();
        assert_eq!(reply.response.unwrap().data, data);
    });
}

fn a_large_body_passes_both_ways() {
    let host = Host::start();
    host.runtime.block_on(async {
        let store = store(Kind::OpenBao);
        host.set_up("a", &store, &[]).await.unwrap();
        let data = format!("\"{}\"", "x".repeat(16 << 20));
        let reply = host
            .send("a", Operation::Update, "echo", &data)
            .await
            .unwrap();
        assert!(reply.response.unwrap().data == data);
        host.send("a", Operation::Update, "kv/big", &data)
            .await
            .unwrap();
        let reply = host
            .send("a", Operation::Read, "kv/big", "null")
            .await
            .unwrap();
        assert!(reply.response.unwrap().data == data);
    });
}

fn the_deadline_of_a_call_reaches_the_plugin() {
    let host = Host::start();
    host.runtime.block_on(async {
        host.set_up("a", &store(Kind::OpenBao), &[]).await.unwrap();
        assert_eq!(host.ask("a", "time-left").await, json!({ "ms": null }));
        let request = palisade_contract::Request::new(
            Operation::Read,
            "time-left",
            palisade_contract::Json::null(),
        );
        let mut request = for_instance("a", request.into());
        request.set_timeout(Duration::from_secs(15));
        let reply = within(host.backend().handle_request(request))
            .await
            .unwrap()
            .into_inner();
        let answer: serde_json::Value =
            serde_json::from_str(&reply.response.unwrap().data).unwrap();
        let left = answer["ms"].as_u64().unwrap();
        assert!((10_000..=15_000).contains(&left), "{left}");
    });
}

fn a_panic_fails_its_call_and_nothing_else() {
    let host = Host::start();
    host.runtime.block_on(async {
        host.set_up("a", &store(Kind::OpenBao), &[]).await.unwrap();
        let reply = host
            .send("a", Operation::Read, "panic", "null")
            .await
            .unwrap();
        let err = reply.err.unwrap();
        assert_eq!(err.err_type, 2);
        assert!(!err.err_msg.contains("as asked"));
        let args = pb::InvalidateKeyArgs {
            key: "panic".to_owned(),
        };
        let status = within(host.backend().invalidate_key(for_instance("a", args)))
            .await
            .unwrap_err();
        assert_eq!(status.code(), Code::Internal);
        host.ask("a", "uuid").await;
        eventually(|| {
            host.logged(|line| line.message == "panic: as asked" && line.level.as_str() == "error")
        })
        .await;
    });
}

async fn print(host: &Host, bytes: usize) {
    let data = format!(r#"{{"bytes":{bytes}}}"#);
    let reply = host
        .send("a", Operation::Update, "print", &data)
        .await
        .unwrap();
    assert_eq!(reply.err, None);
}

fn what_is_printed_goes_to_the_stdio_stream_and_not_to_the_real_output() {
    let mut host = Host::start();
    host.runtime.block_on(async {
        host.set_up("a", &store(Kind::OpenBao), &[]).await.unwrap();
        print(&host, 100_000).await;
        eventually(|| host.printed() == 100_001).await;
    });
    shut_down(&host);
    let (status, rest) = host.wait();
    assert!(status.success());
    assert_eq!(rest, b"");
}

fn ten_mebibytes_printed_by_the_serving_thread_do_not_block_it() {
    let host = Host::start();
    host.runtime.block_on(async {
        host.set_up("a", &store(Kind::OpenBao), &[]).await.unwrap();
        print(&host, 10 << 20).await;
        host.ask("a", "uuid").await;
        eventually(|| host.printed() >= 1 << 20).await;
        // The next output finds room, and with it the log tells what was lost.
        print(&host, 10).await;
        eventually(|| {
            host.logged(|line| {
                line.message
                    .contains("bytes of standard output were dropped")
            })
        })
        .await;
    });
}

fn log_lines_are_hclog_json() {
    let host = Host::start();
    host.runtime.block_on(async {
        host.set_up("a", &store(Kind::OpenBao), &[]).await.unwrap();
        host.send("a", Operation::Read, "log", "null")
            .await
            .unwrap();
        eventually(|| {
            host.logged(|line| {
                line.message == r"two\nlines"
                    && line.level.as_str() == "warn"
                    && line
                        .fields
                        .contains(&("key".to_owned(), "value".to_owned()))
            })
        })
        .await;
    });
}

fn the_clock_and_randomness_are_there() {
    let host = Host::start();
    host.runtime.block_on(async {
        host.set_up("a", &store(Kind::OpenBao), &[]).await.unwrap();
        let (first, second) = (host.ask("a", "random").await, host.ask("a", "random").await);
        assert_ne!(first["bytes"], second["bytes"]);
        let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
        assert!(now.abs_diff(first["now"].as_u64().unwrap()) < 60);
    });
}

fn shut_down(host: &Host) {
    host.runtime.block_on(async {
        let mut client = GrpcControllerClient::new(host.channel.clone());
        within(client.shutdown(plugin::Empty {})).await.unwrap();
    });
}

fn shutdown_ends_the_process_and_removes_the_socket() {
    let mut host = Host::start();
    let start = Instant::now();
    shut_down(&host);
    let (status, _) = host.wait();
    assert!(status.success());
    assert!(start.elapsed() < Duration::from_secs(1));
    assert!(!host.socket().exists());
}

fn shutdown_does_not_wait_for_a_call_in_flight_for_ever() {
    let mut host = Host::start();
    host.runtime.block_on(async {
        host.set_up("a", &store(Kind::OpenBao), &[]).await.unwrap();
        let request = palisade_contract::Request::new(
            Operation::Read,
            "sleep",
            palisade_contract::Json::null(),
        );
        let mut backend = host.backend();
        tokio::spawn(async move {
            backend
                .handle_request(for_instance("a", request.into()))
                .await
        });
        // A later call that was answered proves that the first was sent.
        host.ask("a", "uuid").await;
    });
    let start = Instant::now();
    shut_down(&host);
    let (status, _) = host.wait();
    assert!(status.success());
    assert!(start.elapsed() < Duration::from_secs(2));
}

fn signal(process_id: u32, signal: Signal) {
    let pid = Pid::from_raw(process_id.cast_signed()).unwrap();
    kill_process(pid, signal).unwrap();
}

fn an_interrupt_is_ignored_and_a_termination_ends_cleanly() {
    let mut host = Host::start();
    signal(host.process_id(), Signal::INT);
    host.runtime.block_on(async {
        host.set_up("a", &store(Kind::OpenBao), &[]).await.unwrap();
    });
    signal(host.process_id(), Signal::TERM);
    let (status, _) = host.wait();
    assert!(status.success());
    assert!(!host.socket().exists());
}

/// The host is a shell here, which starts the plugin, waits for nothing and is killed.
fn a_plugin_whose_host_dies_ends() {
    let dir = tempfile::tempdir().unwrap();
    let identity = Identity::generate().unwrap();
    let plugin = command(identity.certificate(), &dir);
    let mut shell = Command::new("/bin/sh");
    shell
        .arg("-c")
        .arg(r#""$0" & echo $! >&2; read -r forever"#)
        .arg(plugin.get_program())
        .env_clear()
        .envs(
            plugin
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut shell = shell.spawn().unwrap();
    let mut lines = std::io::BufReader::new(shell.stdout.take().unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut lines, &mut line).unwrap();
    let socket = line.split('|').nth(3).unwrap().to_owned();
    assert!(std::path::Path::new(&socket).exists());
    shell.kill().unwrap();
    shell.wait().unwrap();
    // The end of its output is the end of the process.
    let mut rest = Vec::new();
    std::io::Read::read_to_end(&mut lines, &mut rest).unwrap();
    assert!(!std::path::Path::new(&socket).exists());
}
