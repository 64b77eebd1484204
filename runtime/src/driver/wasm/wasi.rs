//! The WASI interfaces that standard libraries import, one by one, with nothing behind them but what the entry states: its
//! environment, no arguments, a closed input, and output that goes line by line into the plugin's bounded log.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime::Result;
use wasmtime::component::{HasData, HasSelf, Linker, Resource, ResourceTable};
use wasmtime_wasi::cli::{IsTerminal, StdoutStream, WasiCli, WasiCliView};
use wasmtime_wasi::clocks::{WasiClocks, WasiClocksView};
use wasmtime_wasi::p2::bindings::{cli, clocks as wasi_clocks};
use wasmtime_wasi::p2::{DynPollable, OutputStream, Pollable, StreamError, StreamResult};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_io::bindings::wasi::io;

use super::clocks;
use super::deny::Denies;
use super::files;
use super::random;
use super::store::{HANDLES_MAX, StoreState};
use crate::services::MountServices;

/// What a guest may write at once, in bytes. A line that has as many is handed on without waiting for its end.
const LINE_BYTES_MAX: usize = 4 << 10;

/// Links exactly what the inspector lets through.
pub(super) fn link(linker: &mut Linker<StoreState>) -> Result<()> {
    link_cli(linker)?;
    io::error::add_to_linker::<_, Table>(linker, |state| &mut state.table)?;
    io::poll::add_to_linker::<_, HasSelf<StoreState>>(linker, |state| state)?;
    io::streams::add_to_linker::<_, HasSelf<StoreState>>(linker, |state| state)?;
    wasi_clocks::wall_clock::add_to_linker::<_, WasiClocks>(linker, |state| {
        state.noted("wasi:clocks/wall-clock").clocks()
    })?;
    wasi_clocks::monotonic_clock::add_to_linker::<_, WasiClocks>(linker, |state| {
        state.noted("wasi:clocks/monotonic-clock").clocks()
    })?;
    random::link(linker)?;
    files::link(linker)
}

fn link_cli(linker: &mut Linker<StoreState>) -> Result<()> {
    cli::environment::add_to_linker::<_, WasiCli>(linker, WasiCliView::cli)?;
    cli::exit::add_to_linker::<_, WasiCli>(linker, WasiCliView::cli)?;
    cli::stdin::add_to_linker::<_, WasiCli>(linker, WasiCliView::cli)?;
    cli::stdout::add_to_linker::<_, WasiCli>(linker, WasiCliView::cli)?;
    cli::stderr::add_to_linker::<_, WasiCli>(linker, WasiCliView::cli)?;
    cli::terminal_input::add_to_linker::<_, WasiCli>(linker, WasiCliView::cli)?;
    cli::terminal_output::add_to_linker::<_, WasiCli>(linker, WasiCliView::cli)?;
    cli::terminal_stdin::add_to_linker::<_, WasiCli>(linker, WasiCliView::cli)?;
    cli::terminal_stdout::add_to_linker::<_, WasiCli>(linker, WasiCliView::cli)?;
    cli::terminal_stderr::add_to_linker::<_, WasiCli>(linker, WasiCliView::cli)
}

/// The table of handles, as the interfaces of `wasi:io` want to see it.
struct Table;

impl HasData for Table {
    type Data<'a> = &'a mut ResourceTable;
}

/// The variables that an entry states, each with its value.
pub(super) type Environment = Arc<[(String, String)]>;

/// Reads what an entry states; registration has seen that each is `NAME=value`.
pub(super) fn environment(stated: &[String]) -> Environment {
    let pairs = stated.iter().filter_map(|entry| entry.split_once('='));
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// A store's WASI context, made when the guest first asks for it: most requests never do.
pub(super) struct Wasi {
    context: Option<WasiCtx>,
    environment: Environment,
    stdout: Output,
    stderr: Output,
}

impl Wasi {
    /// No context yet; output will go to `services`.
    pub(super) fn new(services: &Arc<MountServices>, environment: &Environment) -> Self {
        Self {
            context: None,
            environment: Arc::clone(environment),
            stdout: Output::new("stdout", services),
            stderr: Output::new("stderr", services),
        }
    }

    /// Hands on what was written without an end of line.
    pub(super) fn flush(&self) {
        self.stdout.hand_on();
        self.stderr.hand_on();
    }

    fn context(&mut self) -> &mut WasiCtx {
        let (stdout, stderr, environment) = (&self.stdout, &self.stderr, &self.environment);
        self.context.get_or_insert_with(|| {
            WasiCtx::builder()
                .stdout(stdout.clone())
                .stderr(stderr.clone())
                .envs(environment)
                .wall_clock(clocks::WallClock)
                .monotonic_clock(clocks::MonotonicClock::new())
                .build()
        })
    }
}

impl WasiView for StoreState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: self.wasi.context(),
            table: &mut self.table,
        }
    }
}

