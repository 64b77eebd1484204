//! A mount's part of the store: which keys a plugin may name, where they lie, and what a store's error tells it.

use std::fmt;

use palisade_contract::{HostError, HostErrorKind, PluginType};

use super::StorageLimits;
use crate::store::{Check, StoreError};
use crate::{CallError, GrammarError};

/// Where a mount's keys lie in the store: `logical/<uuid>/` or `auth/<uuid>/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountPrefix(String);

impl MountPrefix {
    /// The place of the mount with that UUID.
    ///
    /// # Errors
    ///
    /// When `uuid` is not one segment of letters, digits and `-`: it would name a place inside another mount's. And for
    /// a database plugin, which has no mount and keeps nothing.
    pub fn new(plugin_type: PluginType, uuid: &str) -> Result<Self, GrammarError> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if uuid.is_empty() || !uuid.chars().all(allowed) {
            let fault = "it has letters, digits and '-' only, and at least one";
            return Err(GrammarError::new("mount uuid", uuid, fault));
        }
        let kind = match plugin_type {
            PluginType::Secret => "logical",
            PluginType::Auth => "auth",
            PluginType::Database => {
                let fault = "a database plugin has no storage";
                return Err(GrammarError::new("mount type", "database", fault));
            }
        };
        Ok(Self([kind, "/", uuid, "/"].concat()))
    }

    /// The prefix with its trailing slash.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MountPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A mount's part of the store. Every full key is this prefix and a checked key behind it, put together without any
/// resolving of segments, so it cannot lie anywhere else.
pub(super) struct View {
    prefix: MountPrefix,
    limits: StorageLimits,
}

impl View {
    pub(super) fn new(prefix: MountPrefix, limits: StorageLimits) -> Self {
        Self { prefix, limits }
    }

    pub(super) fn limits(&self) -> &StorageLimits {
        &self.limits
    }

    /// The store's key for one of the mount's.
    pub(super) fn full(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    /// The mount's key for one of the store's, as far as it is the mount's.
    pub(super) fn relative<'a>(&self, full: &'a str) -> &'a str {
        full.strip_prefix(self.prefix.as_str()).unwrap_or(full)
    }

    /// Whether a plugin may read or delete at `key`.
    pub(super) fn check_key(&self, key: &str) -> Result<(), HostError> {
        if key.is_empty() {
            return Err(HostError::other("the storage key is empty"));
        }
        self.check_path(key)
    }

    /// Whether a plugin may write `value_bytes` at `key`.
    pub(super) fn check_put(&self, key: &str, value_bytes: usize) -> Result<(), HostError> {
        self.check_key(key)?;
        if key.ends_with('/') {
            let text = format!(
                "the storage key {:?} ends in '/' and so names a folder",
                clip(key)
            );
            return Err(HostError::other(text));
        }
        let limit = self.limits.value_bytes_max;
        if value_bytes > limit {
            let detail = format!(
                "{value_bytes} bytes at {:?}, {limit} are allowed",
                clip(key)
            );
            return Err(HostError::about(HostErrorKind::TooLarge, detail));
        }
        Ok(())
    }

    /// Whether a plugin may list `prefix` from behind `after`.
    pub(super) fn check_list(&self, prefix: &str, after: &str) -> Result<(), HostError> {
        self.check_path(prefix)?;
        self.check_length(after)
    }

    fn check_path(&self, key: &str) -> Result<(), HostError> {
        self.check_length(key)?;
        if key.starts_with('/') {
            let text = format!(
                "the storage key {:?} starts with '/'; keys are relative",
                clip(key)
            );
            return Err(HostError::other(text));
        }
        if key.split('/').any(|segment| segment == "..") {
            // The text of OpenBao's storage views.
            return Err(HostError::other("relative paths not supported"));
        }
        if key.contains('\0') {
            return Err(HostError::other("the storage key has a NUL in it"));
        }
        Ok(())
    }

    fn check_length(&self, key: &str) -> Result<(), HostError> {
        let (bytes, limit) = (key.len(), self.limits.key_bytes_max);
        if bytes > limit {
            let text = "put failed due to key being too large";
            return Err(HostError {
                kind: HostErrorKind::TooLarge,
                message: format!("{text}: {bytes} bytes, {limit} are allowed"),
            });
        }
        Ok(())
    }

    /// What a plugin is told of a store's error. Whatever names the medium or a place outside of the mount stays here.
    pub(super) fn to_host_error(&self, error: StoreError) -> HostError {
        match error {
            StoreError::Conflict(key) => {
                let about = format!("{:?} has changed", self.relative(&key));
                HostError::about(HostErrorKind::Conflict, about)
            }
            StoreError::Sealed => HostError::of(HostErrorKind::Sealed),
            StoreError::Undecryptable(_) | StoreError::Failed(_) => {
                tracing::error!(mount = %self.prefix, %error, "storage failed");
                HostError::other("storage failed")
            }
        }
    }

    /// What a request's caller is told of an error at its commit.
    pub(super) fn to_call_error(&self, error: StoreError) -> CallError {
        match error {
            StoreError::Conflict(key) => CallError::Conflict {
                key: self.relative(&key).to_owned(),
            },
            StoreError::Sealed => CallError::Sealed,
            StoreError::Undecryptable(_) | StoreError::Failed(_) => {
                tracing::error!(mount = %self.prefix, %error, "storage failed");
                CallError::Storage("the request's writes were not confirmed".to_owned())
            }
        }
    }

    pub(super) fn key_check(&self, key: &str, revision: Option<u64>) -> Check {
        Check::Key {
            key: self.full(key),
            revision,
        }
    }
}

