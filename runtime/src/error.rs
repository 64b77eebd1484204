//! What the runtime says went wrong: one error per verb, each with the facts, and one closed list of kinds.

use std::time::Duration;

use palisade_contract::{Description, PluginError, PluginType};

use crate::store::StoreError;
use crate::{Digest, GrammarError, Layer, MountPath, RuntimeKind};

/// The closed list. Its codes are stable: scripts and dashboards may rely on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ErrorKind {
    /// A name, path, version or digest outside the grammar, or a missing or unknown field.
    InvalidInput,
    /// The plugin directory is missing, relative, a symlink or not a directory.
    PluginDirectory,
    /// No file beneath the plugin directory has that name.
    ArtifactMissing,
    /// The file is empty, too large, a directory, a FIFO, a symlink, or in other hands than it may be.
    ArtifactUnusable,
    /// The file is neither an ELF executable nor a WebAssembly component.
    ArtifactKind,
    /// The stated runtime is not the artifact's.
    RuntimeMismatch,
    /// The bytes do not have the entry's digest.
    DigestMismatch,
    /// An entry is granted more than the server's configuration allows.
    GrantRefused,
    /// A component imports what it may not have.
    ImportRefused,
    /// A component that cannot be parsed, is over a structure limit, or has no valid section or export.
    ComponentInvalid,
    /// A component that could not be compiled within its budget.
    CompileFailed,
    /// No such entry.
    EntryNotFound,
    /// Two registrations of one name at once, with different bytes.
    EntryConflict,
    /// The mount path is taken, or lies inside or around another.
    MountExists,
    /// No mount serves that path.
    MountNotFound,
    /// The plugin is of another type, version or contract than the entry says.
    PluginMismatch,
    /// The process could not be started or did not complete its handshake.
    LaunchFailed,
    /// A step of starting up took too long.
    LaunchTimeout,
    /// A wall that has to stand around the process does not hold on this machine.
    Unprotected,
    /// The plugin refused the mount's configuration.
    SetupFailed,
    /// The plugin answered with an error of its own.
    Plugin,
    /// The component trapped.
    Trap,
    /// The component used up its fuel.
    OutOfFuel,
    /// The plugin asked for more memory than its limit.
    OutOfMemory,
    /// The deadline passed.
    Timeout,
    /// The caller went away.
    Cancelled,
    /// The process died, or the connection to it did.
    Crashed,
    /// The plugin has crashed too often and waits before it is started again.
    Unavailable,
    /// Too many requests for this mount are waiting.
    Overloaded,
    /// A request's or response's body is over its limit.
    TooLarge,
    /// What the plugin sent is not what the protocol says.
    Protocol,
    /// Somebody else changed what a transaction had read.
    Conflict,
    /// Storage failed.
    Storage,
    /// The barrier is sealed.
    Sealed,
    /// A worker process is missing or failed.
    Worker,
    /// The runtime is stopping.
    Stopping,
}

impl ErrorKind {
    /// Every kind, for tables and tests.
    pub const ALL: [Self; 36] = [
        Self::InvalidInput,
        Self::PluginDirectory,
        Self::ArtifactMissing,
        Self::ArtifactUnusable,
        Self::ArtifactKind,
        Self::RuntimeMismatch,
        Self::DigestMismatch,
        Self::GrantRefused,
        Self::ImportRefused,
        Self::ComponentInvalid,
        Self::CompileFailed,
        Self::EntryNotFound,
        Self::EntryConflict,
        Self::MountExists,
        Self::MountNotFound,
        Self::PluginMismatch,
        Self::LaunchFailed,
        Self::LaunchTimeout,
        Self::Unprotected,
        Self::SetupFailed,
        Self::Plugin,
        Self::Trap,
        Self::OutOfFuel,
        Self::OutOfMemory,
        Self::Timeout,
        Self::Cancelled,
        Self::Crashed,
        Self::Unavailable,
        Self::Overloaded,
        Self::TooLarge,
        Self::Protocol,
        Self::Conflict,
        Self::Storage,
        Self::Sealed,
        Self::Worker,
        Self::Stopping,
    ];

