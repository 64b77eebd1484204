//! What a Palisade plugin is written against.
//!
//! A plugin is one crate. The [`plugin!`] macro makes it a WebAssembly component when it is built for
//! `wasm32-wasip2`, a native go-plugin executable when it is built for the machine, and a value that a host can link.
//! Which of them runs is the operator's choice; the source does not know.
//!
//! # A complete plugin
//!
//! `Cargo.toml` names the library and the executable differently, because a component and an executable of one name
//! would overwrite each other:
//!
//! ```toml
//! [lib]
//! name = "my_notes"
//! crate-type = ["cdylib", "rlib"]
//!
//! [[bin]]
//! name = "notes"
//! path = "src/main.rs"
//! ```
//!
//! `src/main.rs` is `fn main() -> std::process::ExitCode { my_notes::main() }`, and `src/lib.rs` is the plugin:
//!
//! ```
//! use palisade_plugin::{
//!     Answer, Backend, Call, Failure, Field, Host, Path, PluginError, Router, SetupConfig,
//!     StorageEntry, data, pattern,
//! };
//!
//! palisade_plugin::plugin! {
//!     type: secret,
//!     version: "v0.1.0",
//!     setup: setup,
//! }
//!
//! /// The state of a mount: here the longest text it takes, from the mount's options.
//! struct Notes {
//!     bytes_max: usize,
//! }
//!
//! const NAME: Field<String> = Field::string("name", "The note's name.");
//! const TEXT: Field<String> = Field::string("text", "What to note.").required();
//!
//! async fn setup(config: SetupConfig, _: &dyn Host) -> Result<Box<dyn Backend>, PluginError> {
//!     let bytes_max = match config.options.get("bytes_max") {
//!         Some(number) => number
//!             .parse()
//!             .map_err(|_| PluginError::invalid_request("the option bytes_max is not a number"))?,
//!         None => 1024,
//!     };
//!     Router::new(Notes { bytes_max })
//!         .help("Keeps short notes.")
//!         .path(
//!             Path::new(format!("notes/{}", pattern::name("name")))
//!                 .field(&NAME)
//!                 .field(&TEXT)
//!                 .read(read)
//!                 .write(write)
//!                 .help("One note.", "Reads or writes the note of that name."),
//!         )
//!         .build()
//! }
//!
//! async fn read(_: &Notes, call: Call<'_>) -> Answer {
//!     let name = call.value(&NAME)?;
//!     let Some(entry) = call.storage().get(&format!("notes/{name}")).await? else {
//!         return Ok(None); // the client gets 404
//!     };
//!     let text = String::from_utf8_lossy(&entry.value);
//!     data(&serde_json::json!({ "text": text }))
//! }
//!
//! async fn write(notes: &Notes, call: Call<'_>) -> Answer {
//!     let (name, text) = (call.value(&NAME)?, call.value(&TEXT)?);
//!     if text.len() > notes.bytes_max {
//!         return Err(Failure::refused("the text is too long")); // 400
//!     }
//!     let entry = StorageEntry::new(format!("notes/{name}"), text);
//!     call.storage().put(entry).await?;
//!     Ok(None) // 204
//! }
//!
//! // What a unit test does:
//! use palisade_plugin::testing::Mount;
//! let mount = Mount::enable(plugin(), &[("bytes_max", "5")]).unwrap();
//! mount.write("notes/a", serde_json::json!({ "text": "milk" })).unwrap();
//! let note = mount.read("notes/a").unwrap().unwrap();
//! assert_eq!(note.data.as_str(), r#"{"text":"milk"}"#);
//! let refused = mount.write("notes/a", serde_json::json!({ "text": "too long" })).unwrap();
//! assert_eq!(refused.unwrap().error_text().unwrap(), "the text is too long");
//! ```
//!
//! # What to keep in mind
//!
//! - **Memory is a cache.** A host may drop the state and make it again between any two requests, and several may live
//!   at once. Keep the truth in storage, and forget what [`Router::invalidate`] names.
//! - **Write in a transaction** ([`Call::transaction`]) whenever you read first, and run it under [`retry_conflicts`].
//! - **Await only the host.** In a component, a future that waits for anything else traps.
//! - **Take time and randomness from the host** ([`Call::now`], [`Host::random`]): then a component imports nothing
//!   more for them, and a test decides what they are.
//! - **Secrets do not go to the log**, nor into error texts.

mod answer;
mod call;
mod field;
mod handler;
mod help;
mod known;
mod matcher;
mod path;
pub mod pattern;
mod plain;
mod plugin;
mod retry;
mod router;
pub mod testing;

#[cfg(not(target_family = "wasm"))]
#[doc(hidden)]
pub mod native;
#[doc(hidden)]
pub mod section;
#[cfg(target_family = "wasm")]
#[doc(hidden)]
pub mod wasm;

pub use answer::{Answer, Failure, data, keys, with_status};
pub use async_trait::async_trait;
pub use call::Call;
pub use field::{Field, FieldType, FieldValue, Mismatch, go_duration, parse_duration, rfc3339};
pub use handler::{Handler, Hook};
pub use palisade_contract::*;
pub use path::{MakePath, Path};
pub use retry::retry_conflicts;
pub use router::Router;
