//! The least that starting from compiled code on disk can cost: the file is read, its seal compared, the code mapped.

#![expect(
    unsafe_code,
    reason = "the engine cannot check that bytes are code that a compiler of its own made"
)]

use std::path::{Path, PathBuf};

use aws_lc_rs::hmac;
use wasmtime::Engine;
use wasmtime::component::Component;

/// Bytes of a seal, HMAC-SHA256.
const SEAL_BYTES: usize = 32;

/// One component's code in a sealed file.
pub struct SealedCode {
    engine: Engine,
    key: hmac::Key,
    file: PathBuf,
}

impl SealedCode {
    /// Compiles the component and writes its code, sealed, to `file`.
    ///
    /// # Errors
    ///
    /// When it does not compile, or the file cannot be written.
    pub fn write(engine: Engine, component: &[u8], file: &Path) -> anyhow::Result<Self> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &[7; SEAL_BYTES]);
        let mut sealed = engine.precompile_component(component)?;
        let seal = hmac::sign(&key, &sealed);
        sealed.extend(seal.as_ref());
        std::fs::write(file, sealed)?;
        Ok(Self {
            engine,
            key,
            file: file.to_owned(),
        })
    }

    /// Makes the code ready to run.
    ///
    /// # Errors
    ///
    /// When the file is not as it was written.
    pub fn load(&self) -> anyhow::Result<Component> {
        let sealed = std::fs::read(&self.file)?;
        let begin = sealed.len().saturating_sub(SEAL_BYTES);
        let (code, seal) = sealed.split_at(begin);
        if hmac::verify(&self.key, code, seal).is_err() {
            anyhow::bail!("{} was changed", self.file.display());
        }
        // SAFETY: `deserialize` asks for bytes that `precompile_component` made, unchanged. `write` made them with this
        // engine, and the seal has just been compared.
        Ok(unsafe { Component::deserialize(&self.engine, code)? })
    }
}
