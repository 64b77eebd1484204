//! A client that sends at fixed times, in a process of its own.

use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use http::Method;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::time::sleep_until;

use palisade_demo::http::Client;
use palisade_demo::sampler::Samples;

/// The word that makes this program the client.
pub const OPEN_LOOP: &str = "--open-loop";

/// Requests per second.
const RATE: u32 = 500;

/// Connections, so that a late answer keeps no other request waiting.
const CONNECTIONS: usize = 64;

/// Requests that may be due and wait for a connection: those of a minute and more.
const QUEUE: usize = 1 << 16;

/// What the client measured, in milliseconds.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Spread {
    /// The median.
    pub p50: f64,
    /// The slowest but one in a hundred.
    pub p99: f64,
    /// Requests that were not answered as they should be.
    pub failed: u64,
}

/// Runs the client in another process of this program.
pub(super) async fn in_a_process(
    server: SocketAddr,
    path: &str,
    time: Duration,
) -> anyhow::Result<Spread> {
    let mut client = Command::new(std::env::current_exe()?);
    client
        .args([OPEN_LOOP, &server.to_string(), path])
        .arg(time.as_millis().to_string())
        .stdin(Stdio::null())
        .stderr(Stdio::inherit());
    let client = tokio::task::spawn_blocking(move || client.output()).await??;
    ensure!(
        client.status.success(),
        "the client failed: {}",
        client.status
    );
    serde_json::from_slice(&client.stdout).context("the client tells what it measured")
}

/// The client's side: sends, and prints a [`Spread`] as JSON.
///
/// # Errors
///
/// When the words are not an address, a path and milliseconds, or nobody listens.
pub async fn open_loop(words: &[String]) -> anyhow::Result<String> {
    let [server, path, millis] = words else {
        anyhow::bail!("usage: {OPEN_LOOP} ADDRESS PATH MILLISECONDS");
    };
    let time = Duration::from_millis(millis.parse()?);
    let spread = drive(server.parse()?, path, time).await?;
    Ok(serde_json::to_string(&spread)?)
}

async fn drive(server: SocketAddr, path: &str, time: Duration) -> anyhow::Result<Spread> {
    let (due, queue) = requests();
    let failed = Arc::new(AtomicU64::new(0));
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        let client = Client::connect(server).await?;
        let (queue, failed, path) = (Arc::clone(&queue), Arc::clone(&failed), path.to_owned());
        connections.push(tokio::spawn(serve(client, queue, path, failed)));
    }
    let lost = send_on_time(due, time).await;
    let mut samples = Samples::default();
    for connection in connections {
        for took in connection.await? {
            samples.push(took);
        }
    }
    let millis = |time: Duration| time.as_secs_f64() * 1e3;
    Ok(Spread {
        p50: millis(samples.p50()),
        p99: millis(samples.p99()),
        failed: failed.load(Ordering::Relaxed) + lost,
    })
}

type Queue = Arc<tokio::sync::Mutex<mpsc::Receiver<Instant>>>;

fn requests() -> (mpsc::Sender<Instant>, Queue) {
    let (due, queue) = mpsc::channel(QUEUE);
    (due, Arc::new(tokio::sync::Mutex::new(queue)))
}

/// Tells how many found the queue full, which is as if they were not answered.
async fn send_on_time(due: mpsc::Sender<Instant>, time: Duration) -> u64 {
    let begun = Instant::now();
    let gap = Duration::from_secs(1) / RATE;
    let mut next = begun;
    let mut lost = 0;
    while next - begun < time {
        sleep_until(next.into()).await;
        lost += u64::from(due.try_send(next).is_err());
        next += gap;
    }
    lost
}

/// Sends what is due, one after the other, and gives what each took from when it was due.
async fn serve(
    mut client: Client,
    queue: Queue,
    path: String,
    failed: Arc<AtomicU64>,
) -> Vec<Duration> {
    let mut took = Vec::new();
    loop {
        let due = queue.lock().await.recv().await;
        let Some(due) = due else { return took };
        match client.expect(Method::PUT, &path, "{}").await {
            Ok(()) => took.push(due.elapsed()),
            Err(_) => {
                failed.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}
