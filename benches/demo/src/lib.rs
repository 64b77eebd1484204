//! What the demonstration and the benchmarks share: what was built, a server that runs it, and a client that takes the time.
//!
//! Nothing here depends on the server's own crates, so that the demonstration is built beside them.

pub mod built;
pub mod http;
pub mod sampler;
pub mod served;
