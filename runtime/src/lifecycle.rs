//! Starting, watching, replacing and stopping instances.
//!
//! One task per mount, the supervisor, owns what runs there. What an event means is decided by a pure function,
//! [`state::step`]; the supervisor carries the decision out and publishes the result. A request takes the current
//! generation from what was published: it never waits for the supervisor's task, and no lock is held over plugin code.
//!
//! ```text
//!            wanted, reload                 started
//!   Down ────────────────────▶ Starting ──────────────▶ Running ◀─────────┐
//!     ▲                          │    ▲                 │  │   started,   │
//!     │ rested                   │    │ exited          │  │   failed     │
//!     └──────────── Resting ◀────┘    └──── Replacing ◀─│──┘ reload ──────┘
//!                      ▲      failed                    │
//!                      └────────────────────────────────┘ exited
//!
//!   stop: Running, Replacing ──▶ Draining ──▶ Stopped;  Down, Starting, Resting ──▶ Stopped
//! ```

mod admission;
mod call;
mod drain;
mod generation;
mod launch;
mod orders;
mod restart;
mod special;
mod state;
mod supervisor;
#[cfg(test)]
pub(crate) mod testing;
mod trial;

pub(crate) use admission::Admission;
pub(crate) use drain::Gate;
pub(crate) use generation::{Generation, running_version};
pub(crate) use launch::{Prepared, Source, Started, initialize, launch};
pub(crate) use supervisor::Supervised;