    /// The stable code, as in the header `X-Palisade-Error-Code`.
    pub fn code(self) -> &'static str {
        match self {
            Self::InvalidInput => "invalid-input",
            Self::PluginDirectory => "plugin-directory",
            Self::ArtifactMissing => "artifact-missing",
            Self::ArtifactUnusable => "artifact-unusable",
            Self::ArtifactKind => "artifact-kind",
            Self::RuntimeMismatch => "runtime-mismatch",
            Self::DigestMismatch => "digest-mismatch",
            Self::GrantRefused => "grant-refused",
            Self::ImportRefused => "import-refused",
            Self::ComponentInvalid => "component-invalid",
            Self::CompileFailed => "compile-failed",
            Self::EntryNotFound => "entry-not-found",
            Self::EntryConflict => "entry-conflict",
            Self::MountExists => "mount-exists",
            Self::MountNotFound => "mount-not-found",
            Self::PluginMismatch => "plugin-mismatch",
            Self::LaunchFailed => "launch-failed",
            Self::LaunchTimeout => "launch-timeout",
            Self::Unprotected => "unprotected",
            Self::SetupFailed => "setup-failed",
            Self::Plugin => "plugin",
            Self::Trap => "trap",
            Self::OutOfFuel => "out-of-fuel",
            Self::OutOfMemory => "out-of-memory",
            Self::Timeout => "timeout",
            Self::Cancelled => "cancelled",
            Self::Crashed => "crashed",
            Self::Unavailable => "unavailable",
            Self::Overloaded => "overloaded",
            Self::TooLarge => "too-large",
            Self::Protocol => "protocol",
            Self::Conflict => "conflict",
            Self::Storage => "storage",
            Self::Sealed => "sealed",
            Self::Worker => "worker",
            Self::Stopping => "stopping",
        }
    }
}

/// Why a registration was refused. Nothing was stored.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// A field is not what it should be.
    #[error(transparent)]
    Grammar(#[from] GrammarError),
    /// A field is missing or makes no sense; OpenBao's text where it has one.
    #[error("{0}")]
    Invalid(String),
    /// The plugin directory was not given or is unusable.
    #[error("could not set plugin, plugin directory is not configured")]
    NoDirectory,
    /// The plugin directory cannot be used.
    #[error("the plugin directory {path:?} cannot be used: {fault}")]
    Directory {
        /// Where it was said to be.
        path: String,
        /// What is wrong with it.
        fault: String,
    },
    /// There is no such file.
    #[error("error while validating the command path: {path:?} is not in the plugin directory")]
    Missing {
        /// The file, relative to the directory.
        path: String,
    },
    /// The file cannot be an artifact.
    #[error("{path:?} cannot be a plugin: {fault}")]
    Unusable {
        /// The file, relative to the directory.
        path: String,
        /// What is wrong with it.
        fault: String,
    },
    /// The file is neither an executable nor a component.
    #[error("{path:?} is {found}; a plugin is an ELF executable or a WebAssembly component")]
    Kind {
        /// The file, relative to the directory.
        path: String,
        /// What it seems to be.
        found: &'static str,
    },
    /// The stated runtime is not the artifact's.
    #[error(
        "the runtime is stated as {stated} and the artifact is {found}; leave it out or correct it"
    )]
    Runtime {
        /// What the manifest says.
        stated: RuntimeKind,
        /// What the artifact is.
        found: RuntimeKind,
    },
    /// The bytes have another digest.
    #[error("checksums did not match: the file has {found}, the registration says {expected}")]
    Digest {
        /// What the manifest says.
        expected: Digest,
        /// What the file has.
        found: Digest,
    },
    /// The entry is granted what this server allows nobody.
    #[error(
        "the grant {grant} is over the ceiling of this server, which allows {allowed:?}; leave it out, or add it to `plugin_grants_ceiling`"
    )]
    Ceiling {
        /// The grant.
        grant: String,
        /// Those that it allows.
        allowed: Vec<String>,
    },
    /// A component imports what it may not have.
    #[error("the component imports {imports:?}, which no plugin is given")]
    Import {
        /// All refused imports by name.
        imports: Vec<String>,
    },
    /// A component that is not well-formed.
    #[error("not a valid component: {0}")]
    Component(String),
    /// The artifact says another type, version or contract than the manifest.
    #[error("{0}")]
    Mismatch(String),
    /// Somebody registers other bytes under this name right now.
    #[error("another registration of this name, with other bytes, is going on")]
    Conflict,
    /// A worker process is missing or failed.
    #[error("{0}")]
    Worker(String),
    /// The runtime is stopping.
    #[error("the runtime is stopping")]
    Stopping,
    /// The catalog could not be written or read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl RegisterError {
    /// The kind to tell the outside.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Grammar(_) | Self::Invalid(_) => ErrorKind::InvalidInput,
            Self::NoDirectory | Self::Directory { .. } => ErrorKind::PluginDirectory,
            Self::Missing { .. } => ErrorKind::ArtifactMissing,
            Self::Unusable { .. } => ErrorKind::ArtifactUnusable,
            Self::Kind { .. } => ErrorKind::ArtifactKind,
            Self::Runtime { .. } => ErrorKind::RuntimeMismatch,
            Self::Digest { .. } => ErrorKind::DigestMismatch,
            Self::Ceiling { .. } => ErrorKind::GrantRefused,
            Self::Import { .. } => ErrorKind::ImportRefused,
            Self::Component(_) => ErrorKind::ComponentInvalid,
            Self::Mismatch(_) => ErrorKind::PluginMismatch,
            Self::Conflict => ErrorKind::EntryConflict,
            Self::Worker(_) => ErrorKind::Worker,
            Self::Stopping => ErrorKind::Stopping,
            Self::Store(error) => store_kind(error),
        }
    }
}

