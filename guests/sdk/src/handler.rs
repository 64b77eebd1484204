//! Lets plain `async fn` items be handlers.
//!
//! A closure type that borrows its argument cannot be named with the lifetime of its future on stable Rust, so the
//! traits here carry the lifetime themselves and are used as `for<'a> Handler<'a, …>`. Authors never name them.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use palisade_contract::Host;

use crate::{Call, Failure};

type Boxed<'a, T> = Pin<Box<dyn Future<Output = Result<T, Failure>> + Send + 'a>>;

/// An `async fn(&S, Call<'_>) -> Result<T, Failure>`.
pub trait Handler<'a, S, T>: Send + Sync {
    /// Starts it.
    fn call(&self, state: &'a S, call: Call<'a>) -> Boxed<'a, T>;
}

impl<'a, S, T, F, R> Handler<'a, S, T> for F
where
    S: 'a,
    F: Fn(&'a S, Call<'a>) -> R + Send + Sync,
    R: Future<Output = Result<T, Failure>> + Send + 'a,
{
    fn call(&self, state: &'a S, call: Call<'a>) -> Boxed<'a, T> {
        Box::pin(self(state, call))
    }
}

/// An `async fn(&S, &dyn Host) -> Result<(), Failure>`.
pub trait Hook<'a, S>: Send + Sync {
    /// Starts it.
    fn call(&self, state: &'a S, host: &'a dyn Host) -> Boxed<'a, ()>;
}

impl<'a, S, F, R> Hook<'a, S> for F
where
    S: 'a,
    F: Fn(&'a S, &'a dyn Host) -> R + Send + Sync,
    R: Future<Output = Result<(), Failure>> + Send + 'a,
{
    fn call(&self, state: &'a S, host: &'a dyn Host) -> Boxed<'a, ()> {
        Box::pin(self(state, host))
    }
}

/// A handler of any path, shared by the operations that it serves.
pub(crate) type SharedHandler<S, T> = Arc<dyn for<'a> Handler<'a, S, T>>;

/// A hook of a router.
pub(crate) type SharedHook<S> = Arc<dyn for<'a> Hook<'a, S>>;
