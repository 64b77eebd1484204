//! The real binary over real HTTP: server, command line, restart, signals.

#![expect(clippy::unwrap_used, reason = "a test's panic is its verdict")]

mod admission;
mod components;
mod server;
mod walls;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::Instant;

use server::{BINARY, Installation, PATIENCE, Server, client, send};

#[test]
fn a_secret_is_written_and_read_back_as_with_bao() {
    let server = Server::development(&[]);
    let put = server.ok(&["kv", "put", "secret/app", "user=admin", "password=hunter2"]);
    assert!(
        put.starts_with("= Secret Path =\nsecret/data/app\n\n======= Metadata =======\n"),
        "{put}"
    );
    let get = server.ok(&["kv", "get", "secret/app"]);
    assert!(get.contains("====== Data ======\nKey         Value\n---         -----\npassword    hunter2\nuser        admin\n"), "{get}");
    assert_eq!(
        server.ok(&["kv", "get", "-field=user", "secret/app"]),
        "admin"
    );
    assert_eq!(
        server.ok(&["kv", "list", "-mount=secret"]),
        "Keys\n----\napp\n"
    );
    let deleted = server.ok(&["kv", "delete", "secret/app"]);
    assert_eq!(
        deleted,
        "Success! Data deleted (if it existed) at: secret/data/app\n"
    );
}

#[test]
fn a_failed_check_and_set_is_a_server_error_with_its_url_and_code() {
    let server = Server::development(&[]);
    server.ok(&["kv", "put", "secret/app", "a=1"]);
    let refused = server.run(&["kv", "put", "-cas=0", "secret/app", "a=2"]);
    assert_eq!(refused.status.code(), Some(2));
    let text = String::from_utf8(refused.stderr).unwrap();
    assert!(
        text.starts_with(
            "Error writing data to secret/data/app: Error making API request.\n\nURL: PUT http://"
        ),
        "{text}"
    );
    assert!(
        text.contains(
            "Code: 400. Errors:\n\n* check-and-set parameter did not match the current version\n"
        ),
        "{text}"
    );
    assert!(text.contains("Error code: plugin"), "{text}");
}

#[test]
fn numbers_of_thirty_digits_come_back_unchanged() {
    let server = Server::development(&[]);
    let number = "123456789012345678901234567890.10";
    let body = format!("{{\"data\":{{\"n\":{number}}}}}");
    server.ok_with(&["write", "secret/data/n", "-"], &body);
    let read = server.ok(&["read", "-format=json", "secret/data/n"]);
    assert!(read.contains(number), "{read}");
}

#[test]
fn engines_are_enabled_listed_and_disabled() {
    let server = Server::development(&["-dev-no-kv"]);
    let enabled = server.ok(&[
        "secrets",
        "enable",
        "-path=team/kv",
        "-description=of the team",
        "kv",
    ]);
    assert_eq!(
        enabled,
        "Success! Enabled the kv secrets engine at: team/kv/\n"
    );
    let list = server.ok(&["secrets", "list"]);
    assert!(list.starts_with("Path        Type    Accessor"), "{list}");
    assert!(list.contains("team/kv/    kv      kv_"), "{list}");
    let again = server.run(&["secrets", "enable", "-path=team", "kv"]);
    assert_eq!(again.status.code(), Some(2));
    let text = String::from_utf8_lossy(&again.stderr);
    assert!(
        text.contains("* path is already in use at team/kv/\n")
            && text.contains("Error code: mount-exists"),
        "{text}"
    );
    server.ok(&["secrets", "disable", "team/kv"]);
    assert!(!server.ok(&["secrets", "list"]).contains("team/kv"));
}

#[test]
fn status_tells_by_its_exit_code() {
    let server = Server::development(&[]);
    let status = server.ok(&["status"]);
    assert!(
        status.contains("Sealed                   false\n"),
        "{status}"
    );
    assert!(
        status.contains("Storage Type             inmem\n"),
        "{status}"
    );
    let nobody = client("http://127.0.0.1:1", "x")
        .arg("status")
        .output()
        .unwrap();
    assert_eq!(nobody.status.code(), Some(1));
}

#[test]
fn what_is_not_there_is_exit_code_two_and_a_bad_line_is_one() {
    let server = Server::development(&[]);
    for line in [
        ["read", "secret/data/none"].as_slice(),
        &["kv", "get", "secret/none"],
        &["list", "secret/metadata/none"],
        &["read", "nowhere/x"],
    ] {
        assert_eq!(server.run(line).status.code(), Some(2), "{line:?}");
    }
    for line in [
        ["read"].as_slice(),
        &["kv", "put", "secret/a"],
        &["kv", "put", "secret/a", "-cas=1", "a=1"],
        &["secrets", "enable"],
        &["nonsense"],
        &["status", "-nonsense"],
    ] {
        let output = server.run(line);
        assert_eq!(output.status.code(), Some(1), "{line:?}");
        assert!(!output.stderr.is_empty(), "{line:?}");
    }
}

