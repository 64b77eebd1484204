//! Typed bindings of the WIT package, made from its files. Host functions may wait and may trap. Of the exports only the types
//! are used: what is asked of a component goes through [`exports`](super::exports).

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    reason = "generated code; its documentation is that of the WIT files"
)]

wasmtime::component::bindgen!({
    path: "../wit/v0.1.0",
    // The worlds of the package differ in what the host makes of an answer, not in their functions.
    world: "secrets",
    imports: { default: async | trappable },
    exports: { default: async },
    with: {
        "palisade:plugin/storage.transaction": crate::driver::wasm::services::OpenTransaction,
    },
});
