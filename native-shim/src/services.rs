//! The gRPC services of a plugin, each with the instances, the broker or the wish to end behind it.

mod backend;
mod broker;
mod controller;
mod health;
mod metadata;
mod multiplexing;
mod stdio;
mod version;

pub(crate) use backend::BackendService;
pub(crate) use broker::BrokerService;
pub(crate) use controller::ControllerService;
pub(crate) use health::HealthService;
pub(crate) use multiplexing::MultiplexingService;
pub(crate) use stdio::StdioService;
pub(crate) use version::VersionService;

use std::pin::Pin;

use futures_util::Stream;
use tonic::Status;

/// A stream of answers, as tonic takes it.
type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;
