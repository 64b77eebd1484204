//! The whole of Palisade in one minute: one plugin source run as a process and as a component behind one catalog,
//! survive a crash in both, and be compared with the same code linked into the server.
//!
//! Everything goes through the `palisade` binary's command line and its HTTP API, as an operator would do it.

mod client;
mod compare;
mod narrate;
mod server;
mod survive;

use std::process::ExitCode;

use anyhow::Context;

use crate::narrate::{act, say};
use crate::server::Server;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            narrate::failure(&error);
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<()> {
    let mut server = Server::start().context("the dev server did not start")?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let told = runtime.block_on(tell(&server));
    act("Stop");
    let left = server.stop()?;
    told?;
    anyhow::ensure!(
        left.is_empty(),
        "these processes outlived the server: {left:?}"
    );
    say("The server has stopped, and with it every plugin it ran.");
    Ok(())
}

async fn tell(server: &Server) -> anyhow::Result<()> {
    act("Register one plugin source in both builds");
    survive::register(server)?;
    act("Write and read through the HTTP API");
    survive::write_and_read(server).await?;
    act("Kill the process");
    survive::kill_the_process(server).await?;
    act("Trap inside the component");
    survive::trap_in_the_component(server).await?;
    act("Compare");
    compare::table(server).await
}
