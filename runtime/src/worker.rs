//! Worker processes made from the embedder's own executable before it has threads.
//!
//! `main` of an embedder begins with [`enter_worker`]. In an ordinary start it makes the *spawner*, a small process
//! with one thread, and returns a handle to it. In a process that was started as a worker it does that worker's job and
//! never returns. The spawner starts plugin processes, and the short-lived workers that inspect and compile components:
//! neither parsing nor compiling an untrusted component runs in the server's process.

use std::sync::Arc;

/// The handle to the spawner. Dropping the last one ends it, and with it everything it started.
#[derive(Clone)]
pub struct Workers {
    _inner: Arc<()>,
}

/// Does a worker's job and exits if this process was started as one; otherwise makes the spawner and returns.
pub fn enter_worker() -> Workers {
    todo!()
}
