//! Runs the benchmarks: `palisade-bench [--smoke]`. With `--smoke` it only shows that they still run.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "printing figures is its purpose"
)]

use std::process::ExitCode;

use palisade_benches::call;
use palisade_benches::floor::wire;
use palisade_benches::sampler::Effort;

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
    let effort = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => Effort::FULL,
        ["--smoke"] => Effort::SMOKE,
        _ => anyhow::bail!("usage: palisade-bench [--smoke]"),
    };
    let workers = palisade_runtime::enter_worker();
    let threads = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    println!("{}", threads.block_on(call::compare(workers, effort))?);
    Ok(())
}
