//! A host in memory, to test a plugin in its own process.
//!
//! ```
//! # use palisade_plugin::{Backend, Call, Answer, Path, PluginError, Router, SetupConfig, Host, StorageEntry};
//! # struct Notes;
//! # async fn read(_: &Notes, call: Call<'_>) -> Answer {
//! #     palisade_plugin::data(&call.storage().list("").await?)
//! # }
//! # async fn setup(_: SetupConfig, _: &dyn Host) -> Result<Box<dyn Backend>, PluginError> {
//! #     Router::new(Notes).path(Path::new("notes").read(read)).build()
//! # }
//! # palisade_plugin::plugin! { type: secret, version: "v0.1.0", setup: setup }
//! use palisade_plugin::testing::Mount;
//!
//! let mount = Mount::enable(plugin(), &[]).unwrap();
//! let response = mount.read("notes").unwrap().unwrap();
//! assert_eq!(response.data.as_str(), "[]");
//! ```
//!
//! The storage behaves as a server's: transactions read a snapshot and are checked at their commit, and nothing can
//! be written during `setup`. The clock stands still until a test moves it, and random bytes repeat.

mod memory;
mod mount;
mod store;

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

pub use memory::{LogLine, MemoryHost};
pub use mount::Mount;

/// Runs a future that never waits, as none does over a [`MemoryHost`].
///
/// # Panics
///
/// When the future waits.
pub fn ready<F: Future>(future: F) -> F::Output {
    let mut context = Context::from_waker(Waker::noop());
    match pin!(future).poll(&mut context) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("the future waits for something that is not in memory"),
    }
}
