//! The store's file: made whole or not at all, opened by one process, readable by its owner only.

use std::fs::{File, Metadata, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::panic::AssertUnwindSafe;
use std::path::Path;

use ::redb::backends::FileBackend;
use ::redb::{Database, DatabaseError};
use rustix::fs::{CWD, OFlags, RenameFlags, renameat_with};
use rustix::io::Errno;

use super::{StoreError, committer};

/// Memory that redb may keep pages in. The page cache lies beneath it.
const CACHE_BYTES: usize = 64 << 20;

/// Opens the store's file, or makes it.
pub(super) fn open(path: &Path) -> Result<Database, StoreError> {
    match open_existing(path) {
        Ok(file) => database(path, file),
        Err(fault) if fault.kind() == ErrorKind::NotFound => {
            make(path)?;
            let file = open_existing(path).map_err(|fault| refuse(path, fault))?;
            database(path, file)
        }
        Err(fault) => Err(refuse(path, fault)),
    }
}

fn open_existing(path: &Path) -> std::io::Result<File> {
    let file = options().open(path).map_err(|fault| {
        if fault.raw_os_error() == Some(Errno::LOOP.raw_os_error()) {
            std::io::Error::other("it is a symlink; give the file itself")
        } else {
            fault
        }
    })?;
    check(&file.metadata()?).map_err(std::io::Error::other)?;
    Ok(file)
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    options
        .read(true)
        .write(true)
        .mode(0o600)
        .custom_flags(flags.bits().cast_signed());
    options
}

/// What a store's file must be before anything is read from it.
fn check(metadata: &Metadata) -> Result<(), String> {
    let mode = metadata.permissions().mode() & 0o7777;
    if !metadata.is_file() {
        Err("it is no regular file".to_owned())
    } else if metadata.len() == 0 {
        // A store is never empty: this was one that got lost, or something else.
        Err("it is empty; remove it to begin with a new store".to_owned())
    } else if mode & 0o077 != 0 {
        Err(format!(
            "its mode is {mode:04o}, which lets others read it; make it 0600"
        ))
    } else {
        Ok(())
    }
}

/// Makes a new store beside the path and moves it there, so that a crash leaves either nothing or a whole one.
fn make(path: &Path) -> Result<(), StoreError> {
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let fresh = tempfile::Builder::new()
        .prefix(".new-store-")
        .tempfile_in(directory)
        .map_err(|fault| refuse(path, fault))?;
    let file = fresh.reopen().map_err(|fault| refuse(path, fault))?;
    let made = database(path, file)?;
    committer::found(&made)?;
    made.close().map_err(|fault| refuse(path, fault))?;
    publish(fresh.path(), path).map_err(|fault| refuse(path, fault))?;
    // It has moved, so there is nothing left to remove.
    let _ = fresh.into_temp_path().keep();
    let directory = File::open(directory).map_err(|fault| refuse(path, fault))?;
    directory.sync_all().map_err(|fault| refuse(path, fault))
}

/// Moves the new file to its place. Whoever made one there first wins, and this one is opened instead.
fn publish(fresh: &Path, path: &Path) -> std::io::Result<()> {
    match renameat_with(CWD, fresh, CWD, path, RenameFlags::NOREPLACE) {
        Err(Errno::EXIST) => std::fs::remove_file(fresh),
        moved => moved.map_err(Into::into),
    }
}

fn database(path: &Path, file: File) -> Result<Database, StoreError> {
    let backend = FileBackend::new(file).map_err(|fault| refuse(path, fault))?;
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES);
    // redb says that it may panic over a file that others have changed.
    let opened =
        std::panic::catch_unwind(AssertUnwindSafe(|| builder.create_with_backend(backend)));
    match opened {
        Ok(Ok(database)) => Ok(database),
        Ok(Err(DatabaseError::DatabaseAlreadyOpen)) => {
            Err(refuse(path, "it is in use by another process"))
        }
        Ok(Err(fault)) => Err(refuse(path, fault)),
        Err(_panic) => Err(refuse(path, "it is damaged")),
    }
}

fn refuse(path: &Path, fault: impl std::fmt::Display) -> StoreError {
    StoreError::Failed(format!("{} cannot be opened: {fault}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::super::RedbStore;
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    fn refusal(path: &Path) -> String {
        RedbStore::open(path)
            .err()
            .expect("it is refused")
            .to_string()
    }

    #[test]
    fn a_new_file_is_its_owners_alone_and_nothing_is_left_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store.redb");
        drop(RedbStore::open(&path).unwrap());
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        drop(RedbStore::open(&path).unwrap());
    }

    #[test]
    fn a_file_in_use_is_refused_until_it_is_closed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store.redb");
        let first = RedbStore::open(&path).unwrap();
        assert!(refusal(&path).contains("in use by another process"));
        drop(first);
        drop(RedbStore::open(&path).unwrap());
    }

    #[test]
    fn what_is_no_store_is_refused_and_left_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let private = |name: &str, content: &[u8]| {
            let path = dir.path().join(name);
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            path
        };
        let text = private("text", b"hello");
        assert!(refusal(&text).contains("cannot be opened"));
        assert_eq!(fs::read(&text).unwrap(), b"hello");

        assert!(refusal(&private("empty", b"")).contains("it is empty"));
        let open = private("open", b"x");
        fs::set_permissions(&open, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(refusal(&open).contains("its mode is 0644"));
        let link = dir.path().join("link");
        symlink(&text, &link).unwrap();
        assert!(refusal(&link).contains("symlink"));
        let folder = dir.path().join("folder");
        fs::create_dir(&folder).unwrap();
        assert!(refusal(&folder).contains("cannot be opened"));
        let nowhere = dir.path().join("no/such/place");
        assert!(refusal(&nowhere).contains("cannot be opened"));
    }

    #[test]
    fn a_file_cut_short_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store.redb");
        drop(RedbStore::open(&path).unwrap());
        let length = fs::metadata(&path).unwrap().len();
        let file = File::options().write(true).open(&path).unwrap();
        file.set_len(length / 2).unwrap();
        assert!(refusal(&path).contains("cannot be opened"));
    }

    #[test]
    fn another_redb_file_is_no_store() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("other.redb");
        let other = Database::create(&path).unwrap();
        drop(other);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(refusal(&path).contains("no store"));
    }
}
