//! What the suites share: the guests in both builds, the modes to run them in, and a whole runtime around them.
//!
//! A [`Harness`] is a complete, small embedder of the runtime on temporary directories.

pub mod corpus;
mod expect;
mod guest;
mod harness;
mod language;
mod logged;
mod mode;
mod process;

pub use expect::{Outcome, expect_kind, expect_plugin_error};
pub use guest::Guest;
pub use harness::{Harness, Setup, texts, workers_for_all_tests};
pub use language::Language;
pub use logged::{keep_what_is_logged, logged};
pub use mode::Mode;
pub use process::reaped;
