//! From nothing to a first answer: what a start costs, step by step, beside the plain start of the same file.

use std::collections::BTreeSet;
use std::fmt;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use comfy_table::{Table, presets};
use palisade_contract::{Json, Operation, Request};
use palisade_protocol::cert::Identity;
use palisade_protocol::env::{Application, LaunchEnv};
use palisade_protocol::version::BACKEND_PROTOCOL_VERSION;
use palisade_runtime::catalog::{PluginDirectory, Verified};
use palisade_runtime::driver::native::NativeDriver;
use palisade_runtime::driver::{Driver, Instance, Needs, StartTimes};
use palisade_runtime::services::Deadline;
use palisade_runtime::{Digest, Grants, Limits, ProcessOptions, RuntimeKind, Timeouts, Workers};
use sha2::{Digest as _, Sha256};

use crate::go_host::{GoHost, Spread, Task};
use crate::plan;
use palisade_demo::built::{self, peer};
use palisade_demo::sampler::{Effort, Samples};

/// What each of them answers without storage.
const PATH: &str = "special";

/// How long one start may take on a machine that does other things too.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long is waited before a start that finds a process standing by, as one does that comes some time after another; and
/// before the plain one, because a machine that has rested wakes up slowly.
const PAUSE: Duration = Duration::from_millis(250);

/// How long the end of a process may take.
const GRACE: Duration = Duration::from_secs(2);

/// What was measured of each executable.
pub struct Launches(Vec<OfOneFile>);

struct OfOneFile {
    name: &'static str,
    plain: Samples,
    /// Of a relaunch: until the file executes, and until its handshake line.
    exec: Samples,
    greeting: Samples,
    relaunch: Samples,
    /// Of a start from the sealed copy with no process standing by, until its handshake line.
    unready: Samples,
    cold: Samples,
    /// As go-plugin's own host says of itself.
    go_host: Option<Spread>,
}

/// Measures each executable in interleaved rounds. Those in Go, and their host, are measured where they were built: by
/// the interoperability tests.
///
/// # Errors
///
/// When the guests are not built, or a start fails.
pub async fn compare(workers: Workers, effort: Effort) -> anyhow::Result<Launches> {
    let rounds = if effort.rounds > 2 { 40 } else { 2 };
    let host = GoHost::find();
    let mut all = Vec::new();
    for (name, file, multiplexes) in files() {
        let task = Task {
            file: &file.clone(),
            multiplexes,
            path: PATH,
            launches: rounds,
            calls: 0,
        };
        let go_host = host.as_ref().map(|host| host.measure(task)).transpose()?;
        let subject = Subject::of(&workers, file).await?;
        let mut measured = OfOneFile {
            name,
            plain: Samples::default(),
            exec: Samples::default(),
            greeting: Samples::default(),
            relaunch: Samples::default(),
            unready: Samples::default(),
            cold: Samples::default(),
            go_host: go_host.and_then(|said| said.launch),
        };
        for _ in 0..rounds {
            let_time_pass().await;
            measured.plain.push(subject.start_plainly()?);
            let (relaunch, steps) = subject.relaunch().await?;
            measured.relaunch.push(relaunch);
            measured.exec.push(steps.exec);
            measured.greeting.push(to_greeting(steps));
            measured
                .unready
                .push(to_greeting(subject.launch_unready().await?));
            measured.cold.push(subject.launch_from_disk().await?);
        }
        all.push(measured);
    }
    Ok(Launches(all))
}

/// The executables that are there, by name, and whether each says that it multiplexes.
fn files() -> Vec<(&'static str, PathBuf, bool)> {
    let all = [
        ("mock in Rust", built::program("mock"), true),
        ("mock of OpenBao's SDK in Go", peer("bao-mock"), false),
        ("mock of Vault's SDK in Go", peer("vault-mock"), false),
    ];
    all.into_iter()
        .filter(|(_, file, _)| file.exists())
        .collect()
}

/// One executable, and all that is needed to start it.
struct Subject {
    file: PathBuf,
    workers: Workers,
    driver: NativeDriver,
    directory: PluginDirectory,
    digest: Digest,
    verified: Verified,
}

impl Subject {
    async fn of(workers: &Workers, file: PathBuf) -> anyhow::Result<Self> {
        let workers = workers.clone();
        let directory = PluginDirectory::open(file.parent().context("it lies in a folder")?)?;
        let digest = Digest::new(Sha256::digest(std::fs::read(&file)?).into());
        // What the server finds out once, at its own start.
        workers.protections().await?;
        let verified = directory.verify(command(&file)?, digest).await?;
        let driver = driver(&workers);
        // For the first restart as well.
        expect(&driver);
        Ok(Self {
            driver,
            workers,
            file,
            directory,
            digest,
            verified,
        })
    }