/// Why an instance could not be started.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LaunchError {
    /// The artifact no longer matches its entry; the kind says how.
    #[error("{message}")]
    Artifact {
        /// As at registration.
        kind: ErrorKind,
        /// As at registration.
        message: String,
    },
    /// The process could not be started, or its handshake was no handshake.
    #[error("{plugin} could not be started: {fault}")]
    Failed {
        /// The entry.
        plugin: String,
        /// What happened.
        fault: String,
    },
    /// It speaks a protocol of old, whose certificate is behind a wrapping token.
    #[error(
        "{plugin} speaks version {version} of the backend protocol{what}; launching it takes a wrapping token for its \
         certificate, which this server does not give: build it to serve version 5 with mutual TLS, by \
         `plugin.ServeMultiplex` of OpenBao's SDK v2 or of Vault's SDK v0.5.4 or later",
        what = told(.description.as_deref())
    )]
    OldProtocol {
        /// The entry.
        plugin: String,
        /// The version that it speaks.
        version: u32,
        /// What it says of itself in metadata mode, if it answers there.
        description: Option<Box<Description>>,
    },
    /// A step took too long.
    #[error("{plugin} did not finish its {step} within {limit:?}")]
    Timeout {
        /// The entry.
        plugin: String,
        /// Which step.
        step: &'static str,
        /// How long it had.
        limit: Duration,
    },
    /// The component could not be compiled within its budget.
    #[error("{plugin} could not be compiled: {fault}")]
    Compile {
        /// The entry.
        plugin: String,
        /// What happened.
        fault: String,
    },
    /// Too many components wait for their compilation already.
    #[error(
        "{plugin} is not compiled now: {limit} components wait for their compilation already, which is the most that may; try again when they are done"
    )]
    Busy {
        /// The entry.
        plugin: String,
        /// How many may wait.
        limit: usize,
    },
    /// The plugin is of another type than its entry.
    #[error("{plugin} says it is a plugin of type {found}, its entry says {expected}")]
    Type {
        /// The entry.
        plugin: String,
        /// What the entry says.
        expected: PluginType,
        /// What the plugin says.
        found: PluginType,
    },
    /// What the plugin says of itself is not what its artifact says.
    #[error("{plugin} says of itself what its artifact does not: {fault}")]
    Mismatch {
        /// The entry.
        plugin: String,
        /// The difference.
        fault: String,
    },
    /// The plugin refused the mount's configuration.
    #[error("{plugin} refused its setup: {error}")]
    Setup {
        /// The entry.
        plugin: String,
        /// What it said.
        error: PluginError,
    },
    /// The plugin died, trapped or ran over a limit while starting up.
    #[error("{plugin} failed while starting: {source}")]
    Call {
        /// The entry.
        plugin: String,
        /// How.
        #[source]
        source: Box<CallError>,
    },
    /// It has crashed too often and waits before the next start.
    #[error(
        "{plugin} has crashed {failures} times in a row and is started again in {wait:?} at the earliest"
    )]
    Backoff {
        /// The entry.
        plugin: String,
        /// How often in a row.
        failures: u32,
        /// How long it still waits.
        wait: Duration,
    },
    /// It was started after crashes in a row, and one request tries it before the others.
    #[error(
        "{plugin} has crashed {failures} times in a row, and the one request that tries it now is not answered yet; try again"
    )]
    OnTrial {
        /// The entry.
        plugin: String,
        /// How often in a row.
        failures: u32,
    },
    /// A wall that has to stand around its process does not hold on this machine.
    #[error(
        "{plugin} is not started: its process would lack the protection {layer}, which is required: {fault}"
    )]
    Unprotected {
        /// The entry.
        plugin: String,
        /// Which wall.
        layer: Layer,
        /// Why it does not hold.
        fault: String,
    },
    /// A worker process is missing or failed.
    #[error("{0}")]
    Worker(String),
    /// The runtime is stopping.
    #[error("the runtime is stopping")]
    Stopping,
}

