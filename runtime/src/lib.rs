//! Runs a secrets server's plugins, each as a native process or as a WebAssembly component, behind one catalog.
//!
//! An **Entry** is what an operator registered. An **Artifact** is bytes found on disk for it. A **Verified** artifact
//! matched the entry's digest and holds the very bytes that will run. A **LaunchPlan** is a Verified plus limits and the
//! mount it is for. An **Instance** runs. A **Mount** is an entry enabled at a path with its own storage view.
//! A **Request** passes through an instance and gives a **Response**.
//!
//! [`Runtime`] is the whole surface: open a catalog, enable a mount, handle a request, shut down.

pub mod catalog;
pub mod driver;
pub mod services;
pub mod store;

mod ceiling;
mod crash;
mod error;
mod examine;
mod folders;
mod grants;
mod id;
mod lifecycle;
mod limits;
mod profile;
mod registry;
mod runtime;
// Reachable for this crate's own tests, which start processes and so need a `main` of their own; no part of the surface.
#[doc(hidden)]
pub mod worker;

pub use ceiling::GrantCeiling;
pub use crash::{Crash, HostCall, HostCallOutcome};
pub use error::{CallError, ErrorKind, LaunchError, MountError, RegisterError};
pub use examine::{Examination, examine};
pub use folders::FolderRoot;
pub use grants::{FolderAccess, FolderGrant, Grant, Grants, ProcessOptions};
pub use id::{Digest, GrammarError, MountPath, PluginName, PluginVersion};
pub use limits::{Isolation, Limits, RuntimeKind, Timeouts};
pub use palisade_contract as contract;
pub use profile::Profile;
pub use runtime::{MountInfo, NewMount, Route, Runtime, RuntimeBuilder};
pub use worker::{Layer, Protections, Workers, enter_worker};
