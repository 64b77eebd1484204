//! Reads and writes through the whole server, over HTTP: what clients see, one at a time and many at once.
//!
//! The driver shares the machine with the server and its plugins, as in the figures that OpenBao is known by.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use comfy_table::{Table, presets};
use http::Method;
use serde_json::json;

use palisade_demo::built::{self, peer};
use palisade_demo::http::Client;
use palisade_demo::sampler::{Effort, Samples};
use palisade_demo::served::Served;

/// How many clients ask at once.
pub(crate) const CLIENTS: [usize; 3] = [1, 8, 64];

/// One way to run a plugin that keeps a value.
#[derive(Clone)]
pub(crate) struct Way {
    pub(crate) label: &'static str,
    /// Its entry, and where it is mounted.
    name: &'static str,
    /// None for the engine that is linked in.
    file: Option<PathBuf>,
    args: &'static [&'static str],
    isolation: Option<&'static str>,
    path: &'static str,
    body: &'static str,
}

/// What the mock plugins of all languages keep: a read is one read of storage.
const MOCK: (&str, &str) = ("kv/x", r#"{"value":"a secret of ordinary length"}"#);

/// What kv keeps: a read is one of the key's versions and one of the version.
const KV: (&str, &str) = (
    "data/x",
    r#"{"data":{"text":"a secret of ordinary length"}}"#,
);

fn ways() -> Vec<Way> {
    let mock = |label, name, file, args, isolation| Way {
        label,
        name,
        file: Some(file),
        args,
        isolation,
        path: MOCK.0,
        body: MOCK.1,
    };
    let kv = |label, name, file, isolation| Way {
        label,
        name,
        file,
        args: &[],
        isolation,
        path: KV.0,
        body: KV.1,
    };
    let component = || Some(built::component("kv"));
    let all = vec![
        kv("kv, linked in", "kv", None, None),
        kv("kv, a store per call", "kv-call", component(), Some("call")),
        kv(
            "kv, a store per mount",
            "kv-mount",
            component(),
            Some("mount"),
        ),
        mock(
            "mock in Go, multiplexed",
            "go-shared",
            peer("bao-mock"),
            &["-multiplex"],
            None,
        ),
        mock("mock in Go", "go-own", peer("bao-mock"), &[], None),
        mock("mock in Rust", "rust", built::program("mock"), &[], None),
        mock(
            "mock, a store per call",
            "call",
            built::component("mock"),
            &[],
            Some("call"),
        ),
        mock(
            "mock, a store per mount",
            "mount",
            built::component("mock"),
            &[],
            Some("mount"),
        ),
    ];
    let exists = |way: &Way| way.file.as_ref().is_none_or(|file| file.exists());
    all.into_iter().filter(exists).collect()
}

/// What is asked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask {
    Read,
    Write,
}

impl fmt::Display for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Write => "write",
        })
    }
}

/// What was measured of one way, one question and one number of clients.
#[derive(Default)]
pub(crate) struct Cell {
    samples: Samples,
    busy: Duration,
}

/// What was measured of one way and one question.
struct Row {
    way: usize,
    ask: Ask,
    cells: [Cell; CLIENTS.len()],
}

/// What was measured.
pub struct Load {
    ways: Vec<Way>,
    rows: Vec<Row>,
}

/// Measures every way in interleaved rounds.
///
/// # Errors
///
/// When something is not built, or a request fails.
pub async fn compare(effort: Effort) -> anyhow::Result<Load> {
    let (rounds, slice) = match effort.rounds {
        0..=2 => (1, Duration::from_millis(20)),
        _ => (3, Duration::from_millis(500)),
    };
    let mut load = Load::of(ways());
    let mut files: Vec<_> = load
        .ways
        .iter()
        .filter_map(|way| way.file.clone())
        .collect();
    files.sort();
    files.dedup();
    let server = Served::start(&files)?;
    for way in &load.ways {
        way.mount(server.address(), &server).await?;
    }
    for _ in 0..rounds {
        for row in &mut load.rows {
            let way = &load.ways[row.way];
            for (clients, cell) in CLIENTS.iter().zip(&mut row.cells) {
                let address = server.address();
                drive(address, way, row.ask, *clients, slice, cell).await?;
            }
        }
    }
    Ok(load)
}