    /// The floor: the operating system starts the file by its path, and the file says that it listens.
    fn start_plainly(&self) -> anyhow::Result<Duration> {
        let folder = tempfile::tempdir()?;
        let identity = Identity::generate()?;
        let env = LaunchEnv {
            application: Application::Backend,
            server_version: env!("CARGO_PKG_VERSION"),
            protocol_versions: &[BACKEND_PROTOCOL_VERSION],
            certificate: Some(identity.certificate()),
            socket_dir: Some(folder.path()),
            metadata_mode: false,
        };
        let begun = Instant::now();
        let mut child = Command::new(&self.file)
            .env_clear()
            .envs(env.variables())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let stdout = child.stdout.take().context("it was asked for")?;
        let mut line = String::new();
        let read = BufReader::new(stdout).read_line(&mut line);
        let took = begun.elapsed();
        child.kill()?;
        child.wait()?;
        anyhow::ensure!(read? > 0, "{} printed no handshake", self.file.display());
        Ok(took)
    }

    /// What a restart costs: the sealed copy is there already, and a process stands by.
    async fn relaunch(&self) -> anyhow::Result<(Duration, StartTimes)> {
        let_time_pass().await;
        let begun = Instant::now();
        let instance = first_answer(&self.driver, self.verified.clone()).await?;
        let took = begun.elapsed();
        let steps = times(&*instance)?;
        instance.stop(GRACE).await;
        Ok((took, steps))
    }

    /// The same when no process stands by, as in a second restart right after the first.
    async fn launch_unready(&self) -> anyhow::Result<StartTimes> {
        let instance = first_answer(&driver(&self.workers), self.verified.clone()).await?;
        let steps = times(&*instance)?;
        instance.stop(GRACE).await;
        Ok(steps)
    }

    /// What a first start costs: the file is read, copied and hashed, while a process is made that stands by. The system has
    /// the file in memory, as it has the plain one.
    async fn launch_from_disk(&self) -> anyhow::Result<Duration> {
        let driver = driver(&self.workers);
        let_time_pass().await;
        let begun = Instant::now();
        expect(&driver);
        let verified = self
            .directory
            .verify(command(&self.file)?, self.digest)
            .await?;
        let instance = first_answer(&driver, verified).await?;
        let took = begun.elapsed();
        instance.stop(GRACE).await;
        Ok(took)
    }
}

/// Lets time pass without rest: a processor that has slept wakes up slowly.
async fn let_time_pass() {
    let until = Instant::now() + PAUSE;
    while Instant::now() < until {
        tokio::task::yield_now().await;
    }
}

/// One that has started nothing yet.
fn driver(workers: &Workers) -> NativeDriver {
    NativeDriver::new(workers.clone(), Timeouts::default(), BTreeSet::new())
}

/// As the runtime does, once it knows the entry.
fn expect(driver: &NativeDriver) {
    driver.expect(Needs {
        limits: &Limits::of(RuntimeKind::Native),
        grants: &Grants::default(),
        process: &ProcessOptions::default(),
    });
}

async fn first_answer(
    driver: &NativeDriver,
    verified: Verified,
) -> anyhow::Result<Arc<dyn Instance>> {
    let instance = driver.launch(plan::alone(verified)?).await?;
    let deadline = Deadline::after(PATIENCE);
    instance.initialize(deadline).await?;
    let request = Request::new(Operation::Read, PATH, Json::null());
    instance.handle(Box::new(request), deadline).await?;
    Ok(instance)
}

fn times(instance: &dyn Instance) -> anyhow::Result<StartTimes> {
    instance.start_times().context("it is a process")
}

fn to_greeting(steps: StartTimes) -> Duration {
    steps.exec + steps.handshake
}

fn command(file: &Path) -> anyhow::Result<&str> {
    let name = file.file_name().and_then(|name| name.to_str());
    name.context("its name is text")
}

impl fmt::Display for Launches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        table.load_style(presets::ASCII_MARKDOWN);
        table.set_header(["a start", "p50", "p99", "p50 to the plain start"]);
        for file in &self.0 {
            for row in file.rows() {
                table.add_row(row);
            }
        }
        write!(f, "{table}")
    }
}

impl OfOneFile {
    fn rows(&self) -> Vec<[String; 4]> {
        let floor = self.plain.p50().as_secs_f64();
        let row = |what: &str, p50: f64, p99: f64| {
            let label = format!("{}: {what}", self.name);
            let ratio = format!("{:.2}", p50 / floor);
            [label, millis(p50), millis(p99), ratio]
        };
        let of = |what, samples: &Samples| {
            row(
                what,
                samples.p50().as_secs_f64(),
                samples.p99().as_secs_f64(),
            )
        };
        let mut rows = vec![
            of(
                "plain start of the file, to its handshake line (floor)",
                &self.plain,
            ),
            of(
                "sealed copy, until it executes behind its walls",
                &self.exec,
            ),
            of("sealed copy, to its handshake line", &self.greeting),
            of("sealed copy, to its first answer", &self.relaunch),
            of(
                "sealed copy with no process standing by, to its handshake line",
                &self.unready,
            ),
            of("from disk, to its first answer", &self.cold),
        ];
        rows.extend(self.go_host.map(|Spread { p50, p99 }| {
            row(
                "go-plugin's host in Go, to its first answer",
                p50 / 1e6,
                p99 / 1e6,
            )
        }));
        rows
    }
}

fn millis(seconds: f64) -> String {
    format!("{:.1} ms", seconds * 1e3)
}
