//! Peers that go wrong, or speak for other implementations than ours: the host's half of go-plugin by its checklist.

use std::collections::BTreeSet;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use palisade_runtime::driver::Driver as _;
use palisade_runtime::{ErrorKind, LaunchError};
use rustix::process::{Gid, Uid};
use rustix::thread::{set_thread_res_gid, set_thread_res_uid};

use super::{Decoy, Host, Running, SOON, Server, await_end, has_something, process_exists};

/// How long a peer that is wrong at once may take to be refused. Generous, as tests share a machine.
const AT_ONCE: Duration = Duration::from_secs(4);

trials!["peers::";
    each_wrong_line_is_refused_at_once_in_its_own_words,
    another_version_than_offered_is_refused_with_both,
    fields_that_nobody_asked_for_are_passed_over,
    a_second_line_changes_nothing,
    an_impostor_with_another_key_is_refused,
    a_server_that_chooses_no_http_2_is_refused,
    a_socket_that_refuses_is_told_at_the_start,
    a_plugin_that_does_not_serve_is_refused,
    a_plugin_with_the_barest_services_runs_and_is_killed_at_its_end,
    an_exit_without_an_answer_to_shutdown_is_a_good_end,
    a_shutdown_that_hangs_is_cut_off_at_the_grace,
    output_of_any_bytes_does_no_harm,
    the_hosts_socket_takes_connections_again_and_again,
    a_stranger_cannot_use_the_hosts_socket,
    another_user_enters_no_folder_of_sockets,
    a_plugin_that_wants_a_token_is_asked_what_it_is_and_its_own_failure_is_told,
    many_launches_at_once_leave_nothing,
    the_death_of_the_server_leaves_no_folder,
];

async fn each_wrong_line_is_refused_at_once_in_its_own_words(host: Host) {
    let junk = "!".repeat(60);
    let zeros = "A".repeat(60);
    let cases = [
        ("2|5|unix|/p|grpc|", "core protocol 2"),
        ("1|5|unix|/p", "\"netrpc\", only grpc"),
        ("1|five|unix|/p|grpc|", "\"five\" is not a number"),
        ("1|5|udp|/p|grpc|", "\"udp\" is neither unix nor tcp"),
        ("1|5|unix|/p|grpc|", "sent no certificate"),
        ("1|5|unix|/p|grpc|short", "sent no certificate"),
        (&format!("1|5|unix|/p|grpc|{junk}"), "not base64"),
        (
            &format!("1|5|unix|/p|grpc|{zeros}"),
            "not an X.509 certificate",
        ),
        ("1|5|tcp|example.com:80|grpc|", "not an IP address"),
        ("1|5|tcp|10.0.0.1:80|grpc|", "not a loopback address"),
    ];
    for (line, expected) in cases {
        let since = Instant::now();
        let error = refused(&host, &["line", line]).await;
        assert!(since.elapsed() < AT_ONCE, "{line}: {:?}", since.elapsed());
        assert_eq!(error.kind(), ErrorKind::LaunchFailed);
        assert!(error.to_string().contains(expected), "{line}: {error}");
    }
}

async fn another_version_than_offered_is_refused_with_both(host: Host) {
    let error = refused(&host, &["fake", "version"]).await.to_string();
    let expected = "the plugin chose version 6 of the backend protocol, offered was 5";
    assert!(error.contains(expected), "{error}");
}

async fn fields_that_nobody_asked_for_are_passed_over(host: Host) {
    let plugin = fake(&host, "fields").await;
    assert_eq!(
        plugin.read("x").await.expect("it answers"),
        serde_json::Value::Null
    );
}

async fn a_second_line_changes_nothing(host: Host) {
    let decoy = Decoy::new();
    let mut plan = host.plan("uuid-1", &[]);
    plan.process.args = ["fake", "again"].map(str::to_owned).to_vec();
    plan.process.env = vec![decoy.variable()];
    let plugin = host.launch_plan(plan).await.expect("it starts");
    plugin.read("x").await.expect("it answers");
    assert!(!decoy.was_met(), "somebody connected");
}

