//! Loads compiled components. The one place of this driver where bytes become code.

#![expect(
    unsafe_code,
    reason = "the engine cannot check that bytes are code that a compiler of its own made"
)]

use std::marker::PhantomData;

use wasmtime::component::Component;
use wasmtime::{Engine, Result};

/// What a compile worker of this very server answered with, moments ago, over a pipe that nobody else holds. Nothing
/// else may be put in here: not a file, not an entry of the catalog.
pub(super) struct OwnWork<C>(Vec<u8>, PhantomData<C>);

impl<C> OwnWork<C> {
    /// Takes a worker's answer, made for the engine of that class.
    pub(super) fn from_worker(bytes: Vec<u8>) -> Self {
        Self(bytes, PhantomData)
    }

    /// Makes it ready to run.
    ///
    /// # Errors
    ///
    /// When it was made by another version or with other settings than this engine's.
    pub(super) fn load(self, engine: &Engine) -> Result<Component> {
        // SAFETY: `deserialize` asks for bytes that `precompile_component` made, unchanged; the type's only source is
        // the compile worker, a process of this same executable, and the bytes have not left private memory since.
        unsafe { Component::deserialize(engine, self.0) }
    }
}
