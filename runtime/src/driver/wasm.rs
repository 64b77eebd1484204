//! Runs plugins as WebAssembly components, each in a store of its own under fuel, a deadline and a memory limit.
//!
//! A component is read and compiled in worker processes; this process loads what its own worker made, links it with
//! what every entry is granted, and instantiates it once for each store. A request runs in a store that no other
//! request is using, sees the host through one scope of its mount's services, and what it wrote becomes visible when
//! the guest has returned. A store that trapped, ran over a limit or was abandoned is dropped.

mod ask;
mod bindings;
mod clip;
mod compile;
mod convert;
mod engine;
mod inspect;
mod instance;
mod limiter;
mod linker;
mod load;
mod mount;
mod pool;
mod services;
mod store;
mod threads;
mod trap;
mod wasi;

pub(crate) use compile::compile;
pub(crate) use inspect::{Inspection, inspect};