async fn an_impostor_with_another_key_is_refused(host: Host) {
    let error = refused(&host, &["fake", "impostor"]).await.to_string();
    assert!(error.contains("mutual TLS with it failed"), "{error}");
}

async fn a_server_that_chooses_no_http_2_is_refused(host: Host) {
    let error = refused(&host, &["fake", "alpn"]).await.to_string();
    assert!(error.contains("did not choose HTTP/2"), "{error}");
}

async fn a_socket_that_refuses_is_told_at_the_start(host: Host) {
    let error = refused(&host, &["fake", "deaf"]).await.to_string();
    assert!(
        error.contains("its socket cannot be connected to"),
        "{error}"
    );
}

async fn a_plugin_that_does_not_serve_is_refused(host: Host) {
    let error = refused(&host, &["fake", "unready"]).await.to_string();
    assert!(error.contains("it is not ready: NOT_SERVING"), "{error}");
    let error = refused(&host, &["fake", "unhealthy"]).await.to_string();
    assert!(
        error.contains("its health check failed: Unimplemented"),
        "{error}"
    );
}

/// As go-plugin 1.0 was: without the stream of what is printed, and here without the controller too.
async fn a_plugin_with_the_barest_services_runs_and_is_killed_at_its_end(host: Host) {
    let plugin = fake(&host, "bare").await;
    plugin.read("x").await.expect("it answers");
    plugin.instance.stop(Duration::from_millis(300)).await;
    assert_eq!(plugin.instance.exited().await.reason, "killed by signal 9");
}

async fn an_exit_without_an_answer_to_shutdown_is_a_good_end(host: Host) {
    let plugin = fake(&host, "none").await;
    let since = Instant::now();
    plugin.instance.stop(SOON).await;
    assert!(since.elapsed() < AT_ONCE, "{:?}", since.elapsed());
    assert_eq!(
        plugin.instance.exited().await.reason,
        "exited with status 0"
    );
}

async fn a_shutdown_that_hangs_is_cut_off_at_the_grace(host: Host) {
    let plugin = fake(&host, "stubborn").await;
    let pid = plugin.pid();
    let grace = Duration::from_millis(500);
    let since = Instant::now();
    // Twice at once: the second does no harm.
    tokio::join!(plugin.instance.stop(grace), plugin.instance.stop(grace));
    assert!(since.elapsed() >= grace, "{:?}", since.elapsed());
    assert!(since.elapsed() < AT_ONCE, "{:?}", since.elapsed());
    assert!(!process_exists(pid));
    plugin.instance.stop(grace).await;
}

async fn output_of_any_bytes_does_no_harm(host: Host) {
    let plugin = fake(&host, "noise").await;
    plugin.read("x").await.expect("it answers");
}

async fn the_hosts_socket_takes_connections_again_and_again(host: Host) {
    fake(&host, "reconnect").await;
}

async fn a_stranger_cannot_use_the_hosts_socket(host: Host) {
    fake(&host, "stranger").await;
}

async fn another_user_enters_no_folder_of_sockets(host: Host) {
    // Nobody but root can become somebody else to try.
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let plugin = host.launch().await;
    let sockets = std::fs::read_dir(folder_of(plugin.pid())).expect("it is there");
    let sockets: Vec<_> = sockets.flatten().map(|entry| entry.path()).collect();
    // The plugin's, and the one that the host serves its mount on.
    assert_eq!(sockets.len(), 2, "{sockets:?}");
    for socket in sockets {
        let path = socket.clone();
        let met = std::thread::spawn(move || {
            become_nobody();
            UnixStream::connect(path)
        });
        let error = met.join().expect("it tries").expect_err("it is kept out");
        assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied);
        // The control: the host can.
        UnixStream::connect(&socket).expect("it is let in");
    }
}

/// This thread alone.
fn become_nobody() {
    let (user, group) = (Uid::from_raw(65_534), Gid::from_raw(65_534));
    set_thread_res_gid(group, group, group).expect("root may");
    set_thread_res_uid(user, user, user).expect("root may");
}

