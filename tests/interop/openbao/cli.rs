//! OpenBao's own command line, against OpenBao and against this server: the same words, the same exit codes.

use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::Duration;

use http::Method;
use libtest_mimic::Trial;
use palisade_demo::other::Other;
use palisade_demo::served::TOKEN;
use tokio::task::spawn_blocking;

use super::{Both, trial};

/// What is typed after `bao`; `SHA256` stands for the digest of the plugin, and each line builds on those before it.
const LINES: &[&str] = &[
    "plugin register -sha256=SHA256 -command=bao-mock -args=-multiplex secret another",
    "secrets enable -path=c another",
    "secrets enable -path=c another",
    "secrets enable -path=d nothing-of-that-name",
    "write c/kv/x value=hello",
    "read c/kv/x",
    "read -format=yaml -field=value c/kv/x",
    "read c/kv/none",
    "list c/kv",
    "delete c/kv/x",
    "read c/nowhere",
    "path-help c",
    "path-help c/kv/x",
    "plugin reload -plugin=another",
    "plugin reload -mounts=c",
    "secrets disable c",
    "secrets disable c",
    "plugin deregister secret another",
    "plugin deregister secret another",
    "secrets enable -path=k -version=2 kv",
    "kv put k/a x=1 y=2",
    "kv get k/a",
    "kv get -field=x k/a",
    "kv put -cas=0 k/a x=1",
    "kv patch k/a z=3",
    "kv list k",
    "kv metadata put -max-versions=3 k/a",
    "kv delete k/a",
    "kv undelete -versions=1 k/a",
    "kv destroy -versions=1 k/a",
    "kv rollback -version=1 k/a",
    "kv metadata delete k/a",
    "kv get k/a",
];

pub(super) fn trials() -> Vec<Trial> {
    vec![trial(
        "bao-mock",
        "its_command_line_says_the_same",
        says_the_same,
    )]
}

async fn says_the_same(both: Both) {
    let sha256 = both.ours.sha256("bao-mock").unwrap();
    for line in LINES {
        let words = line.replace("SHA256", &sha256);
        let typed = both.addresses().map(|address| {
            let words = words.clone();
            spawn_blocking(move || said(address, &words))
        });
        let [theirs, ours] = typed;
        assert_eq!(ours.await.unwrap(), theirs.await.unwrap(), "bao {line}");
        if line.starts_with("secrets enable -path=k ") {
            wait_for_the_engine(&both).await;
        }
    }
}

/// OpenBao's sets itself up after it is enabled, and refuses everything until then.
async fn wait_for_the_engine(both: &Both) {
    for mut client in both.clients().await {
        let mut ask = async || client.send(Method::GET, "k/config", "").await.unwrap();
        while !ask().await.status.is_success() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// What it prints, without what differs from server to server, and its exit code.
fn said(address: SocketAddr, words: &str) -> (String, String, Option<i32>) {
    let output = Command::new(Other::OpenBao.program())
        .args(words.split(' '))
        .env_clear()
        .env("HOME", "/nonexistent")
        .env("BAO_ADDR", format!("http://{address}"))
        .env("BAO_TOKEN", TOKEN)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let alike = |bytes: Vec<u8>| {
        let text = String::from_utf8(bytes).unwrap();
        let text = text.replace(&address.to_string(), "SERVER");
        let lines = text.lines();
        let lines = lines.filter(|line| !line.starts_with("created_time "));
        lines.collect::<Vec<_>>().join("\n")
    };
    let code = output.status.code();
    (alike(output.stdout), alike(output.stderr), code)
}