impl Denies for StoreState {
    fn handles(&mut self) -> &mut ResourceTable {
        &mut self.table
    }

    async fn charge(&mut self, bytes: usize) {
        self.meter.charge(bytes).await;
    }
}

/// Waiting is left to the table; what is our own is that a long list is refused and that asking costs something.
/// Asking a million times whether a clock has struck would otherwise hold the thread and burn no fuel.
impl io::poll::Host for StoreState {
    async fn poll(&mut self, pollables: Vec<Resource<DynPollable>>) -> Result<Vec<u32>> {
        if pollables.len() > HANDLES_MAX {
            let asked = pollables.len();
            wasmtime::bail!("it polled {asked} handles at once, {HANDLES_MAX} are allowed");
        }
        let bytes = pollables.len() * size_of::<u64>();
        self.called("wasi:io/poll", "poll", bytes).await;
        let ready = io::poll::Host::poll(&mut self.table, pollables).await?;
        self.given(ready)
    }
}

impl io::poll::HostPollable for StoreState {
    async fn ready(&mut self, pollable: Resource<DynPollable>) -> Result<bool> {
        self.called("wasi:io/poll", "pollable.ready", 0).await;
        let ready = io::poll::HostPollable::ready(&mut self.table, pollable).await?;
        self.given(ready)
    }

    async fn block(&mut self, pollable: Resource<DynPollable>) -> Result<()> {
        self.called("wasi:io/poll", "pollable.block", 0).await;
        io::poll::HostPollable::block(&mut self.table, pollable).await?;
        self.given(())
    }

    fn drop(&mut self, pollable: Resource<DynPollable>) -> Result<()> {
        io::poll::HostPollable::drop(&mut self.table, pollable)
    }
}

/// One of a guest's two output streams. All handles of it share one line.
#[derive(Clone)]
struct Output {
    stream: &'static str,
    services: Arc<MountServices>,
    line: Arc<Mutex<Vec<u8>>>,
}

impl Output {
    fn new(stream: &'static str, services: &Arc<MountServices>) -> Self {
        Self {
            stream,
            services: Arc::clone(services),
            line: Arc::default(),
        }
    }

    /// Empty lines say nothing and are skipped. Once the log has no room, the rest of what was written at once is
    /// dropped: lines are looked for, formatted and asked for only as long as they are wanted.
    fn append(&self, bytes: &[u8]) {
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        let mut parts = bytes.split(|byte| *byte == b'\n').peekable();
        while let Some(part) = parts.next() {
            line.extend_from_slice(part);
            let is_whole = parts.peek().is_some() || line.len() >= LINE_BYTES_MAX;
            if !is_whole || line.is_empty() {
                continue;
            }
            let has_room = self.services.log().try_output(self.stream, &line);
            line.clear();
            if !has_room {
                return;
            }
        }
    }

    fn hand_on(&self) {
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        if !line.is_empty() {
            self.services.log().output(self.stream, &line);
            line.clear();
        }
    }
}

impl IsTerminal for Output {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Output {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }

    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        // Only WASI 0.3 asks for one of these, and it is not linked.
        Box::new(tokio::io::sink())
    }
}

#[async_trait]
impl OutputStream for Output {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        if bytes.len() > LINE_BYTES_MAX {
            return Err(StreamError::trap(
                "it wrote more at once than it was allowed",
            ));
        }
        self.append(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(LINE_BYTES_MAX)
    }
}

#[async_trait]
impl Pollable for Output {
    async fn ready(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;
    use crate::driver::testing::services;

    fn output(log_bytes: u64) -> Output {
        let limits = Limits {
            log_bytes,
            ..Limits::default()
        };
        Output::new("stdout", &services(&limits))
    }

    #[test]
    fn ends_of_lines_alone_never_reach_the_log() {
        let output = output(0);
        output.append(&[b'\n'; LINE_BYTES_MAX]);
        assert_eq!(output.services.log().take_dropped(), 0);
    }

    #[test]
    fn the_log_is_asked_once_for_a_write_that_it_has_no_room_for() {
        let output = output(0);
        output.append(&b"x\n".repeat(LINE_BYTES_MAX / 2));
        assert_eq!(output.services.log().take_dropped(), 1);
    }

    #[test]
    fn a_line_in_pieces_is_one_line() {
        let output = output(0);
        output.append(b"one ");
        output.append(b"line\n");
        output.append(b"and the next");
        assert_eq!(output.services.log().take_dropped(), 1);
        output.hand_on();
        assert_eq!(output.services.log().take_dropped(), 1);
    }
}
