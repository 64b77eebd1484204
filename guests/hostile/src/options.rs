//! What mount options make the plugin do before its first request.
//!
//! | option | what happens |
//! |---|---|
//! | `fail_setup=TEXT` | `setup` fails with that text |
//! | `spin_setup=true` | `setup` never returns |
//! | `crash_setup=true` | the process or the component dies in `setup` |
//! | `write_in_setup=KEY` | `setup` writes there, and fails with what the host says |
//! | `fail_initialize=TEXT` | `initialize` fails with that text |
//! | `hang_initialize=true` | `initialize` never returns |

use std::collections::BTreeMap;

use palisade_plugin::{Failure, Host, PluginError, SetupConfig, StorageEntry};

use crate::{Hostile, die};

/// The mount's options.
pub(crate) struct Options(BTreeMap<String, String>);

impl Options {
    pub(crate) fn of(config: &SetupConfig) -> Self {
        Self(config.options.clone())
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    fn is_set(&self, name: &str) -> bool {
        self.text(name) == Some("true")
    }

    pub(crate) async fn misbehave_in_setup(&self, host: &dyn Host) -> Result<(), PluginError> {
        if self.is_set("crash_setup") {
            die::crash();
        }
        if self.is_set("spin_setup") {
            die::spin();
        }
        if let Some(key) = self.text("write_in_setup") {
            host.storage().put(StorageEntry::new(key, "1")).await?;
        }
        match self.text("fail_setup") {
            Some(text) => Err(PluginError::unknown(text)),
            None => Ok(()),
        }
    }
}

/// Where `initialize` counts how often it was called.
pub(crate) const INITIALIZED: &str = "initialized";

/// Counts the call in storage, and then does what the options say.
pub(crate) async fn initialize(hostile: &Hostile, host: &dyn Host) -> Result<(), Failure> {
    let before = times_initialized(host).await?;
    let times = (before + 1).to_string();
    host.storage()
        .put(StorageEntry::new(INITIALIZED, times))
        .await?;
    if hostile.options.is_set("hang_initialize") {
        die::spin();
    }
    match hostile.options.text("fail_initialize") {
        Some(text) => Err(PluginError::unknown(text).into()),
        None => Ok(()),
    }
}

/// How often `initialize` was called on this mount, over all its generations.
pub(crate) async fn times_initialized(host: &dyn Host) -> Result<u64, Failure> {
    let Some(entry) = host.storage().get(INITIALIZED).await? else {
        return Ok(0);
    };
    Ok(serde_json::from_slice(&entry.value)?)
}