/// Enough of a key to recognise it in an error.
fn clip(key: &str) -> &str {
    const SHOWN: usize = 80;
    key.char_indices()
        .nth(SHOWN)
        .map_or(key, |(end, _)| &key[..end])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn view() -> View {
        let prefix = MountPrefix::new(PluginType::Secret, "0a").unwrap();
        View::new(prefix, StorageLimits::default())
    }

    #[test]
    fn a_mount_lies_where_its_type_and_uuid_say() {
        let auth = MountPrefix::new(PluginType::Auth, "12-ab").unwrap();
        assert_eq!(auth.as_str(), "auth/12-ab/");
        for bad in ["", "a/b", "..", "a b", "é"] {
            assert!(MountPrefix::new(PluginType::Secret, bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn keys_that_could_mean_another_place_are_refused() {
        for bad in ["", "/a", "..", "../x", "a/../b", "a/..", "a\0b"] {
            assert!(view().check_key(bad).is_err(), "{bad:?}");
            assert!(view().check_put(bad, 0).is_err(), "{bad:?}");
        }
        assert!(view().check_put("a/", 0).is_err());
        for good in ["a", "a..b", "a/b", "...", "a/.b", "ä", "a//b"] {
            assert!(view().check_put(good, 0).is_ok(), "{good:?}");
        }
    }

    #[test]
    fn a_key_or_value_over_its_limit_is_told_the_limit() {
        let long = "k".repeat(5000);
        let error = view().check_key(&long).unwrap_err();
        assert_eq!(error.kind, HostErrorKind::TooLarge);
        assert!(error.message.contains("5000 bytes, 4096 are allowed"));
        let error = view().check_put("k", (32 << 20) + 1).unwrap_err();
        assert_eq!(error.kind, HostErrorKind::TooLarge);
        assert!(error.message.contains("33554432 are allowed"));
    }

    #[test]
    fn a_plugin_learns_nothing_of_the_medium() {
        let failed = StoreError::Failed("/var/lib/secret.redb: disk on fire".to_owned());
        assert_eq!(view().to_host_error(failed).message, "storage failed");
        let conflict = StoreError::Conflict("logical/0a/k".to_owned());
        let message = view().to_host_error(conflict).message;
        assert_eq!(message, "transaction commit failed: \"k\" has changed");
    }

    proptest! {
        #[test]
        fn no_key_that_is_taken_lies_outside_of_the_mount(
            key in "(\\.|/|\\\\|%2e|[a-c]|\u{0}|\u{2025}|logical/0b){0,12}"
        ) {
            let view = view();
            if view.check_key(&key).is_ok() {
                let full = view.full(&key);
                prop_assert!(full.starts_with("logical/0a/") && full.len() > "logical/0a/".len());
                prop_assert!(full.split('/').all(|segment| segment != ".."));
                prop_assert_eq!(view.relative(&full), key);
            }
        }
    }
}
