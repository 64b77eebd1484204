//! Keeps what the server remembers to itself: it holds keys and secrets of everybody.

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// No other process of the same user can read this one's memory, environment or descriptors from now on, and no core file
/// is written of it.
pub(super) fn guard() {
    let nothing = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    let guarded = set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .and_then(|()| setrlimit(Resource::Core, nothing));
    if let Err(fault) = guarded {
        tracing::warn!(%fault, "the server's memory is not kept from other processes of its user");
    }
}
