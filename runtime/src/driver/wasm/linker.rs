//! Links what every entry is granted: the host's interfaces of the package, and WASI with nothing behind it but what the
//! entry is granted.

use wasmtime::component::{HasSelf, Linker};
use wasmtime::{Engine, Result};

use super::bindings::Secrets;
use super::store::StoreState;
use super::wasi;

/// A linker that knows exactly what the inspector lets through; whatever else a component imports fails to link.
pub(super) fn linker(engine: &Engine) -> Result<Linker<StoreState>> {
    let mut linker = Linker::new(engine);
    Secrets::add_to_linker::<_, HasSelf<StoreState>>(&mut linker, |state| state)?;
    wasi::link(&mut linker)?;
    Ok(linker)
}
