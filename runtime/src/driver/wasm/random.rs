//! `wasi:random` from the host's own source, counted as work that the host does for a guest.

use wasmtime::component::Linker;
use wasmtime::{Result, StoreContextMut};

use super::store::StoreState;
use palisade_contract::Host;

const RANDOM: &str = "wasi:random/random";
const INSECURE: &str = "wasi:random/insecure";
const SEED: &str = "wasi:random/insecure-seed";

/// The patch version stands for all of its track.
const VERSION: &str = "0.2.12";

/// Randomness that a guest gets at once, in bytes: one call stays short.
const BYTES_MAX: u64 = 16 << 10;

/// Links all three interfaces, each with the same source. They are linked by hand because a call may have to wait for its turn.
pub(super) fn link(linker: &mut Linker<StoreState>) -> Result<()> {
    let mut random = linker.instance(&format!("{RANDOM}@{VERSION}"))?;
    random.func_wrap_async("get-random-bytes", |store, (len,): (u64,)| {
        let function = "get-random-bytes";
        Box::new(async move { Ok((bytes(store, RANDOM, function, len).await?,)) })
    })?;
    random.func_wrap_async("get-random-u64", |mut store, (): ()| {
        Box::new(async move { Ok((number(&mut store, RANDOM, "get-random-u64").await?,)) })
    })?;
    let mut insecure = linker.instance(&format!("{INSECURE}@{VERSION}"))?;
    insecure.func_wrap_async("get-insecure-random-bytes", |store, (len,): (u64,)| {
        let function = "get-insecure-random-bytes";
        Box::new(async move { Ok((bytes(store, INSECURE, function, len).await?,)) })
    })?;
    insecure.func_wrap_async("get-insecure-random-u64", |mut store, (): ()| {
        let function = "get-insecure-random-u64";
        Box::new(async move { Ok((number(&mut store, INSECURE, function).await?,)) })
    })?;
    let mut seed = linker.instance(&format!("{SEED}@{VERSION}"))?;
    seed.func_wrap_async("insecure-seed", |mut store, (): ()| {
        Box::new(async move {
            let low = number(&mut store, SEED, "insecure-seed").await?;
            let high = number(&mut store, SEED, "insecure-seed").await?;
            Ok(((low, high),))
        })
    })
}

/// The interface has no error: a guest that asks for too much at once is ended.
async fn bytes(
    mut store: StoreContextMut<'_, StoreState>,
    interface: &'static str,
    function: &'static str,
    len: u64,
) -> Result<Vec<u8>> {
    if len > BYTES_MAX {
        wasmtime::bail!("it asked for {len} random bytes at once, {BYTES_MAX} are allowed");
    }
    let mut bytes = vec![0; usize::try_from(len)?];
    draw(&mut store, interface, function, &mut bytes).await?;
    Ok(bytes)
}

async fn number(
    store: &mut StoreContextMut<'_, StoreState>,
    interface: &'static str,
    function: &'static str,
) -> Result<u64> {
    let mut bytes = [0; size_of::<u64>()];
    draw(store, interface, function, &mut bytes).await?;
    Ok(u64::from_le_bytes(bytes))
}

async fn draw(
    store: &mut StoreContextMut<'_, StoreState>,
    interface: &'static str,
    function: &'static str,
    bytes: &mut [u8],
) -> Result<()> {
    let state = store.data_mut();
    state.called(interface, function, bytes.len()).await;
    state.scope()?.random(bytes);
    state.given(())
}

#[cfg(test)]
mod tests {
    use wasmtime::component::Component;

    use super::super::{linker, settings};

    #[test]
    fn each_interface_is_linked() {
        let engine = settings::compiling().unwrap();
        let text = r#"(component
            (import "wasi:random/random@0.2.6" (instance
                (export "get-random-bytes" (func (param "len" u64) (result (list u8))))
                (export "get-random-u64" (func (result u64)))))
            (import "wasi:random/insecure@0.2.6" (instance
                (export "get-insecure-random-bytes" (func (param "len" u64) (result (list u8))))
                (export "get-insecure-random-u64" (func (result u64)))))
            (import "wasi:random/insecure-seed@0.2.6" (instance
                (export "insecure-seed" (func (result (tuple u64 u64)))))))"#;
        let component = Component::new(&engine, wat::parse_str(text).unwrap()).unwrap();
        let linker = linker::linker(&engine).unwrap();
        linker.instantiate_pre(&component).unwrap();
    }
}
