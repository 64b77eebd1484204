//! Runs the benchmarks: `palisade-bench [--smoke] [--pinned] [PART...]`. With `--smoke` it only shows that they still run, with
//! `--pinned` everything that it starts shares one core. Without a part it runs those that take minutes.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "printing figures is its purpose"
)]

use std::process::ExitCode;

use anyhow::Context;
use palisade_benches::floor::wire;
use palisade_benches::{beside, call, fairness, launch, load, peers, soak, stores};
use palisade_demo::other::Other;
use palisade_demo::sampler::Effort;
use palisade_runtime::Workers;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use tokio::runtime::{Builder, Runtime};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.split_first() {
        Some((first, rest)) if first == wire::FAR_END => wire::far_end(rest),
        Some((first, rest)) if first == fairness::OPEN_LOOP => open_loop(rest),
        _ => measure(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// What can be measured: its name, and whether it is measured when none is named.
const PARTS: [(&str, bool); 9] = [
    ("calls", true),
    ("peers", true),
    ("launches", true),
    ("load", true),
    ("stores", true),
    ("fairness", false),
    ("soak", false),
    ("openbao", false),
    ("vault", false),
];

fn measure(arguments: &[String]) -> anyhow::Result<()> {
    let mut effort = Effort::FULL;
    let mut pinned = false;
    let mut named = Vec::new();
    for argument in arguments {
        match argument.as_str() {
            "--smoke" => effort = Effort::SMOKE,
            "--pinned" => pinned = true,
            part if PARTS.iter().any(|(name, _)| *name == part) => named.push(part),
            _ => anyhow::bail!(
                "usage: palisade-bench [--smoke] [--pinned] [PART...], of the parts {}",
                PARTS.map(|(name, _)| name).join(", ")
            ),
        }
    }
    if pinned {
        pin_to_one_core().context("this process could not be pinned to one core")?;
    }
    let workers = palisade_runtime::enter_worker();
    // On one core a second thread would only wait for the first; without one, whoever asks waits for sockets itself, as
    // a server's threads do.
    let threads = match pinned {
        true => Builder::new_current_thread().enable_all().build()?,
        false => threads()?,
    };
    for (part, is_usual) in PARTS {
        if named.contains(&part) || (named.is_empty() && is_usual) {
            let figures = threads.block_on(Box::pin(figures(part, &workers, effort)))?;
            println!("{figures}\n");
        }
    }
    Ok(())
}

async fn figures(part: &str, workers: &Workers, effort: Effort) -> anyhow::Result<String> {
    let workers = workers.clone();
    Ok(match part {
        "calls" => Box::pin(call::compare(workers, effort)).await?.to_string(),
        "peers" => peers::compare(workers, effort).await?.to_string(),
        "launches" => launch::compare(workers, effort).await?.to_string(),
        "load" => load::compare(effort).await?.to_string(),
        "stores" => stores::compare(workers, effort).await?.to_string(),
        "fairness" => fairness::compare(effort).await?.to_string(),
        "openbao" => beside::compare(Other::OpenBao, effort).await?.to_string(),
        "vault" => beside::compare(Other::VaultCore, effort).await?.to_string(),
        "soak" => soak::run(workers, effort).await?.to_string(),
        other => anyhow::bail!("there is no part {other}"),
    })
}

fn open_loop(words: &[String]) -> anyhow::Result<()> {
    let measured = threads()?.block_on(fairness::open_loop(words))?;
    println!("{measured}");
    Ok(())
}

fn threads() -> std::io::Result<Runtime> {
    Builder::new_multi_thread().enable_all().build()
}

/// Threads and processes stay where the one that starts them is, and as yet this is the only thread.
fn pin_to_one_core() -> anyhow::Result<()> {
    let allowed = sched_getaffinity(None)?;
    let first = (0..CpuSet::MAX_CPU).find(|core| allowed.is_set(*core));
    let mut one = CpuSet::new();
    one.set(first.context("there is a core to run on")?);
    sched_setaffinity(None, &one)?;
    Ok(())
}