async fn a_plugin_that_wants_a_token_is_asked_what_it_is_and_its_own_failure_is_told(host: Host) {
    let mut plan = host.plan("uuid-1", &[]);
    plan.process.args = vec!["token".to_owned()];
    plan.process.env = vec!["WANTS=token".to_owned()];
    let launch = host.launch_plan(plan);
    let mut offers = BTreeSet::new();
    let watch = async {
        loop {
            offers.extend(environments_with("WANTS=token").filter_map(|environment| {
                Some((
                    value_of(&environment, "VAULT_PLUGIN_METADATA_MODE")?,
                    value_of(&environment, "PLUGIN_PROTOCOL_VERSIONS")?,
                ))
            }));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let error = tokio::select! {
        launched = launch => launched.err().expect("it does not start").to_string(),
        () = watch => unreachable!("the watch has no end"),
    };
    // In metadata mode it does not answer either, so that it is only told how it failed.
    assert!(error.contains("for want of a wrapping token"), "{error}");
    let expected = [("false", "5"), ("true", "3,4")];
    let expected = expected.map(|(mode, versions)| (mode.to_owned(), versions.to_owned()));
    assert_eq!(offers, BTreeSet::from(expected));
}

fn environments_with(line: &str) -> impl Iterator<Item = String> {
    let processes = std::fs::read_dir("/proc").expect("it is there").flatten();
    processes.filter_map(move |entry| {
        let environment = std::fs::read(entry.path().join("environ")).ok()?;
        let text = String::from_utf8_lossy(&environment).into_owned();
        text.split('\0').any(|found| found == line).then_some(text)
    })
}

fn value_of(environment: &str, name: &str) -> Option<String> {
    let mut lines = environment.split('\0');
    let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    value.map(str::to_owned)
}

/// The folder of a process's sockets, as it was told of it.
fn folder_of(pid: u32) -> PathBuf {
    let environment = std::fs::read(format!("/proc/{pid}/environ")).expect("it lives");
    let environment = String::from_utf8_lossy(&environment).into_owned();
    let folder = value_of(&environment, "PLUGIN_UNIX_SOCKET_DIR");
    folder.expect("every plugin is told of one").into()
}

async fn many_launches_at_once_leave_nothing(host: Host) {
    const LAUNCHES: usize = 24;
    let launches = (0..LAUNCHES).map(|number| {
        let flaw = ["none", "impostor", "unready"][number % 3];
        let mut plan = host.plan("uuid-1", &[]);
        plan.process.args = ["fake", flaw].map(str::to_owned).to_vec();
        host.launch_plan(plan)
    });
    let launched = futures_util::future::join_all(launches).await;
    let (running, failed): (Vec<_>, Vec<_>) = launched.into_iter().partition(Result::is_ok);
    assert_eq!(
        (running.len(), failed.len()),
        (LAUNCHES / 3, LAUNCHES / 3 * 2)
    );
    let mut folders = BTreeSet::new();
    for plugin in running.into_iter().flatten() {
        let pid = plugin.pid();
        folders.extend(folder_of(pid).parent().map(Path::to_path_buf));
        plugin.instance.stop(SOON).await;
        drop(plugin);
        await_end(pid).await;
    }
    // All of a driver lie in one folder. Those that failed have left nothing in it either, once nobody stands by.
    assert_eq!(folders.len(), 1, "{folders:?}");
    host.driver.close();
    let since = Instant::now();
    while folders.iter().any(|folder| has_something(folder)) {
        assert!(since.elapsed() < SOON, "{folders:?} are not empty");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn the_death_of_the_server_leaves_no_folder(_: Host) {
    let (server, plugin) = Server::start("serve");
    let folder = folder_of(plugin);
    assert!(folder.is_dir());
    drop(server);
    let since = Instant::now();
    while folder.exists() {
        assert!(since.elapsed() < SOON, "{folder:?} is left");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn fake(host: &Host, flaw: &str) -> Running {
    let mut plan = host.plan("uuid-1", &[]);
    plan.process.args = ["fake", flaw].map(str::to_owned).to_vec();
    host.launch_plan(plan).await.expect("it starts")
}

/// Why it did not start; nothing of it is left.
async fn refused(host: &Host, args: &[&str]) -> LaunchError {
    host.launch_refused(args).await
}
