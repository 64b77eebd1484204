//! What the demonstration, the benchmarks and the tests beside other servers share: what was built, a server that runs it,
//! the other servers, and a client that takes the time.
//!
//! Nothing here depends on the server's own crates, so that the demonstration is built beside them.

pub mod built;
pub mod http;
pub mod other;
pub mod sampler;
pub mod served;
