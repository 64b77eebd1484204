//! The one seam between the ways to run a plugin: above it nobody knows which.

pub mod builtin;
mod code_cache;
mod compilation;
mod database;
pub mod native;
#[cfg(test)]
pub(crate) mod testing;
pub mod wasm;

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;

pub use code_cache::{CodeCache, CodeKey, CodeKeys};
pub use compilation::{Compilation, CompilationCounts};
pub use database::{Database, DatabaseConfig, DatabasePlan, DatabasePlugin};

use crate::catalog::{Entry, Program};
use crate::services::{Deadline, MountServices};
use crate::{CallError, Digest, Grants, LaunchError, Limits, ProcessOptions, Profile};
use palisade_contract::{Description, Existence, PluginType, Request, Response, SetupConfig};

/// Starts plugins of one kind.
#[async_trait]
pub trait Driver: Send + Sync {
    /// Starts `plan` for its mount, up to and including `setup`, and hands back the only handle to it.
    async fn launch(&self, plan: LaunchPlan) -> Result<Arc<dyn Instance>, LaunchError>;

    /// A plugin of these needs is to be launched as soon as its artifact is verified. What a driver can make ready meanwhile is
    /// ready then. Called from within a tokio runtime, and does not block.
    fn expect(&self, _needs: Needs<'_>) {}

    /// Nothing more will be launched: what was made ready goes.
    fn close(&self) {}

    /// Starts a database plugin, which has no instance yet. A driver that runs none says so.
    async fn launch_database(
        &self,
        plan: DatabasePlan,
    ) -> Result<Arc<dyn DatabasePlugin>, LaunchError> {
        Err(database::not_run(&plan.label))
    }

    /// Where the artifact of that digest is on its way to code under a profile; nothing from a driver that compiles nothing,
    /// or not this.
    fn compilation(&self, _profile: Profile, _digest: Digest) -> Option<Compilation> {
        None
    }

    /// How its compilations went, of a driver that compiles.
    fn compilation_counts(&self) -> Option<CompilationCounts> {
        None
    }
}

/// What a plugin may use, which decides about the walls around it.
#[derive(Clone, Copy)]
pub struct Needs<'a> {
    /// What it may use.
    pub limits: &'a Limits,
    /// What it may do besides.
    pub grants: &'a Grants,
    /// How its process is started, if it has one.
    pub process: &'a ProcessOptions,
}

impl<'a> Needs<'a> {
    /// Those of an entry.
    pub fn of(entry: &'a Entry) -> Self {
        Self {
            limits: &entry.limits,
            grants: &entry.grants,
            process: &entry.process,
        }
    }
}

/// Everything a driver needs to start one plugin for one mount.
#[derive(Clone)]
pub struct LaunchPlan {
    /// The verified bytes, or the builtin.
    pub program: Program,
    /// The entry's name and version, for logs and errors.
    pub label: String,
    /// What the entry says the plugin is for; the plugin must say the same.
    pub plugin_type: PluginType,
    /// What it may use.
    pub limits: Arc<Limits>,
    /// What it may do besides.
    pub grants: Grants,
    /// How its process is started, if it has one.
    pub process: ProcessOptions,
    /// A process that mounts share is joined only if its start began after this moment: a reload asks for a new one.
    pub started_after: Option<Instant>,
    /// What the mount tells its backend.
    pub config: Arc<SetupConfig>,
    /// What the host offers it, already bound to the mount.
    pub services: Arc<MountServices>,
}

/// A plugin running for one mount. Dropping the last handle ends it at once; `stop` ends it politely.
///
/// Every call honours the deadline, and an instance is safe to use from many tasks at once.
#[async_trait]
pub trait Instance: Send + Sync {
    /// What the plugin said it is.
    fn description(&self) -> &Description;

    /// Whether it ends every call at its deadline by itself. One that does not is left a little later.
    fn keeps_deadlines(&self) -> bool {
        false
    }

    /// Called once per generation, before the first request.
    async fn initialize(&self, deadline: Deadline) -> Result<(), CallError>;

    /// Answers one request.
    async fn handle(
        &self,
        request: Box<Request>,
        deadline: Deadline,
    ) -> Result<Option<Box<Response>>, CallError>;

    /// Whether the thing at the request's path exists.
    async fn exists(
        &self,
        request: Box<Request>,
        deadline: Deadline,
    ) -> Result<Existence, CallError>;

    /// Tells the plugin that a key was written by somebody else.
    async fn invalidate(&self, key: &str, deadline: Deadline) -> Result<(), CallError>;

    /// Resolves once nothing runs any more and nothing will, with the reason; never for what cannot die by itself.
    async fn exited(&self) -> Exit;

    /// Calls `cleanup`, asks it to end, and ends it after `grace`.
    async fn stop(&self, grace: Duration);

    /// The operating system's process that runs it, if one does that holds nothing but its entry's mounts.
    fn process_id(&self) -> Option<u32> {
        None
    }

    /// How long it took to start that process.
    fn start_times(&self) -> Option<StartTimes> {
        None
    }

    /// Bytes of memory it holds now, as far as the driver can tell; of a process that mounts share, all that it holds.
    fn memory_bytes(&self) -> Option<u64> {
        None
    }
}

/// How long the steps took by which a process was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StartTimes {
    /// Until it executed its file, behind its walls.
    pub exec: Duration,
    /// From there to its handshake line, which is the plugin's own time.
    pub handshake: Duration,
    /// From there to a connection on which it said that it serves.
    pub connection: Duration,
}

/// How an instance ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    /// For logs and errors, such as `killed by signal 9`.
    pub reason: String,
}
