//! The private folder of one process: its sockets, and its working directory. All of a server are in one folder, which
//! the spawner removes should the server die without having done so.

use std::fs::{File, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, lchown};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use palisade_protocol::handshake::SOCKET_PATH_BYTES_MAX;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, chownat, fstat, openat};
use rustix::process::{Gid, Uid};
use tempfile::TempDir;

/// Room for the name of a socket: `/plugin` and the digits that Go appends, with something to spare.
const SOCKET_NAME_BYTES: usize = 32;

/// Where a driver makes them. Others may pass through it (mode 0711), and see nothing. Removed with this value and the last in it.
#[derive(Default)]
pub(super) struct RunDirs {
    root: Mutex<Option<Root>>,
}

/// The folder of them all, held open: as long as it is, nothing else can have its number.
struct Root {
    folder: Arc<TempDir>,
    opened: File,
}

impl Root {
    fn make() -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("palisade-").tempdir()?;
        // The mode would lose what the mask of this process takes away.
        std::fs::set_permissions(folder.path(), Permissions::from_mode(0o711))?;
        let opened = File::open(folder.path())?;
        Ok(Self {
            folder: Arc::new(folder),
            opened,
        })
    }

    /// Whether it is still what lies at its path: once it is gone, anybody can make something of its name.
    fn is_there(&self) -> bool {
        let found = self.folder.path().symlink_metadata();
        let (Ok(found), Ok(own)) = (found, self.opened.metadata()) else {
            return false;
        };
        number(&found) == number(&own)
    }
}

/// A folder that only its owner can enter (mode 0700), removed when the value is dropped.
pub(super) struct RunDir {
    directory: TempDir,
    /// Device and number. Nothing else has them for as long as somebody works in the folder.
    number: (u64, u64),
    /// Whose it is, if not this process's user's.
    owner: Option<u32>,
    /// Dropped after what lies in it.
    root: Arc<TempDir>,
}

impl RunDirs {
    /// The folder of them all, made at the first use, and again when a cleaner of temporary files has removed it.
    fn root(&self) -> io::Result<Arc<TempDir>> {
        let mut held = self.root.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(root) = held.as_ref().filter(|root| root.is_there()) {
            return Ok(Arc::clone(&root.folder));
        }
        Ok(Arc::clone(&held.insert(Root::make()?).folder))
    }

    /// A folder for a process that runs as `owner`; as this process's own user when there is none.
    pub(super) fn create(&self, owner: Option<u32>) -> Result<RunDir, RunDirError> {
        // From the start, and not changed afterwards: in between somebody could enter.
        let root = self.root()?;
        let directory = tempfile::Builder::new()
            .prefix("")
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(root.path())?;
        let path = directory.path();
        let (length, limit) = (
            path.as_os_str().len(),
            SOCKET_PATH_BYTES_MAX - SOCKET_NAME_BYTES,
        );
        if path.to_str().is_none() || length > limit {
            let path = path.to_path_buf();
            return Err(RunDirError::Path {
                path,
                length,
                limit,
            });
        }
        if owner.is_some() {
            lchown(path, owner, owner).map_err(RunDirError::Owner)?;
        }
        let number = number(&path.symlink_metadata()?);
        Ok(RunDir {
            directory,
            number,
            owner,
            root,
        })
    }
}

impl RunDir {
    /// The folder that holds it and those of all other processes, as text.
    pub(super) fn root_text(&self) -> &str {
        let root = self.root.path().to_str();
        root.expect("a path that is no text was refused when it was made")
    }

    /// Whether it is still what lies at its path.
    pub(super) fn is_there(&self) -> bool {
        let found = self.path().symlink_metadata();
        found.is_ok_and(|found| number(&found) == self.number)
    }

    pub(super) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The path as text.
    pub(super) fn text(&self) -> &str {
        self.path()
            .to_str()
            .expect("a path that is no text was refused when it was made")
    }