/// All clients ask one after the other for as long as the slice lasts.
pub(crate) async fn drive(
    server: SocketAddr,
    way: &Way,
    ask: Ask,
    clients: usize,
    slice: Duration,
    cell: &mut Cell,
) -> anyhow::Result<()> {
    let mut connected = Vec::with_capacity(clients);
    for _ in 0..clients {
        let mut client = Client::connect(server).await?;
        // Its first request finds what the server makes for a connection.
        client.expect(Method::GET, &way.at(), "").await?;
        connected.push(client);
    }
    let begun = Instant::now();
    let until = begun + slice;
    let asking = connected.into_iter().enumerate().map(|(number, client)| {
        // Reads share a key. Writes do not: of two to one key at once, one has to wait for the other.
        let path = match ask {
            Ask::Read => way.at(),
            Ask::Write => format!("{}{number}", way.at()),
        };
        tokio::spawn(keep_asking(client, path, way.body, ask, until))
    });
    for asking in asking.collect::<Vec<_>>() {
        for took in asking.await?? {
            cell.samples.push(took);
        }
    }
    cell.busy += begun.elapsed();
    Ok(())
}

async fn keep_asking(
    mut client: Client,
    path: String,
    body: &'static str,
    ask: Ask,
    until: Instant,
) -> anyhow::Result<Vec<Duration>> {
    let mut took = Vec::new();
    loop {
        let start = Instant::now();
        if start >= until {
            return Ok(took);
        }
        match ask {
            Ask::Read => client.expect(Method::GET, &path, "").await?,
            Ask::Write => client.expect(Method::PUT, &path, body).await?,
        }
        took.push(start.elapsed());
    }
}

impl Way {
    /// The mock plugin of an SDK, one process for all, as any server of the family runs it.
    pub(crate) fn through_both(mock: &'static str) -> Self {
        Self {
            label: mock,
            name: mock,
            file: Some(peer(mock)),
            args: &["-multiplex"],
            isolation: None,
            path: MOCK.0,
            body: MOCK.1,
        }
    }

    /// Registers it, enables it, and has it keep the value. Its file is in the plugin directory of `staged`, which the
    /// server uses too, if it is another one.
    pub(crate) async fn mount(&self, server: SocketAddr, staged: &Served) -> anyhow::Result<()> {
        let mut client = Client::connect(server).await?;
        if let Some(file) = &self.file {
            let command = file.file_name().unwrap_or_default().to_string_lossy();
            let mut body = json!({
                "sha256": staged.sha256(&command)?,
                "command": command,
                "args": self.args,
            });
            if let Some(isolation) = self.isolation {
                body["isolation"] = isolation.into();
            }
            client.register(self.name, &body).await?;
        }
        client.enable(self.name).await?;
        client.expect(Method::PUT, &self.at(), self.body).await
    }

    fn at(&self) -> String {
        format!("{}/{}", self.name, self.path)
    }
}

impl Load {
    fn of(ways: Vec<Way>) -> Self {
        let asks = [Ask::Read, Ask::Write];
        let rows = asks.iter().flat_map(|ask| {
            let row = |way| Row {
                way,
                ask: *ask,
                cells: Default::default(),
            };
            (0..ways.len()).map(row)
        });
        Self {
            rows: rows.collect(),
            ways,
        }
    }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        table.load_style(presets::ASCII_MARKDOWN);
        let heads = CLIENTS.iter().map(|clients| match clients {
            1 => "1 client".to_owned(),
            many => format!("{many} clients"),
        });
        let what = "over HTTP: requests per second / p50 / p99".to_owned();
        table.set_header([what].into_iter().chain(heads));
        for row in &self.rows {
            let label = format!("{}: {}", row.ask, self.ways[row.way].label);
            let cells = row.cells.iter().map(ToString::to_string);
            table.add_row([label].into_iter().chain(cells));
        }
        write!(f, "{table}")
    }
}

impl Cell {
    /// Requests per second.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a number of requests, far below 2^52"
    )]
    pub(crate) fn rate(&self) -> f64 {
        self.samples.len() as f64 / self.busy.as_secs_f64()
    }

    /// How long the middle one took.
    pub(crate) fn p50(&self) -> Duration {
        self.samples.p50()
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rate = self.rate();
        let millis = |time: Duration| time.as_secs_f64() * 1e3;
        let (p50, p99) = (millis(self.p50()), millis(self.samples.percentile(0.99)));
        write!(f, "{rate:.0} / {p50:.2} / {p99:.1} ms")
    }
}
