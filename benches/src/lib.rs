//! What each way to run a plugin costs, measured in one run beside its floor.
//!
//! Figures of different runs do not compare: machines are noisy. Ratios inside one run do.

pub mod beside;
pub mod call;
pub mod embedded;
pub mod fairness;
pub mod floor;
pub mod go_host;
pub mod launch;
pub mod load;
pub mod memory;
pub mod peers;
pub mod plan;
pub mod soak;
pub mod stores;
pub mod table;
