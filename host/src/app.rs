//! The server from its first setting to its last connection.
//!
//! Boot order: settings, log, memory, signals, sockets (a second server fails here, before it touches anything), storage, barrier,
//! identity and root token, plugin directory, runtime, API. Stopping is the way back: no new connections, drain, runtime,
//! end.

mod banner;
mod code_folder;
mod identity;
mod memory;
mod plan;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use palisade_runtime::catalog::{Custody, PluginDirectory};
use palisade_runtime::driver::CodeCache;
use palisade_runtime::services::SystemFacts;
use palisade_runtime::{
    ErrorKind, FolderRoot, GrammarError, MountError, NewMount, Runtime, RuntimeBuilder, Workers,
};
use tokio::sync::watch;

use crate::api::{self, Facts};
use crate::args;
use crate::cli::{Failure, report};
use crate::listener::Listeners;
use crate::signals::Signals;
use identity::Identity;
use plan::Plan;

/// The code of a start for which the system does not give what it always gives.
const INTERNAL: &str = "internal";

/// The code of a start without a socket.
const LISTEN_FAILED: &str = "listen-failed";

/// How long requests may go on after the first signal.
const DRAIN: Duration = Duration::from_secs(10);

/// How long the runtime may take to stop every plugin: its own drain and grace, and some room.
const STOP: Duration = Duration::from_secs(30);

/// Runs the server until it is told to stop.
pub(crate) async fn serve(args: args::Server, workers: Workers) -> ExitCode {
    report(run(args, workers).await)
}

async fn run(args: args::Server, workers: Workers) -> Result<(), Failure> {
    let plan = Plan::of(args)?;
    start_log(&plan.log_level)?;
    memory::guard();
    let mut signals = Signals::catch()
        .map_err(|fault| Failure::coded(INTERNAL, format!("signals cannot be caught: {fault}")))?;
    let listeners = Listeners::open(&plan.listeners)
        .await
        .map_err(|fault| Failure::coded(LISTEN_FAILED, fault))?;
    let directory = plan
        .plugin_directory
        .as_deref()
        .map(|path| open_directory(path, plan.custody.clone()))
        .transpose()?;
    let folders = plan.plugin_folders_root.as_deref();
    let folders = folders.map(open_folders).transpose()?;
    let barrier = plan.open_store().await?;
    let (identity, new_token) = Identity::load_or_make(&*barrier, &plan).await?;
    let code_folder = plan.code_folder()?;
    let code_cache = CodeCache {
        folder: code_folder.path().to_owned(),
        bytes_max: CodeCache::BYTES_MAX,
        keys: barrier.code_keys(),
    };
    let mut builder = Runtime::builder()
        .workers(workers)
        .store(barrier)
        .code_cache(code_cache)
        .system_facts(facts(&plan, &identity))
        .require_layers(plan.required_layers.clone())
        .grant_ceiling(plan.grant_ceiling.clone())
        .timeouts(plan.timeouts.clone());
    if let Some(folders) = folders {
        builder = builder.folders(folders);
    }
    let runtime = build_runtime(builder, directory).await?;
    if plan.enables_kv {
        enable_kv(&runtime).await?;
    }
    banner::print(&plan, &listeners.addresses(), new_token.as_ref())?;
    let server = Arc::new(server(&plan, identity, runtime.clone()));
    let (stop, stopped) = watch::channel(false);
    let serving = tokio::spawn(listeners.serve(api::router(server), stopped, DRAIN));
    let signal = signals.next().await;
    tracing::info!(
        signal,
        "stopping: requests in flight are finished, plugins are stopped"
    );
    stop.send_replace(true);
    let ended = async {
        // A panic of the serving task has been logged; the plugins are stopped all the same.
        let _ = serving.await;
        tokio::time::timeout(STOP, runtime.shutdown()).await
    };
    tokio::select! {
        ended = ended => ended.map_err(|_| Failure::local(format!("plugins were not stopped within {STOP:?}"))),
        signal = signals.next() => Err(Failure::local(format!("ended at once by a second signal, {signal}"))),
    }
}

fn start_log(level: &str) -> Result<(), Failure> {
    let level: tracing::Level = level.parse().map_err(|_| {
        Failure::coded(
            ErrorKind::InvalidInput.code(),
            format!("the log level {level:?} is none of trace, debug, info, warn, error"),
        )
    })?;
    // Standard output is for the banner and the root token, which scripts read.
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_ansi(false)
        .with_writer(std::io::stderr)
        .try_init()
        .map_err(|fault| Failure::coded(INTERNAL, format!("the log cannot be started: {fault}")))
}

fn open_directory(path: &Path, custody: Custody) -> Result<PluginDirectory, Failure> {
    PluginDirectory::open_in(path, custody).map_err(|error| {
        let text = format!("plugin_directory {}: {error}", path.display());
        Failure::coded(error.kind().code(), text)
    })
}

fn open_folders(path: &Path) -> Result<FolderRoot, Failure> {
    FolderRoot::open(path).map_err(|error| {
        let text = format!("plugin_folders_root: {error}");
        Failure::coded(ErrorKind::InvalidInput.code(), text)
    })
}

/// What plugins are told of this server.
fn facts(plan: &Plan, identity: &Identity) -> SystemFacts {
    SystemFacts {
        default_lease_ttl: plan.default_lease_ttl,
        max_lease_ttl: plan.max_lease_ttl,
        cluster_id: identity.cluster_id.clone(),
        ..SystemFacts::default()
    }
}

async fn build_runtime(
    builder: RuntimeBuilder,
    directory: Option<PluginDirectory>,
) -> Result<Runtime, Failure> {
    let name = "kv"
        .parse()
        .map_err(|error: GrammarError| Failure::coded(ErrorKind::InvalidInput.code(), error))?;
    let mut builder = builder.builtin(name, palisade_kv::plugin());
    if let Some(directory) = directory {
        builder = builder.plugin_directory(directory);
    }
    builder
        .build()
        .await
        .map_err(|error| mount_failure("the runtime cannot be started", &error))
}

/// As OpenBao's development server does.
async fn enable_kv(runtime: &Runtime) -> Result<(), Failure> {
    let mount = NewMount {
        plugin: "kv".to_owned(),
        description: "key/value secret storage".to_owned(),
        options: [("version".to_owned(), "2".to_owned())].into(),
        ..NewMount::default()
    };
    let path = "secret/"
        .parse()
        .map_err(|error: GrammarError| Failure::coded(ErrorKind::InvalidInput.code(), error))?;
    match runtime.enable(path, mount).await {
        Ok(_) => Ok(()),
        Err(error) => Err(mount_failure("secret/ cannot be enabled", &error)),
    }
}

fn mount_failure(what: &str, error: &MountError) -> Failure {
    Failure::coded(error.kind().code(), format!("{what}: {error}"))
}

fn server(plan: &Plan, identity: Identity, runtime: Runtime) -> api::Server {
    api::Server {
        runtime,
        facts: Facts {
            cluster_name: identity.cluster_name,
            cluster_id: identity.cluster_id,
            storage_type: plan.storage_type(),
        },
        root: identity.root,
    }
}

/// Where the root token goes at the first start.
#[derive(Debug)]
enum TokenSink {
    /// Into this file, mode 0600.
    File(PathBuf),
    /// Into the banner.
    Banner,
}
