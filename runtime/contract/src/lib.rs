//! What a Palisade plugin is: one trait, one set of messages, three families of errors.
//!
//! A plugin is a [`Plugin`] (a factory that describes itself) which makes one [`Backend`] per mount. A backend answers
//! [`Request`]s. Whatever it needs from outside (storage, system facts, log, clock, randomness, the time that is left)
//! arrives as an argument, the [`Host`]; there are no globals. The same source therefore runs linked into a server,
//! as a native process and as a WebAssembly component.
//!
//! The meaning of every message is that of OpenBao's logical backend. Two encodings exist: the gRPC services
//! of package `pb` (crate `palisade-protocol`) and the WIT package `palisade:plugin` (folder `wit/`).
//!
//! This crate is a leaf: no I/O, no runtime, and it builds for the host and for `wasm32-wasip2`.

mod auth;
mod backend;
mod description;
mod error;
mod host;
mod json;
mod lease;
mod request;
mod response;
mod storage;
mod time;

pub use auth::{Alias, Auth, Entity, Group, TokenType};
pub use backend::{Backend, Existence, Plugin, SetupConfig};
pub use description::{
    CONTRACT_VERSION, Description, PluginType, SECTION_NAME, SectionError, SectionFacts,
    SpecialPaths,
};
pub use error::{HostError, HostErrorKind, PluginError, PluginErrorKind};
pub use host::{Host, LogLevel, LogRecord, PluginEnvironment, ReplicationState, SystemView};
pub use json::Json;
pub use lease::{LeaseOptions, Secret};
pub use request::{
    Connection, Headers, Operation, Request, RequestWrapInfo, TlsConnectionState, UnknownOperation,
};
pub use response::{Response, ResponseWrapInfo};
pub use storage::{PAGE_UNLIMITED, Storage, StorageEntry, Transaction, TransactionMode};
pub use time::Timestamp;