#[test]
fn a_wrong_token_is_denied() {
    let server = Server::development(&[]);
    let output = client(&server.address, "wrong")
        .args(["secrets", "list"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        String::from_utf8_lossy(&output.stderr)
            .contains("Code: 403. Errors:\n\n* permission denied")
    );
}

#[test]
fn another_namespace_is_refused_and_not_answered_from_this_one() {
    let server = Server::development(&[]);
    let output = server.run(&["secrets", "list", "-namespace=team"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("namespace \"team\" does not exist"));
}

#[test]
fn both_signals_end_the_server_in_order() {
    for signal in [rustix::process::Signal::TERM, rustix::process::Signal::INT] {
        let mut server = Server::development(&[]);
        send(&server.child, signal);
        assert!(server.child.wait().unwrap().success());
    }
}

#[test]
fn a_registration_is_refused_with_its_stable_code_and_stores_nothing() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("script"), "#!/bin/sh\n").unwrap();
    let directory = format!("-dev-plugin-dir={}", folder.path().display());
    let server = Server::development(&[&directory]);
    let zeros = "00".repeat(32);
    for (sha256, command, code) in [
        ("abc", "script", "invalid-input"),
        (zeros.as_str(), "missing", "artifact-missing"),
        (zeros.as_str(), "../x", "invalid-input"),
    ] {
        let sha256 = format!("-sha256={sha256}");
        let command = format!("-command={command}");
        let output = server.run(&["plugin", "register", &sha256, &command, "secret", "p"]);
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains(&format!("Error code: {code}")), "{text}");
    }
    assert!(!server.ok(&["plugin", "list"]).contains("\np "));
}

#[test]
fn a_plugin_directory_that_is_none_stops_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(folder.path(), &link).unwrap();
    for bad in [link.to_str().unwrap(), "relative", "/nowhere/at/all"] {
        let output = Command::new(BINARY)
            .args(["server", "-dev", "-dev-listen-address=127.0.0.1:0"])
            .arg(format!("-dev-plugin-dir={bad}"))
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(
            text.contains(bad) && text.contains("Error code: plugin-directory"),
            "{text}"
        );
    }
}

#[test]
fn a_configuration_with_several_faults_names_them_all() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bad.hcl");
    std::fs::write(
        &file,
        "listener \"udp\" {}\nlog_level = \"loud\"\nodd = 1\n",
    )
    .unwrap();
    let output = Command::new(BINARY)
        .args(["server", "-config"])
        .arg(&file)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stderr);
    for place in [
        "listener \"udp\"",
        "log_level",
        "odd",
        "storage",
        "seal",
        "Error code: invalid-input",
    ] {
        assert!(text.contains(place), "{place} is missing in {text}");
    }
}

#[test]
fn secrets_and_the_root_token_survive_a_restart_and_a_kill() {
    let installation = Installation::new();
    let mut server = installation.start();
    server.token = installation.token();
    server.ok(&["secrets", "enable", "kv"]);
    server.ok(&["kv", "put", "kv/app", "a=1"]);
    assert!(server.stop().success());

    let mut server = installation.start();
    server.token = installation.token();
    assert_eq!(server.ok(&["kv", "get", "-field=a", "kv/app"]), "1");
    server.ok(&["kv", "put", "kv/app", "a=2"]);
    server.child.kill().unwrap();
    server.child.wait().unwrap();

    let mut server = installation.start();
    server.token = installation.token();
    assert_eq!(server.ok(&["kv", "get", "-field=a", "kv/app"]), "2");
    assert!(server.stop().success());
    let medium = std::fs::read(installation.path("store.redb")).unwrap();
    let token = installation.token();
    assert!(
        !medium
            .windows(token.len())
            .any(|window| window == token.as_bytes())
    );
}

#[test]
fn another_seal_key_opens_nothing() {
    let installation = Installation::new();
    assert!(installation.start().stop().success());
    installation.write_key(&[8; 32]);
    let output = installation.command().output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("the seal's key is not the one"), "{text}");
}

#[test]
fn a_client_that_sends_no_header_is_let_go() {
    let server = Server::development(&["-dev-no-kv"]);
    let mut slow = TcpStream::connect(server.address.trim_start_matches("http://")).unwrap();
    slow.write_all(b"GET /v1/sys/health HT").unwrap();
    slow.set_read_timeout(Some(PATIENCE)).unwrap();
    let begun = Instant::now();
    let mut rest = Vec::new();
    // The server closes, with or without a word.
    let _ = slow.read_to_end(&mut rest);
    assert!(begun.elapsed() < PATIENCE, "the connection stayed open");
}

/// A server whose temporary files lie there.
fn development_in(place: &std::path::Path) -> Server {
    let mut command = Command::new(BINARY);
    command
        .args(["server", "-dev", "-dev-listen-address=127.0.0.1:0"])
        .arg("-log-level=error")
        .env("TMPDIR", place);
    Server::start(command)
}

#[test]
fn what_a_killed_development_server_left_behind_goes_with_the_next_start() {
    let place = tempfile::tempdir().unwrap();
    let folders = || {
        let entries = std::fs::read_dir(place.path()).unwrap();
        let names = entries.map(|it| it.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names
            .filter(|it| it.starts_with("palisade-compiled-"))
            .collect();
        names.sort();
        names
    };
    let live = development_in(place.path());
    let of_live = folders();
    let killed = development_in(place.path());
    assert_eq!(folders().len(), 2);
    // It is killed without a word.
    drop(killed);
    assert_eq!(folders().len(), 2, "the control: it stays at first");
    let next = development_in(place.path());
    let left = folders();
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(left.contains(&of_live[0]), "{left:?}");
    assert!(next.stop().success());
    assert!(live.stop().success());
    assert_eq!(folders(), [""; 0]);
}
