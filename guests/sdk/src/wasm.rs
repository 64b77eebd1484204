//! The same plugin as a component: the contract's traits over the imports, and the exports over the contract's traits.
//!
//! Every import returns at once for the guest, so a handler's future is ready the first time it is polled. One that is
//! not waits for something that no host of this contract can wake, and the guest traps with a message saying so.

#[expect(
    missing_docs,
    reason = "generated from the WIT package: it passes pointers by the canonical ABI"
)]
pub mod bindings {
    // Both worlds have the same imports and the same exports, so one set of bindings serves both types.
    wit_bindgen::generate!({
        path: "../../wit/v0.1.0",
        world: "secrets",
        pub_export_macro: true,
        export_macro_name: "export_bindings",
        default_bindings_module: "palisade_plugin::wasm::bindings",
    });
}
mod entry;
mod host;
mod incoming;
mod outgoing;

pub use entry::{Entry, Exports};

/// Exports the component whose plugin that [`Entry`] is. Part of [`plugin!`](crate::plugin).
#[macro_export]
#[doc(hidden)]
macro_rules! export_component {
    ($entry:ident) => {
        type Exported = $crate::wasm::Exports<$entry>;
        $crate::wasm::bindings::export_bindings!(Exported with_types_in $crate::wasm::bindings);
    };
}
pub use export_component;
