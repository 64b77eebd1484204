//! How many requests with a fresh store one and two threads answer, and how fast such a store is with other settings.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use palisade_contract::{Json, Operation};

use crate::embedded::Embedded;
use crate::floor::component::{Floor, Memory};
use crate::table::{micros, row, table, times};
use palisade_demo::built;
use palisade_demo::sampler::{Effort, Samples, turn};

/// What was measured.
pub(super) struct Scaling {
    settings: Vec<(Memory, Samples)>,
    /// Requests, and the time that they took, by how many asked at once.
    rates: [Rate; 2],
}

#[derive(Clone, Copy, Default)]
struct Rate {
    requests: u64,
    busy: Duration,
}

/// Measures the settings without the runtime, and the threads with it.
pub(super) async fn measure(runtime: &Arc<Embedded>, effort: Effort) -> anyhow::Result<Scaling> {
    let component = built::component("hostile");
    let mut settings = Vec::new();
    for memory in Memory::ALL {
        settings.push((
            memory,
            Floor::limited(&component, memory)?,
            Samples::default(),
        ));
    }
    let slice = Duration::from_millis(if effort.rounds > 2 { 500 } else { 20 });
    let mut rates = [Rate::default(); 2];
    for _ in 0..effort.rounds {
        for (_, floor, samples) in &mut settings {
            turn(samples, effort, async || {
                floor.store().await?.write("echo", "null").await.map(drop)
            })
            .await?;
        }
        for (at, rate) in rates.iter_mut().enumerate() {
            rate.add(drive(runtime, at + 1, slice).await?);
        }
    }
    let settings = settings.into_iter();
    Ok(Scaling {
        settings: settings
            .map(|(memory, _, samples)| (memory, samples))
            .collect(),
        rates,
    })
}

/// So many ask one after the other for as long as the slice lasts, each on a thread of its own.
async fn drive(runtime: &Arc<Embedded>, askers: usize, slice: Duration) -> anyhow::Result<Rate> {
    let begun = Instant::now();
    let asking: Vec<_> = (0..askers)
        .map(|_| {
            let runtime = Arc::clone(runtime);
            tokio::spawn(async move {
                let mut requests = 0_u64;
                while begun.elapsed() < slice {
                    let ask = runtime.ask(Operation::Update, "per-call/echo", Json::null(), None);
                    ask.await?;
                    requests += 1;
                }
                anyhow::Ok(requests)
            })
        })
        .collect();
    let mut requests = 0;
    for asking in asking {
        requests += asking.await??;
    }
    Ok(Rate {
        requests,
        busy: begun.elapsed(),
    })
}

impl Rate {
    fn add(&mut self, more: Self) {
        self.requests += more.requests;
        self.busy += more.busy;
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "a number of requests, far below 2^52"
    )]
    fn per_second(self) -> f64 {
        self.requests as f64 / self.busy.as_secs_f64()
    }
}

impl fmt::Display for Scaling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut settings = table([
            "a new store, set up, asked once, dropped; no runtime",
            "p50",
            "p99",
            "to the fastest",
        ]);
        let fastest = self.settings.iter().map(|(_, samples)| samples.p50()).min();
        for (memory, samples) in &self.settings {
            settings.add_row(row(
                memory.label(),
                samples,
                micros,
                times(samples.p50(), fastest.unwrap_or_default()),
            ));
        }
        writeln!(f, "{settings}\n")?;
        let mut threads = table([
            "a store per call, through the runtime",
            "requests per second",
            "to one",
        ]);
        let [one, two] = self.rates.map(Rate::per_second);
        threads.add_row(["one asks".to_owned(), format!("{one:.0}"), String::new()]);
        let share = format!("{:.2}", two / one);
        threads.add_row(["two ask at once".to_owned(), format!("{two:.0}"), share]);
        write!(f, "{threads}")
    }
}
