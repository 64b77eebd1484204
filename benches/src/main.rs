//! Runs the benchmarks: `palisade-bench [--smoke] [--pinned]`. With `--smoke` it only shows that they still run, with
//! `--pinned` everything that it starts shares one core.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "printing figures is its purpose"
)]

use std::process::ExitCode;

use anyhow::Context;
use palisade_benches::floor::wire;
use palisade_benches::sampler::Effort;
use palisade_benches::{call, launch, load, peers};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.split_first() {
        Some((first, rest)) if first == wire::FAR_END => wire::far_end(rest),
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

fn measure(arguments: &[String]) -> anyhow::Result<()> {
    let mut effort = Effort::FULL;
    let mut pinned = false;
    for argument in arguments {
        match argument.as_str() {
            "--smoke" => effort = Effort::SMOKE,
            "--pinned" => pinned = true,
            _ => anyhow::bail!("usage: palisade-bench [--smoke] [--pinned]"),
        }
    }
    if pinned {
        pin_to_one_core().context("this process could not be pinned to one core")?;
    }
    let workers = palisade_runtime::enter_worker();
    let threads = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    threads.block_on(async {
        let calls = Box::pin(call::compare(workers.clone(), effort)).await?;
        println!("{calls}\n");
        let peers = Box::pin(peers::compare(workers.clone(), effort)).await?;
        println!("{peers}\n");
        let launches = Box::pin(launch::compare(workers, effort)).await?;
        println!("{launches}\n");
        let load = Box::pin(load::compare(effort)).await?;
        println!("{load}");
        Ok(())
    })
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
