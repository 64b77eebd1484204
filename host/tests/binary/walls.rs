//! The walls around native plugins as an operator meets them: what the server says of them, what it refuses without them,
//! and what is left of them for a server that is nobody in particular.

use std::fs::{Permissions, copy, set_permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use rustix::process::geteuid;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::server::{BINARY, Installation, Server};

/// A user that no machine gives a file to.
const NOBODY: u32 = 65_534;

/// All that there are.
const WALLS: usize = 13;

fn sha256(file: &Path) -> String {
    hex::encode(Sha256::digest(std::fs::read(file).unwrap()))
}

/// A plugin directory with the native key-value plugin in it.
fn plugins() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let built = Path::new(BINARY).with_file_name("kv");
    assert!(
        built.exists(),
        "{built:?} is not built: run `cargo xtask guests`"
    );
    let file = folder.path().join("kv-native");
    copy(built, &file).unwrap();
    for (path, mode) in [(folder.path(), 0o755), (&file, 0o755)] {
        set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }
    let digest = sha256(&file);
    (folder, digest)
}

/// The command that registers it as `notes`.
fn register<'a>(digest: &'a str, flags: &[&'a str]) -> Vec<String> {
    let start = ["plugin", "register", "-command=kv-native"].map(str::to_owned);
    let digest = format!("-sha256={digest}");
    let flags = flags.iter().map(|flag| (*flag).to_owned());
    let names = ["secret", "notes"].map(str::to_owned);
    start
        .into_iter()
        .chain([digest])
        .chain(flags)
        .chain(names)
        .collect()
}

fn words(line: &[String]) -> Vec<&str> {
    line.iter().map(String::as_str).collect()
}

/// What the server's health says of the walls.
fn told(server: &Server) -> (Vec<String>, Vec<String>, bool) {
    let status: Value = serde_json::from_str(&server.ok(&["status", "-format=json"])).unwrap();
    let walls = &status["process_protections"];
    let active = walls["active"].as_array().unwrap().iter();
    let active = active
        .map(|name| name.as_str().unwrap().to_owned())
        .collect();
    let lacking = walls["lacking"].as_array().unwrap().iter();
    let lacking = lacking
        .map(|name| name.as_str().unwrap().to_owned())
        .collect();
    (active, lacking, walls["degraded"].as_bool().unwrap())
}

fn uses_a_plugin(server: &Server, digest: &str) {
    server.ok(&words(&register(digest, &[])));
    server.ok(&["secrets", "enable", "-path=notes", "notes"]);
    server.ok_with(
        &["write", "notes/data/a", "-"],
        r#"{"data":{"b":"of the test"}}"#,
    );
    let read = server.ok(&["read", "-format=json", "notes/data/a"]);
    assert!(read.contains("of the test"), "{read}");
}

#[test]
fn every_wall_is_listed_as_active_or_as_lacking() {
    let server = Server::development(&["-dev-no-kv"]);
    let (active, lacking, degraded) = told(&server);
    assert_eq!(active.len() + lacking.len(), WALLS);
    assert_eq!(degraded, !lacking.is_empty());
    let text = server.ok(&["status"]);
    let names_all = |title: &str, names: &[String]| {
        let line = text.lines().find(|line| line.starts_with(title));
        let line = line.unwrap_or_default();
        names.iter().all(|name| line.contains(name.as_str()))
    };
    assert!(names_all("Process Protections", &active), "{text}");
    assert!(names_all("Process Lacks", &lacking), "{text}");
}

#[test]
fn an_entry_shows_what_it_was_granted() {
    let (folder, digest) = plugins();
    let server = Server::development(&[&format!("-dev-plugin-dir={}", folder.path().display())]);
    let flags = [
        "-grant=network",
        "-re-executes",
        "-dedicated",
        "-require=seccomp",
        "-limit=processes=99",
    ];
    server.ok(&words(&register(&digest, &flags)));
    let info = server.ok(&["plugin", "info", "-format=json", "secret", "notes"]);
    let info: Value = serde_json::from_str(&info).unwrap();
    assert_eq!(info["grants"], serde_json::json!(["network"]), "{info}");
    assert_eq!(
        info["required_layers"],
        serde_json::json!(["seccomp"]),
        "{info}"
    );
    assert_eq!(info["re_executes"], true, "{info}");
    assert_eq!(info["dedicated"], true, "{info}");
    assert_eq!(info["limits"]["processes"], 99, "{info}");
    let refused = server.run(&words(&register(&digest, &["-grant=internet"])));
    let text = String::from_utf8(refused.stderr).unwrap();
    assert!(
        text.contains("internet") && text.contains("Error code: invalid-input"),
        "{text}"
    );
}

#[test]
fn a_wall_that_is_none_is_a_fault_of_the_configuration() {
    let installation = Installation::new();
    installation.append("plugin_required_layers = [\"seccomp\", \"moat\"]\n");
    let output = installation.command().output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(
        text.contains("plugin_required_layers") && text.contains("moat"),
        "{text}"
    );
    assert!(text.contains("cgroup.memory"), "{text}");
}

/// Runs as nobody when it may choose, and as whoever it is otherwise.
#[test]
fn a_server_of_an_ordinary_user_serves_and_says_what_it_lacks() {
    let (folder, digest) = plugins();
    // Beside the plugin, because nobody may not enter where this was built.
    let binary = folder.path().join("palisade");
    copy(BINARY, &binary).unwrap();
    set_permissions(&binary, Permissions::from_mode(0o755)).unwrap();
    let temporary = tempfile::tempdir_in("/tmp").unwrap();
    set_permissions(temporary.path(), Permissions::from_mode(0o777)).unwrap();
    let mut command = Command::new(&binary);
    command
        .args([
            "server",
            "-dev",
            "-dev-no-kv",
            "-dev-listen-address=127.0.0.1:0",
            "-log-level=warn",
        ])
        .arg(format!("-dev-plugin-dir={}", folder.path().display()))
        .env_clear()
        .env("TMPDIR", temporary.path())
        .env("BAO_DEV_ROOT_TOKEN_ID", "root-of-the-test")
        .current_dir("/");
    if geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    let mut server = Server::start(command);
    server.token = "root-of-the-test".to_owned();
    let (active, lacking, degraded) = told(&server);
    assert!(
        degraded && lacking.contains(&"user".to_owned()),
        "{lacking:?}"
    );
    // What needs no privilege stands all the same.
    for wall in ["seccomp", "landlock.files"] {
        assert!(active.contains(&wall.to_owned()), "{active:?}");
    }
    // What is not to be dumped is the machine's and not the user's.
    let environ = format!("/proc/{}/environ", server.child.id());
    assert_eq!(std::fs::metadata(environ).unwrap().uid(), 0);
    uses_a_plugin(&server, &digest);
    let demanding = register(&digest, &["-require=user"]);
    server.ok(&words(&demanding));
    let refused = server.run(&["secrets", "enable", "-path=other", "notes"]);
    let text = String::from_utf8(refused.stderr).unwrap();
    assert!(
        text.contains("Error code: unprotected") && text.contains("user"),
        "{text}"
    );
}

/// The control for the test above: of a server that may do all, the plugin is another user.
#[test]
fn a_plugin_of_a_privileged_server_is_used_as_well() {
    let (folder, digest) = plugins();
    let server = Server::development(&[&format!("-dev-plugin-dir={}", folder.path().display())]);
    uses_a_plugin(&server, &digest);
}