    /// Lets the process connect to a socket that this one has just made in the folder.
    ///
    /// The process may do in its folder what it likes, so what lies at `path` may be something else by now: nothing is
    /// given away but a socket that has no second name.
    pub(super) fn share_socket(&self, path: &Path) -> io::Result<()> {
        let Some(owner) = self.owner else {
            return Ok(());
        };
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let socket = openat(CWD, path, flags, Mode::empty())?;
        let found = fstat(&socket)?;
        let is_socket = FileType::from_raw_mode(found.st_mode) == FileType::Socket;
        if !is_socket || found.st_nlink != 1 {
            return Err(io::Error::other("something else stands in its place"));
        }
        let (user, group) = (Uid::from_raw(owner), Gid::from_raw(owner));
        Ok(chownat(
            socket,
            "",
            Some(user),
            Some(group),
            AtFlags::EMPTY_PATH,
        )?)
    }

    /// Whether `path` is a socket directly in this folder, and no link to one elsewhere.
    pub(super) fn has_socket(&self, path: &Path) -> bool {
        let is_socket = || {
            path.symlink_metadata()
                .is_ok_and(|found| found.file_type().is_socket())
        };
        let is_plain = path
            .file_name()
            .is_some_and(|name| self.path().join(name) == *path);
        is_plain && is_socket()
    }
}

fn number(file: &Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}

/// Why there is no folder.
#[derive(Debug, thiserror::Error)]
pub(super) enum RunDirError {
    /// The operating system refused.
    #[error("its private folder could not be made: {0}")]
    Create(#[from] io::Error),
    /// It cannot be given to the process.
    #[error("its private folder could not be given to its own user (CAP_CHOWN is needed): {0}")]
    Owner(io::Error),
    /// A socket in it could have no name.
    #[error(
        "its private folder would be {path:?}, which has {length} bytes; a folder of sockets is text of at most {limit} bytes: set TMPDIR to a shorter path"
    )]
    Path {
        /// The folder.
        path: PathBuf,
        /// How long.
        length: usize,
        /// How long it may be.
        limit: usize,
    },
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn the_folder_is_private_and_goes_away() {
        let all = RunDirs::default();
        let directory = all.create(None).expect("a folder can be made");
        let (path, root) = (
            directory.path().to_path_buf(),
            PathBuf::from(directory.root_text()),
        );
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(&root)), (0o700, 0o711));
        drop(directory);
        assert!(!path.exists());
        // One that somebody removed is made again, and not where a stranger made something of its name.
        std::fs::remove_dir(&root).expect("it is empty");
        symlink("/tmp", &root).expect("the name is free");
        let again = all.create(None).expect("a folder can be made");
        let made = PathBuf::from(again.root_text());
        assert_ne!(made, root);
        drop((all, again));
        assert!(!made.exists());
        let _ = std::fs::remove_file(&root);
    }

    #[test]
    fn only_a_socket_directly_in_the_folder_is_one_of_its_own() {
        let all = RunDirs::default();
        let (ours, theirs) = (
            all.create(None).expect("one"),
            all.create(None).expect("another"),
        );
        let good = ours.path().join("plugin1");
        let foreign = theirs.path().join("plugin1");
        let _listeners = [UnixListener::bind(&good), UnixListener::bind(&foreign)]
            .map(|bound| bound.expect("the folder is ours"));
        std::fs::write(ours.path().join("file"), "x").expect("the folder is ours");
        symlink(&foreign, ours.path().join("link")).expect("the folder is ours");
        assert!(ours.has_socket(&good));
        let round_about = theirs
            .path()
            .join("..")
            .join(good.strip_prefix("/").unwrap_or(&good));
        let bad = [
            foreign,
            round_about,
            ours.path().join("file"),
            ours.path().join("link"),
            ours.path().join("none"),
        ];
        for path in bad {
            assert!(!ours.has_socket(&path), "{path:?}");
        }
    }
}