impl LaunchError {
    /// The kind to tell the outside.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Artifact { kind, .. } => *kind,
            Self::Failed { .. } | Self::OldProtocol { .. } => ErrorKind::LaunchFailed,
            Self::Timeout { .. } => ErrorKind::LaunchTimeout,
            Self::Compile { .. } => ErrorKind::CompileFailed,
            Self::Busy { .. } => ErrorKind::Overloaded,
            Self::Type { .. } | Self::Mismatch { .. } => ErrorKind::PluginMismatch,
            Self::Setup { .. } => ErrorKind::SetupFailed,
            Self::Call { source, .. } => source.kind(),
            Self::Backoff { .. } | Self::OnTrial { .. } => ErrorKind::Unavailable,
            Self::Unprotected { .. } => ErrorKind::Unprotected,
            Self::Worker(_) => ErrorKind::Worker,
            Self::Stopping => ErrorKind::Stopping,
        }
    }
}

/// How much of a plugin's version stands in an error, in characters.
const VERSION_CHARS_MAX: usize = 64;

/// What a plugin is by its own words, as a clause.
fn told(description: Option<&Description>) -> String {
    let Some(description) = description else {
        return String::new();
    };
    let version: String = description
        .version
        .chars()
        .take(VERSION_CHARS_MAX)
        .collect();
    let version = match version.as_str() {
        "" => "no version".to_owned(),
        version => format!("version {version:?}"),
    };
    format!(
        ", and says that it is of type {} and of {version}",
        description.plugin_type
    )
}

