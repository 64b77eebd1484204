//! Loads compiled components. The one place of this driver where bytes become code.

#![expect(
    unsafe_code,
    reason = "the engine cannot check that bytes are code that a compiler of its own made"
)]

use std::marker::PhantomData;

use wasmtime::component::Component;
use wasmtime::{Engine, Result};

use super::cache::Authentic;

/// What a compile worker of this very server answered with, for the engine of a class: moments ago, over a file that nobody
/// else holds, or once, and kept on disk under a seal that has just proved to be whole. Nothing else may be put in here.
pub(super) struct OwnWork<C>(Vec<u8>, PhantomData<C>);

impl<C> OwnWork<C> {
    /// Takes a worker's answer, made for the engine of that class.
    pub(super) fn from_worker(bytes: Vec<u8>) -> Self {
        Self(bytes, PhantomData)
    }

    /// Takes a worker's answer that lay on disk.
    pub(super) fn from_cache(work: Authentic) -> Self {
        Self(work.into_bytes(), PhantomData)
    }

    /// The whole answer.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// For the cache.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// Makes the code, which begins at `start`, ready to run.
    ///
    /// # Errors
    ///
    /// When it was made by another version or with other settings than this engine's.
    pub(super) fn load(&self, start: usize, engine: &Engine) -> Result<Component> {
        let code = self.0.get(start..).unwrap_or_default();
        // SAFETY: `deserialize` asks for bytes that `precompile_component` made, unchanged. The type's only sources are
        // the compile worker, a process of this same executable, and the cache, which vouches for bytes of such a
        // worker by a key that leaves the barrier for nobody else. They have not left private memory since.
        unsafe { Component::deserialize(engine, code) }
    }
}
