//! The acts: register, write, read, crash in both modes, and read again.

use anyhow::ensure;
use http::Method;
use rustix::process::{Signal, kill_process};
use serde_json::json;

use crate::client::Client;
use crate::narrate::say;
use crate::server::Server;

/// Registers the same source as an executable and as a component, and a guest that misbehaves on request.
pub(crate) fn register(server: &Server) -> anyhow::Result<()> {
    for (name, file) in [
        ("kv-native", "kv"),
        ("kv-wasm", "palisade_kv.wasm"),
        ("hostile", "palisade_hostile.wasm"),
    ] {
        let digest = format!("-sha256={}", server.sha256(file)?);
        let command = format!("-command={file}");
        server.cli(&["plugin", "register", &digest, &command, "secret", name])?;
    }
    for (path, name) in [
        ("native", "kv-native"),
        ("wasm", "kv-wasm"),
        ("hostile", "hostile"),
    ] {
        server.cli(&["secrets", "enable", &format!("-path={path}"), name])?;
    }
    server.cli(&["plugin", "list", "-detailed", "secret"])?;
    Ok(())
}

/// The same request to both modes, and the same answer.
pub(crate) async fn write_and_read(server: &Server) -> anyhow::Result<()> {
    let mut client = Client::connect(server).await?;
    for mount in ["native", "wasm"] {
        let body = json!({ "data": { "text": format!("written by the {mount} plugin") } });
        let path = format!("{mount}/data/greeting");
        let written = client.show(Method::PUT, &path, &body.to_string()).await?;
        ensure!(written.status.is_success(), "the write failed");
        reads_back(&mut client, mount).await?;
    }
    Ok(())
}

/// `kill -9` of the plugin's process; the next request starts a new one.
pub(crate) async fn kill_the_process(server: &Server) -> anyhow::Result<()> {
    let old = server.plugin_process()?;
    kill_process(old, Signal::KILL)?;
    say(&format!("kill -9 {old}: the process of kv-native"));
    let mut client = Client::connect(server).await?;
    reads_back(&mut client, "native").await?;
    let new = server.plugin_process()?;
    ensure!(new != old, "the process was not replaced");
    say(&format!(
        "Process {new} answered: started for this request, with the data intact."
    ));
    Ok(())
}

/// A trap takes one store away; the component, its neighbours and the data stay.
pub(crate) async fn trap_in_the_component(server: &Server) -> anyhow::Result<()> {
    let mut client = Client::connect(server).await?;
    client
        .show(Method::PUT, "hostile/store/kept", r#"{"value":"before"}"#)
        .await?;
    let half = r#"{"value":"half"}"#;
    let trapped = client
        .show(Method::PUT, "hostile/write-then/trap/kept", half)
        .await?;
    ensure!(
        trapped.code.as_deref() == Some("trap"),
        "it should have trapped"
    );
    let read = client.show(Method::GET, "hostile/store/kept", "").await?;
    ensure!(
        read.body["data"]["value"] == "before",
        "the trapped request left something behind"
    );
    say("The trapped request's write is not visible; the next request was answered.");
    reads_back(&mut client, "wasm").await
}

async fn reads_back(client: &mut Client, mount: &str) -> anyhow::Result<()> {
    let answer = client
        .show(Method::GET, &format!("{mount}/data/greeting"), "")
        .await?;
    let expected = format!("written by the {mount} plugin");
    ensure!(
        answer.body["data"]["data"]["text"] == expected,
        "the data of {mount} is not intact"
    );
    Ok(())
}
