//! A small table: the same reads of the same plugin, linked in, as a process and as a component.

use std::time::{Duration, Instant};

use anyhow::ensure;
use comfy_table::{Table, presets};
use http::Method;
use palisade_demo::sampler::Samples;
use serde_json::json;

use crate::client::Client;
use crate::narrate::say;
use crate::server::Server;

/// One way to run the plugin.
struct Way {
    label: &'static str,
    entry: &'static str,
    file: Option<&'static str>,
    isolation: Option<&'static str>,
}

const WAYS: [Way; 4] = [
    Way {
        label: "builtin",
        entry: "kv",
        file: None,
        isolation: None,
    },
    Way {
        label: "native process",
        entry: "cmp-native",
        file: Some("kv"),
        isolation: None,
    },
    Way {
        label: "wasm, a store per call",
        entry: "cmp-call",
        file: Some("palisade_kv.wasm"),
        isolation: Some("call"),
    },
    Way {
        label: "wasm, a store per mount",
        entry: "cmp-mount",
        file: Some("palisade_kv.wasm"),
        isolation: Some("mount"),
    },
];

/// Reads in all, in turns so that a slow moment of the machine meets every way.
const ROUNDS: u32 = 5;
const READS: u32 = 400;

/// What was measured of one way.
struct Row {
    label: &'static str,
    first: Duration,
    again: Duration,
    reads: Samples,
    memory: String,
}

/// Measures every way and prints the table.
pub(crate) async fn table(server: &Server) -> anyhow::Result<()> {
    let mut client = Client::connect(server).await?;
    let mut rows = Vec::new();
    for way in &WAYS {
        register(server, &mut client, way).await?;
        rows.push(measure_start(&mut client, way).await?);
    }
    for _ in 0..ROUNDS {
        for (way, row) in WAYS.iter().zip(&mut rows) {
            read(&mut client, way, &mut row.reads).await?;
        }
    }
    for (way, row) in WAYS.iter().zip(&mut rows) {
        row.memory = memory(&mut client, way).await?;
    }
    print(&rows);
    Ok(())
}

async fn register(server: &Server, client: &mut Client, way: &Way) -> anyhow::Result<()> {
    let Some(file) = way.file else { return Ok(()) };
    // Bytes that the server has not seen yet, so that the first start has all its work before it.
    let command = server.restage(file, way.entry)?;
    let mut body = json!({ "sha256": server.sha256(&command)?, "command": command });
    if let Some(isolation) = way.isolation {
        body["isolation"] = isolation.into();
    }
    let path = format!("sys/plugins/catalog/secret/{}", way.entry);
    let answer = client.send(Method::PUT, &path, &body.to_string()).await?;
    ensure!(answer.status.is_success(), "{path}: {}", answer.body);
    Ok(())
}

async fn measure_start(client: &mut Client, way: &Way) -> anyhow::Result<Row> {
    let first = enable(client, way, &format!("{}-first", way.entry)).await?;
    let again = enable(client, way, &mount(way)).await?;
    let path = format!("{}/data/x", mount(way));
    let body = r#"{"data":{"text":"a secret of ordinary length"}}"#;
    let answer = client.send(Method::PUT, &path, body).await?;
    ensure!(answer.status.is_success(), "{path}: {}", answer.body);
    Ok(Row {
        label: way.label,
        first,
        again,
        reads: Samples::default(),
        memory: String::new(),
    })
}

/// How long it takes to verify, start and set up.
async fn enable(client: &mut Client, way: &Way, mount: &str) -> anyhow::Result<Duration> {
    let (path, body) = (
        format!("sys/mounts/{mount}"),
        json!({ "type": way.entry }).to_string(),
    );
    let started = Instant::now();
    let answer = client.send(Method::POST, &path, &body).await?;
    ensure!(answer.status.is_success(), "{path}: {}", answer.body);
    Ok(started.elapsed())
}

fn mount(way: &Way) -> String {
    format!("{}-mount", way.entry)
}

/// What the driver says its plugin holds, after the reads.
async fn memory(client: &mut Client, way: &Way) -> anyhow::Result<String> {
    let answer = client
        .send(Method::GET, &format!("sys/mounts/{}", mount(way)), "")
        .await?;
    let bytes = answer.body["data"]["memory_bytes"].as_u64();
    Ok(match (way.isolation, bytes) {
        (Some("call"), Some(0)) => "none between requests".to_owned(),
        (Some(_), Some(bytes)) => format!("{} (its stores)", megabytes(bytes)),
        (None, Some(bytes)) => format!("{} (its process)", megabytes(bytes)),
        (_, None) => "the server's own".to_owned(),
    })
}

fn megabytes(bytes: u64) -> String {
    format!("{}.{} MiB", bytes >> 20, ((bytes & 0xF_FFFF) * 10) >> 20)
}

async fn read(client: &mut Client, way: &Way, samples: &mut Samples) -> anyhow::Result<()> {
    let path = format!("{}/data/x", mount(way));
    for _ in 0..READS {
        let start = Instant::now();
        let answer = client.send(Method::GET, &path, "").await?;
        samples.push(start.elapsed());
        ensure!(answer.status.is_success(), "{path}: {}", answer.body);
    }
    Ok(())
}

fn print(rows: &[Row]) {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header([
        "",
        "first start",
        "next start",
        "read p50",
        "read p99",
        "memory",
    ]);
    for row in rows {
        table.add_row([
            row.label.to_owned(),
            millis(row.first),
            millis(row.again),
            format!("{:.0} µs", row.reads.p50().as_secs_f64() * 1e6),
            format!("{:.0} µs", row.reads.p99().as_secs_f64() * 1e6),
            row.memory.clone(),
        ]);
    }
    for line in table.to_string().lines() {
        say(line);
    }
    say(
        "A start verifies the bytes, runs them and sets the mount up; a component is also compiled the first time.",
    );
    say("A read is an HTTP request and its answer on one connection, through the whole server.");
}

fn millis(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}
