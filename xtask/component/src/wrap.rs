//! Wraps a core module into a component of the contract.

use std::path::Path;

use anyhow::{Context, Result, bail};
use wasmparser::Parser;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// A component as it is, or a core module wrapped into one.
///
/// # Errors
///
/// When it is neither, or does not fit the world.
pub(crate) fn component(bytes: Vec<u8>, world: &str, wit: &Path) -> Result<Vec<u8>> {
    if Parser::is_component(&bytes) {
        return Ok(bytes);
    }
    if !Parser::is_core_wasm(&bytes) {
        bail!("it is no WebAssembly: give a core module or a component");
    }
    wrapped(bytes, world, wit)
}

/// The module with the world's types in it, and around it what lifts and lowers them.
fn wrapped(mut module: Vec<u8>, world: &str, wit: &Path) -> Result<Vec<u8>> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve
        .push_dir(wit)
        .with_context(|| format!("{} is no WIT package", wit.display()))?;
    let world = resolve.select_world(&[package], Some(world))?;
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)?;
    let encoder = ComponentEncoder::default().module(&module)?.validate(true);
    let mut encoder = encoder;
    encoder.encode().context(
        "the module does not fit the world. It imports the package's interfaces and nothing else: \
         what a C library takes from wasi_snapshot_preview1, such as printf, has to go",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wit() -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit/v0.1.0")
    }

    #[test]
    fn a_component_is_taken_as_it_is() {
        let bytes = wat::parse_str("(component)").unwrap();
        assert_eq!(component(bytes.clone(), "secrets", &wit()).unwrap(), bytes);
    }

    #[test]
    fn a_module_that_lacks_an_export_is_refused_by_its_name() {
        let bytes = wat::parse_str("(module)").unwrap();
        let fault = component(bytes, "secrets", &wit()).unwrap_err();
        assert!(format!("{fault:#}").contains("describe"), "{fault:#}");
    }

    #[test]
    fn what_is_no_webassembly_is_refused() {
        let fault = component(b"#!/bin/sh".to_vec(), "secrets", &wit()).unwrap_err();
        assert!(fault.to_string().contains("no WebAssembly"), "{fault}");
    }
}