/// Why a call into a plugin failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CallError {
    /// The plugin answered with an error of its own.
    #[error("{0}")]
    Plugin(PluginError),
    /// The component trapped.
    #[error("{plugin} trapped: {trap}")]
    Trap {
        /// The entry.
        plugin: String,
        /// The trap, and the guest's functions it passed.
        trap: String,
    },
    /// The component used up its fuel.
    #[error("{plugin} used up its {limit} units of fuel; its limit `fuel` can be raised")]
    OutOfFuel {
        /// The entry.
        plugin: String,
        /// What it had.
        limit: u64,
    },
    /// The plugin asked for more memory than its limit.
    #[error(
        "{plugin} asked for {asked} bytes of memory and may have {limit}; its limit `memory_bytes` can be raised"
    )]
    OutOfMemory {
        /// The entry.
        plugin: String,
        /// What it would have come to.
        asked: u64,
        /// What it may have.
        limit: u64,
    },
    /// The plugin asked for more table elements than its limit.
    #[error(
        "{plugin} asked for {asked} table elements and may have {limit}; its limit `table_elements` can be raised"
    )]
    OutOfTable {
        /// The entry.
        plugin: String,
        /// How many it would have come to, over all its tables.
        asked: u64,
        /// How many it may have.
        limit: u64,
    },
    /// The deadline passed.
    #[error("{plugin} did not answer within {limit:?}; its limit `request_timeout` can be raised")]
    Timeout {
        /// The entry.
        plugin: String,
        /// How long the request had.
        limit: Duration,
    },
    /// A call that has a time of its own, whatever the request's is, took longer.
    #[error(
        "{plugin} did not answer the call {call} within {limit:?}, which is all the time it has"
    )]
    Slow {
        /// The entry.
        plugin: String,
        /// Which call.
        call: &'static str,
        /// How long it had.
        limit: Duration,
    },
    /// The caller went away.
    #[error("the request was cancelled")]
    Cancelled,
    /// The process died or the connection to it did. `sent` tells whether the request may have had an effect.
    #[error("{plugin} is gone: {reason}")]
    Crashed {
        /// The entry.
        plugin: String,
        /// How.
        reason: String,
        /// Whether the request had left for the plugin, so that it may have had an effect.
        sent: bool,
        /// Whether it was ended because it held more memory than it may.
        out_of_memory: bool,
    },
    /// It could not be started for this request.
    #[error(transparent)]
    Launch(#[from] LaunchError),
    /// No store was free for it before its deadline.
    #[error(
        "{plugin} found no free store within {waited:?}: all {stores} that {whose} may have are in use; ask less at once, or \
         raise its limit `stores` if it is its entry's"
    )]
    NoStore {
        /// The entry.
        plugin: String,
        /// Whose stores are all in use.
        whose: &'static str,
        /// How many those are.
        stores: u32,
        /// How long the caller waited.
        waited: Duration,
    },
    /// Too many requests for this mount are waiting.
    #[error(
        "{waiting} requests wait for {plugin} already; its limits `concurrency` and `queue` can be raised"
    )]
    Overloaded {
        /// The entry.
        plugin: String,
        /// How many.
        waiting: u32,
    },
    /// The entry used up what its components may use per minute; nothing was sent to this one.
    #[error(
        "{plugin} used up its {fuel} units of fuel per minute and has some again in {wait:.1?}; its limit `fuel_per_minute` can be raised"
    )]
    Overspent {
        /// The entry.
        plugin: String,
        /// What it may use per minute.
        fuel: u64,
        /// How long it takes until there is fuel again.
        wait: Duration,
    },
    /// A body is over its limit.
    #[error("the {what} has {bytes} bytes, {limit} are allowed")]
    TooLarge {
        /// `request body` or `response`.
        what: &'static str,
        /// How large it is.
        bytes: u64,
        /// How large it may be.
        limit: u64,
    },
    /// What was asked for makes no sense; nothing was sent to the plugin.
    #[error("{plugin} was not asked: {fault}")]
    Invalid {
        /// The entry.
        plugin: String,
        /// What is wrong with it.
        fault: String,
    },
    /// The plugin sent what the protocol does not allow.
    #[error("{plugin} broke the protocol: {fault}")]
    Protocol {
        /// The entry.
        plugin: String,
        /// How.
        fault: String,
    },
    /// No mount serves that path.
    #[error("no handler for route {path:?}. route entry not found.")]
    NoMount {
        /// The request's path, clipped.
        path: String,
    },
    /// The writes of a component's request met a newer write that its transaction had read.
    #[error("transaction commit failed: {key:?} has changed")]
    Conflict {
        /// Which key, relative to the mount.
        key: String,
    },
    /// Storage failed.
    #[error("storage failed: {0}")]
    Storage(String),
    /// The barrier is sealed.
    #[error("Vault is sealed")]
    Sealed,
    /// The runtime is stopping.
    #[error("the runtime is stopping")]
    Stopping,
}

