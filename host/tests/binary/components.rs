//! Components as an operator meets them: what they are granted, and what is left of one that crashed.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::server::{BINARY, Server};

/// A server with the hostile plugin as a component, and a folder that it may be granted.
struct Place {
    server: Server,
    digest: String,
    folders: tempfile::TempDir,
    _plugins: tempfile::TempDir,
}

impl Place {
    fn open() -> Self {
        let (plugins, folders) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let target = Path::new(BINARY).parent().and_then(Path::parent).unwrap();
        let built = target.join("wasm32-wasip2/component/palisade_hostile.wasm");
        let bytes = fs::read(&built)
            .unwrap_or_else(|_| panic!("{built:?} is not built: run `cargo xtask guests`"));
        fs::write(plugins.path().join("hostile"), &bytes).unwrap();
        fs::create_dir(folders.path().join("spool")).unwrap();
        let directory =
            |flag: &str, path: &Path| format!("{flag}={}", path.canonicalize().unwrap().display());
        let server = Server::development(&[
            &directory("-dev-plugin-dir", plugins.path()),
            &directory("-dev-plugin-folders-root", folders.path()),
        ]);
        Self {
            server,
            digest: format!("-sha256={}", hex::encode(Sha256::digest(&bytes))),
            folders,
            _plugins: plugins,
        }
    }

    /// The whole answer to a read, over a connection of its own.
    fn get(&self, path: &str) -> String {
        let address = self.server.address.trim_start_matches("http://");
        let mut connection = TcpStream::connect(address).unwrap();
        let token = &self.server.token;
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nX-Vault-Token: {token}\r\nConnection: close\r\n\r\n"
        );
        connection.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        answer
    }

    fn enable(&self, flags: &[&str]) {
        let mut line = vec!["plugin", "register", &self.digest];
        line.extend(flags);
        line.extend(["secret", "hostile"]);
        self.server.ok(&line);
        self.server.ok(&["secrets", "enable", "hostile"]);
    }
}

#[test]
fn a_component_has_the_variables_and_folders_of_its_entry_and_no_value_is_shown() {
    let place = Place::open();
    place.enable(&["-env=PASSWORD=hunter2", "-grant=folder:spool:rw"]);
    let seen = place
        .server
        .ok(&["read", "-format=json", "hostile/environment"]);
    assert!(seen.contains("hunter2"), "the control: {seen}");
    let body = json!({"op": "write", "path": "/spool/made", "text": "by the plugin"});
    place
        .server
        .ok_with(&["write", "hostile/files", "-"], &body.to_string());
    let made = fs::read_to_string(place.folders.path().join("spool/made")).unwrap();
    assert_eq!(made, "by the plugin");
    let info = place
        .server
        .ok(&["plugin", "info", "-format=json", "secret", "hostile"]);
    assert!(
        info.contains("folder:spool:rw") && !info.contains("hunter2"),
        "{info}"
    );
}

#[test]
fn what_is_known_of_a_crash_is_shown_and_nothing_of_its_request() {
    let place = Place::open();
    place.enable(&[]);
    let none = place.server.ok(&["secrets", "crashes", "hostile"]);
    assert!(none.starts_with("hostile/ crashed 0 times"), "{none}");
    let crash = [
        "write",
        "hostile/write-then/trap/hunter2-key",
        "value=hunter2-value",
    ];
    let refused = place.server.run(&crash);
    let told = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && told.contains("trap"), "{told}");
    let shown = place.server.ok(&["secrets", "crashes", "hostile"]);
    for part in [
        "hostile/ crashed 1 times",
        "trap in handle-request of hostile",
        "  in ",
        "palisade:plugin/storage.put  ok",
    ] {
        assert!(shown.contains(part), "{part} is missing in\n{shown}");
    }
    let list = place
        .server
        .ok(&["secrets", "crashes", "-format=json", "hostile/"]);
    let list: Value = serde_json::from_str(&list).unwrap();
    assert_eq!(list[0]["kind"], "trap", "{list}");
    assert!(!format!("{shown}{list}").contains("hunter2"), "{shown}");
}

#[test]
fn an_entry_without_fuel_is_too_many_requests_and_when_to_come_again() {
    let place = Place::open();
    place.enable(&["-limit=fuel=600000000", "-limit=fuel_per_minute=60000000"]);
    let info = ["plugin", "info", "-format=json", "secret", "hostile"];
    assert!(
        place
            .server
            .ok(&info)
            .contains("\"fuel_per_minute\": 60000000")
    );
    let spent = place.server.run(&["write", "-f", "hostile/spin"]);
    let told = String::from_utf8_lossy(&spent.stderr);
    assert!(told.contains("Error code: out-of-fuel"), "{told}");
    let head = place.get("/v1/hostile/echo");
    assert!(head.starts_with("HTTP/1.1 429 "), "{head}");
    let seconds = head.lines().find_map(|line| {
        line.to_ascii_lowercase()
            .strip_prefix("retry-after: ")?
            .parse()
            .ok()
    });
    assert!(
        seconds.is_some_and(|it: u64| (300..=600).contains(&it)),
        "{head}"
    );
    assert!(head.contains("`fuel_per_minute` can be raised"), "{head}");
}

#[test]
fn a_server_without_address_space_for_components_says_what_to_raise() {
    // It would serve, and not end, if there were enough.
    let output = std::process::Command::new("timeout")
        .args([
            "60",
            "sh",
            "-c",
            "ulimit -v 8000000; exec \"$0\" \"$@\"",
            BINARY,
        ])
        .args(["server", "-dev", "-dev-listen-address=127.0.0.1:0"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("ulimit -v") && text.contains("Error code: launch-failed"),
        "{text}"
    );
}
