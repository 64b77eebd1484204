//! `palisade`: a secrets server whose plugins run as native processes or as WebAssembly components, and its command line.

mod api;
mod app;
mod args;
mod barrier;
mod boolean;
mod cli;
mod client;
mod config;
mod env;
mod listener;
mod output;
mod seal;
mod signals;
mod token;

use std::future::Future;
use std::io::Write;
use std::process::ExitCode;

use args::Command;

/// Does what the arguments of this process ask for, to its exit code: 0, or 1 after a fault, as with `bao`.
///
/// To be called first, while the process has one thread.
pub fn main() -> ExitCode {
    // A worker does its job here and never returns.
    let workers = palisade_runtime::enter_worker();
    let command = match args::parse(std::env::args_os()) {
        Ok(cli) => cli.command,
        Err(refusal) => return explain(&refusal),
    };
    match command {
        Command::Server(args) => run(app::serve(args, workers)),
        command => run(cli::run(command, workers)),
    }
}

/// What was asked for goes to standard output and is a success; a fault is exit code 1, as with `bao`.
fn explain(refusal: &args::Refusal) -> ExitCode {
    // When the stream is closed, the exit code alone has to tell.
    if refusal.asked_for {
        let _ = writeln!(std::io::stdout(), "{}", refusal.text);
        return ExitCode::SUCCESS;
    }
    let _ = writeln!(std::io::stderr(), "{}", refusal.text);
    ExitCode::FAILURE
}

fn run(work: impl Future<Output = ExitCode>) -> ExitCode {
    match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => {
            let code = runtime.block_on(work);
            // Whatever blocks by now was asked to stop and did not; the process ends all the same.
            runtime.shutdown_background();
            code
        }
        Err(fault) => cli::report(Err(cli::Failure::local(format!(
            "no threads can be started: {fault}"
        )))),
    }
}
