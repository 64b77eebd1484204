//! The one macro of a plugin crate.

/// Makes the crate a plugin: a component when it is built for WebAssembly, a native executable otherwise, and a value
/// that a host can link.
///
/// Used once, in `lib.rs`:
///
/// ```ignore
/// palisade_plugin::plugin! {
///     type: secret,                       // or auth
///     version: "v0.1.0",                  // a constant; empty lets the operator name it
///     special_paths: special_paths(),     // optional
///     setup: setup,                       // async fn(SetupConfig, &dyn Host) -> Result<Box<dyn Backend>, PluginError>
/// }
/// ```
///
/// It adds `pub fn plugin() -> Arc<dyn Plugin>` and `pub fn main() -> ExitCode`. The crate's executable is one line:
/// `fn main() -> std::process::ExitCode { my_plugin::main() }`.
///
/// The library needs `crate-type = ["cdylib", "rlib"]`, and a name other than the executable's: with the same name, a
/// plain `cargo build --target wasm32-wasip2` writes one over the other.
#[macro_export]
macro_rules! plugin {
    (
        type: $type:ident,
        version: $version:expr,
        $(special_paths: $special_paths:expr,)?
        setup: $setup:expr $(,)?
    ) => {
        /// This plugin, as a host links it.
        pub fn plugin() -> ::std::sync::Arc<dyn $crate::Plugin> {
            ::std::sync::Arc::new(PluginEntry)
        }

        /// This plugin as a process of its own: what `main` of the executable calls.
        #[cfg(not(target_family = "wasm"))]
        pub fn main() -> ::std::process::ExitCode {
            $crate::native::main(plugin())
        }

        /// A component is not started as a command. Cargo builds the executable for WebAssembly too, and this is
        /// what it does there.
        #[cfg(target_family = "wasm")]
        pub fn main() -> ::std::process::ExitCode {
            ::std::process::ExitCode::FAILURE
        }

        struct PluginEntry;

        #[$crate::async_trait]
        impl $crate::Plugin for PluginEntry {
            fn describe(&self) -> $crate::Description {
                #[allow(unused_mut, reason = "special paths are optional")]
                let mut description =
                    $crate::Description::new($crate::plugin!(@type $type), PLUGIN_VERSION);
                $(description.special_paths = $special_paths;)?
                description
            }

            async fn setup(
                &self,
                config: $crate::SetupConfig,
                host: &dyn $crate::Host,
            ) -> ::std::result::Result<
                ::std::boxed::Box<dyn $crate::Backend>,
                $crate::PluginError,
            > {
                $setup(config, host).await
            }
        }

        const PLUGIN_VERSION: &str = $version;

        #[cfg(target_family = "wasm")]
        #[allow(
            unsafe_code,
            reason = "exports and custom sections are bound by name, which the language calls unsafe"
        )]
        const _: () = {
            const SECTION_LEN: usize =
                $crate::section::section_len(stringify!($type), PLUGIN_VERSION);

            // SAFETY: nothing else in a component has a section of that name, and these bytes are only read.
            #[used]
            #[unsafe(link_section = "palisade:plugin")]
            static SECTION: [u8; SECTION_LEN] =
                $crate::section::section(stringify!($type), PLUGIN_VERSION);

            struct Component;

            impl $crate::wasm::Entry for Component {
                fn plugin() -> &'static dyn $crate::Plugin {
                    &PluginEntry
                }
            }

            $crate::wasm::export_component!(Component);
        };
    };
    (@type secret) => { $crate::PluginType::Secret };
    (@type auth) => { $crate::PluginType::Auth };
    (@type $other:ident) => { compile_error!("a plugin's type is secret or auth") };
}