impl CallError {
    /// The kind to tell the outside.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Plugin(_) => ErrorKind::Plugin,
            Self::Trap { .. } => ErrorKind::Trap,
            Self::OutOfFuel { .. } => ErrorKind::OutOfFuel,
            Self::OutOfMemory { .. } | Self::OutOfTable { .. } => ErrorKind::OutOfMemory,
            Self::Timeout { .. } | Self::Slow { .. } => ErrorKind::Timeout,
            Self::Cancelled => ErrorKind::Cancelled,
            Self::Crashed {
                out_of_memory: true,
                ..
            } => ErrorKind::OutOfMemory,
            Self::Crashed { .. } => ErrorKind::Crashed,
            Self::Launch(error) => error.kind(),
            Self::Overloaded { .. } | Self::NoStore { .. } | Self::Overspent { .. } => {
                ErrorKind::Overloaded
            }
            Self::TooLarge { .. } => ErrorKind::TooLarge,
            Self::Invalid { .. } => ErrorKind::InvalidInput,
            Self::Protocol { .. } => ErrorKind::Protocol,
            Self::NoMount { .. } => ErrorKind::MountNotFound,
            Self::Conflict { .. } => ErrorKind::Conflict,
            Self::Storage(_) => ErrorKind::Storage,
            Self::Sealed => ErrorKind::Sealed,
            Self::Stopping => ErrorKind::Stopping,
        }
    }
}

/// Why a mount could not be enabled, disabled or reloaded.
#[derive(Debug, thiserror::Error)]
pub enum MountError {
    /// The path is not one.
    #[error(transparent)]
    Grammar(#[from] GrammarError),
    /// A setting makes no sense; OpenBao's text where it has one.
    #[error("{0}")]
    Invalid(String),
    /// The path is taken, or lies inside or around another.
    #[error("path is already in use at {existing}")]
    Exists {
        /// The mount in the way.
        existing: MountPath,
    },
    /// No such mount.
    #[error("no matching mount at {path}")]
    NotFound {
        /// The path asked for.
        path: MountPath,
    },
    /// No such entry.
    #[error("plugin not found in the catalog: {plugin}")]
    NoEntry {
        /// Its name, type and version.
        plugin: String,
    },
    /// The plugin could not be started.
    #[error(transparent)]
    Launch(#[from] LaunchError),
    /// `initialize` failed.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The mount table could not be written or read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl MountError {
    /// The kind to tell the outside.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Grammar(_) | Self::Invalid(_) => ErrorKind::InvalidInput,
            Self::Exists { .. } => ErrorKind::MountExists,
            Self::NotFound { .. } => ErrorKind::MountNotFound,
            Self::NoEntry { .. } => ErrorKind::EntryNotFound,
            Self::Launch(error) => error.kind(),
            Self::Call(error) => error.kind(),
            Self::Store(error) => store_kind(error),
        }
    }
}

fn store_kind(error: &StoreError) -> ErrorKind {
    match error {
        StoreError::Conflict(_) => ErrorKind::Conflict,
        StoreError::Sealed => ErrorKind::Sealed,
        StoreError::Undecryptable(_) | StoreError::Failed(_) => ErrorKind::Storage,
    }
}

impl From<StoreError> for CallError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict(key) => Self::Conflict { key },
            StoreError::Sealed => Self::Sealed,
            other => Self::Storage(other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_plugin_of_old_is_told_with_what_it_says_clipped_and_escaped() {
        let of = |description: Option<Description>| LaunchError::OldProtocol {
            plugin: "old v1".to_owned(),
            version: 4,
            description: description.map(Box::new),
        };
        let version = format!("\u{1b}[31m{}", "1".repeat(1000));
        let text = of(Some(Description::new(PluginType::Auth, version))).to_string();
        let start =
            "old v1 speaks version 4 of the backend protocol, and says that it is of type auth";
        assert!(text.starts_with(start), "{text}");
        assert!(!text.contains('\u{1b}') && text.len() < 500, "{text}");
        let silent = of(None).to_string();
        assert!(
            silent.starts_with("old v1 speaks version 4 of the backend protocol; "),
            "{silent}"
        );
    }

    #[test]
    fn no_two_kinds_share_a_code() {
        let codes: BTreeSet<_> = ErrorKind::ALL.iter().map(|kind| kind.code()).collect();
        assert_eq!(codes.len(), ErrorKind::ALL.len());
    }
}
