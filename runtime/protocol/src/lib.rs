//! The wire contract between a secrets server and its native plugins, for both halves: go-plugin's handshake, broker
//! and certificates, and the gRPC services of OpenBao's logical backends and database plugins.
//!
//! Nothing here opens or dials anything: what there is of I/O are streams that both halves put around theirs. What comes from
//! a peer is untrusted: every parser has caps, and none panics.

pub mod cert;
pub mod codec;
pub mod convert;
pub mod env;
pub mod handshake;
pub mod joined;
pub mod late_pongs;
pub mod log_line;
pub mod quiet;
pub mod version;

mod generated;
mod secret;

pub use generated::{database, health, logical, multiplexing, pb, plugin};

/// The largest message either half takes. Peers lift gRPC's default of 4 MiB to this, so we must too.
pub const MESSAGE_BYTES_MAX: usize = i32::MAX as usize;

/// The metadata key that tells the instances of a multiplexed plugin apart. Exactly one value, and not empty.
pub const MULTIPLEX_ID: &str = "multiplex_id";

/// The service that go-plugin's ping asks the health service for.
pub const HEALTH_SERVICE: &str = "plugin";

/// How long a dialler waits for the other side to say where it listens.
pub const BROKER_DIAL_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(5);

/// How long a host waits after `Shutdown` before it kills.
pub const SHUTDOWN_GRACE: std::time::Duration = std::time::Duration::from_secs(2);

/// What a host answers to storage calls while the mount has no storage. Plugins match on the text.
pub const MISSING_STORAGE: &str = "missing storage implementation: this method should not be called during plugin \
     Setup, but only during and after Initialize";

/// What a host answers to system calls while there is no system view. Plugins match on the text.
pub const MISSING_SYSTEM_VIEW: &str = "missing system view implementation: this method should not be called during \
     plugin Setup, but only during and after Initialize";
