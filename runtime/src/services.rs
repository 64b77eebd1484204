//! What the host offers any plugin, whichever way it runs: storage of its mount, system facts, log, clock, randomness.
//!
//! [`MountServices`] is made once per mount and knows whose storage it is. Each call of a plugin gets a [`Scope`] of it,
//! which is the contract's [`Host`](palisade_contract::Host): a builtin is handed it as it is, the native driver serves
//! it over the broker, the WebAssembly driver behind the imports of the package.

mod buffer;
mod changes;
mod crashes;
mod deadline;
mod listing;
mod log;
mod mount;
mod news;
mod output;
mod password;
mod scope;
mod system;
#[cfg(test)]
pub(crate) mod testing;
mod transaction;
mod view;

pub use changes::{ChangeFeed, Changes, Cursor, StoreId};
pub use deadline::Deadline;
pub use mount::{MountServices, ServicesConfig, StorageLimits};
pub(crate) use news::{News, Untold};
pub use output::PluginLog;
pub use scope::Scope;
pub use system::SystemFacts;
pub use view::MountPrefix;
