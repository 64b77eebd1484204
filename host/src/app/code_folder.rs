//! Where this server keeps compiled components: beside its storage, or, when that is in memory, for as long as it runs.

use std::ffi::OsString;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, OFlags};
use tempfile::TempDir;

use super::INTERNAL;
use crate::cli::Failure;

/// How the names of temporary ones begin.
const PREFIX: &str = "palisade-compiled-";

/// A folder, which is removed with this if it is a temporary one.
pub(super) struct CodeFolder {
    path: PathBuf,
    _temporary: Option<Temporary>,
}

/// A folder that no other server takes for one that was left behind.
struct Temporary {
    folder: TempDir,
    /// The folder itself, locked. However this process ends, the lock ends with it.
    _lock: File,
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

    /// A new one. Nothing outlives the server, whose key does not either: what servers left behind that were killed is
    /// removed.
    pub(super) fn temporary() -> Result<Self, Failure> {
        let place = std::env::temp_dir();
        sweep(&place);
        let temporary = Temporary::make(&place).map_err(|fault| {
            let text =
                format!("a temporary folder for compiled components cannot be made: {fault}");
            Failure::coded(INTERNAL, text)
        })?;
        Ok(Self {
            path: temporary.folder.path().to_owned(),
            _temporary: Some(temporary),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Temporary {
    fn make(place: &Path) -> io::Result<Self> {
        loop {
            let folder = tempfile::Builder::new()
                .prefix(PREFIX)
                .permissions(Permissions::from_mode(0o700))
                .tempdir_in(place)?;
            // Before it was locked, another server may have taken it for one that was left behind.
            if let Some(lock) = locked(folder.path())? {
                return Ok(Self {
                    folder,
                    _lock: lock,
                });
            }
        }
    }
}

/// Removes the temporary folders of this user that no server holds any more.
fn sweep(place: &Path) {
    let entries = fs::read_dir(place).into_iter().flatten().flatten();
    let named = entries.filter(|it| it.file_name().to_string_lossy().starts_with(PREFIX));
    for path in named.map(|it| it.path()) {
        // Held until it is gone.
        if let Ok(Some(_lock)) = locked(&path)
            && let Err(error) = fs::remove_dir_all(&path)
        {
            tracing::debug!(%error, path = %path.display(), "a folder that was left behind stays");
        }
    }
}

/// The folder at that path, locked; nothing when somebody else holds it, or it is another user's, or gone by now. No
/// symlink is followed.
fn locked(path: &Path) -> io::Result<Option<File>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let folder = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(folder) => File::from(folder),
        Err(rustix::io::Errno::NOENT) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    match rustix::fs::flock(&folder, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
        Err(error) => return Err(error.into()),
    }
    let found = folder.metadata()?;
    let is_own = found.uid() == rustix::process::geteuid().as_raw();
    let is_there = fs::symlink_metadata(path)
        .is_ok_and(|it| (it.dev(), it.ino()) == (found.dev(), found.ino()));
    Ok((is_own && is_there).then_some(folder))
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

    #[test]
    fn only_what_was_left_behind_is_swept() {
        let place = tempfile::tempdir().unwrap();
        let path = |name: &str| place.path().join(name);
        let live = Temporary::make(place.path()).unwrap();
        let killed = path("palisade-compiled-killed");
        for folder in [&killed, &path("another"), &path("target")] {
            fs::create_dir(folder).unwrap();
            fs::write(folder.join("code"), "x").unwrap();
        }
        let link = path("palisade-compiled-link");
        std::os::unix::fs::symlink(path("target"), &link).unwrap();
        fs::write(path("palisade-compiled-file"), "x").unwrap();
        sweep(place.path());
        assert!(!killed.exists());
        assert!(live.folder.path().is_dir());
        for kept in ["another/code", "target/code", "palisade-compiled-file"] {
            assert!(path(kept).exists(), "{kept}");
        }
        assert!(link.is_symlink());
    }

    #[test]
    fn a_folder_that_somebody_holds_or_that_is_gone_is_not_locked() {
        let place = tempfile::tempdir().unwrap();
        let live = Temporary::make(place.path()).unwrap();
        assert!(locked(live.folder.path()).unwrap().is_none());
        assert!(locked(&place.path().join("gone")).unwrap().is_none());
        // The control: once nobody holds it, it is.
        let Temporary {
            folder,
            _lock: lock,
        } = live;
        drop(lock);
        assert!(locked(folder.path()).unwrap().is_some());
    }
}
