//! Where this server keeps compiled components: beside its storage, or, when that is in memory, for as long as it runs.

use std::ffi::OsString;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::INTERNAL;
use crate::cli::Failure;

/// A folder, which is removed with this if it is a temporary one.
pub(super) struct CodeFolder {
    path: PathBuf,
    _temporary: Option<TempDir>,
}

impl CodeFolder {
    /// The storage file's name, and `.compiled`.
    pub(super) fn beside(storage: &Path) -> Self {
        let mut path = OsString::from(storage);
        path.push(".compiled");
        Self {
            path: path.into(),
            _temporary: None,
        }
    }

    /// A new one. Nothing outlives the server, whose key does not either.
    pub(super) fn temporary() -> Result<Self, Failure> {
        let folder = tempfile::Builder::new()
            .prefix("palisade-compiled-")
            .permissions(Permissions::from_mode(0o700))
            .tempdir();
        let folder = folder.map_err(|fault| {
            let text =
                format!("a temporary folder for compiled components cannot be made: {fault}");
            Failure::coded(INTERNAL, text)
        })?;
        Ok(Self {
            path: folder.path().to_owned(),
            _temporary: Some(folder),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_named_for_the_storage_it_belongs_to() {
        let folder = CodeFolder::beside(Path::new("/var/lib/palisade/store.redb"));
        let expected = Path::new("/var/lib/palisade/store.redb.compiled");
        assert_eq!(folder.path(), expected);
    }

    #[test]
    fn a_temporary_one_goes_with_the_server() {
        let folder = CodeFolder::temporary().unwrap();
        let path = folder.path().to_owned();
        assert!(path.is_dir());
        drop(folder);
        assert!(!path.exists());
    }
}
