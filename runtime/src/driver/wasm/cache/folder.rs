//! The folder of the cache: nobody else's, files of a bounded size together, each written whole or not at all.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, Stat, Timespec, Timestamps, fstat, futimens, mkdir,
    openat, renameat, statat, unlinkat,
};
use rustix::io::Errno;
use rustix::process::geteuid;

/// The largest file that is read.
const FILE_BYTES_MAX: u64 = 257 << 20;

/// What the names of files begin with that are still being written.
const UNFINISHED: &str = ".new-";

/// The folder, by a descriptor that outlasts any change of names above it.
pub(super) struct Folder {
    descriptor: OwnedFd,
    bytes_max: u64,
    next: AtomicU64,
    /// One writer at a time counts what there is.
    writing: Mutex<()>,
}

/// What is wrong with the folder, or with a file in it.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {fault}")]
pub(super) struct FolderFault {
    place: String,
    fault: String,
}

fn at(place: impl ToString) -> impl FnOnce(String) -> FolderFault {
    let place = place.to_string();
    move |fault| FolderFault { place, fault }
}

impl Folder {
    /// Opens it, and makes it if it is not there.
    pub(super) fn open(path: &Path, bytes_max: u64) -> Result<Self, FolderFault> {
        let folder = Self {
            descriptor: open_private(path).map_err(at(path.display()))?,
            bytes_max,
            next: AtomicU64::new(0),
            writing: Mutex::default(),
        };
        // What an earlier server did not finish is nobody's.
        for name in folder.names() {
            if name.starts_with(UNFINISHED) {
                folder.remove(&name);
            }
        }
        Ok(folder)
    }

    /// The content of a file; nothing when there is none.
    pub(super) fn read(&self, name: &str) -> Result<Option<Vec<u8>>, FolderFault> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match openat(&self.descriptor, name, flags, Mode::empty()) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(None),
            Err(fault) => return Err(at(name)(fault.to_string())),
        };
        self.read_opened(file).map(Some).map_err(at(name))
    }

    fn read_opened(&self, file: OwnedFd) -> Result<Vec<u8>, String> {
        let found = fstat(&file).map_err(|fault| fault.to_string())?;
        check_owner(&found)?;
        let size = u64::try_from(found.st_size).unwrap_or(0);
        if FileType::from_raw_mode(found.st_mode) != FileType::RegularFile {
            return Err("it is no regular file".to_owned());
        }
        if size > FILE_BYTES_MAX {
            return Err(format!("it has {size} bytes, {FILE_BYTES_MAX} are allowed"));
        }
        was_used(&file);
        let mut content = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
        // It may grow meanwhile: the cap counts what is read.
        let mut file = File::from(file).take(FILE_BYTES_MAX);
        file.read_to_end(&mut content)
            .map_err(|fault| fault.to_string())?;
        Ok(content)
    }

    /// Puts a file in the place of that name, and makes room for it.
    pub(super) fn write(&self, name: &str, content: &[u8]) -> Result<(), FolderFault> {
        let _one = self.writing.lock().unwrap_or_else(|held| held.into_inner());
        if content.len() as u64 > self.bytes_max.min(FILE_BYTES_MAX) {
            let fault = format!("{} bytes are more than the cache holds", content.len());
            return Err(at(name)(fault));
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let unfinished = format!("{UNFINISHED}{}-{number}", std::process::id());
        let written = self.write_new(&unfinished, content).and_then(|()| {
            renameat(&self.descriptor, &unfinished, &self.descriptor, name)
                .map_err(|fault| fault.to_string())
        });
        if written.is_err() {
            self.remove(&unfinished);
        }
        written.map_err(at(name))?;
        self.make_room(name);
        Ok(())
    }

    fn write_new(&self, name: &str, content: &[u8]) -> Result<(), String> {
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        let file =
            openat(&self.descriptor, name, flags, mode).map_err(|fault| fault.to_string())?;
        File::from(file)
            .write_all(content)
            .map_err(|fault| fault.to_string())
    }

    /// Removes what was not used for the longest time until the rest fits; never the one that was just written.
    fn make_room(&self, newest: &str) {
        let mut files = self.files();
        let mut total: u64 = files.iter().map(|file| file.bytes).sum();
        files.sort_by_key(|file| file.used);
        for file in files.iter().filter(|file| file.name != newest) {
            if total <= self.bytes_max {
                return;
            }
            self.remove(&file.name);
            total -= file.bytes;
        }
    }

    /// Removes a file, if it is there.
    pub(super) fn remove(&self, name: &str) {
        match unlinkat(&self.descriptor, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(fault) => tracing::warn!(name, %fault, "a file of the cache cannot be removed"),
        }
    }

    fn files(&self) -> Vec<Kept> {
        let names = self.names().into_iter();
        let kept = names.filter_map(|name| {
            let found = statat(&self.descriptor, &name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
            Some(Kept {
                name,
                bytes: u64::try_from(found.st_size).unwrap_or(0),
                used: (found.st_mtime, found.st_mtime_nsec.into()),
            })
        });
        kept.collect()
    }

    fn names(&self) -> Vec<String> {
        let entries = Dir::read_from(&self.descriptor).into_iter().flatten();
        let names = entries.filter_map(|entry| {
            let name = entry.ok()?.file_name().to_str().ok()?.to_owned();
            (name != "." && name != "..").then_some(name)
        });
        names.collect()
    }
}

/// A file that lies there.
struct Kept {
    name: String,
    bytes: u64,
    used: (i64, i128),
}

fn open_private(path: &Path) -> Result<OwnedFd, String> {
    match mkdir(path, Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(fault) => return Err(format!("it cannot be made: {fault}")),
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let descriptor =
        rustix::fs::open(path, flags, Mode::empty()).map_err(|fault| fault.to_string())?;
    let found = fstat(&descriptor).map_err(|fault| fault.to_string())?;
    check_owner(&found)?;
    Ok(descriptor)
}

fn check_owner(found: &Stat) -> Result<(), String> {
    let own = geteuid().as_raw();
    if found.st_uid != own {
        return Err(format!(
            "it belongs to the user {}, and not to this server's user {own}",
            found.st_uid
        ));
    }
    let permissions = found.st_mode & 0o7777;
    if permissions & 0o077 != 0 {
        return Err(format!(
            "others can touch it, its permissions are {permissions:04o}; take that away (chmod go=)"
        ));
    }
    Ok(())
}

/// A failure makes it look older than it is.
fn was_used(file: &OwnedFd) {
    const NOW: Timespec = Timespec {
        tv_sec: 0,
        tv_nsec: rustix::fs::UTIME_NOW,
    };
    let now = Timestamps {
        last_access: NOW,
        last_modification: NOW,
    };
    let _ = futimens(file, &now);
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::time::{Duration, SystemTime};

    use super::*;

    fn place() -> (tempfile::TempDir, std::path::PathBuf) {
        let outer = tempfile::tempdir().unwrap();
        let path = outer.path().join("cache");
        (outer, path)
    }

    fn permissions(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn folder_and_files_are_the_servers_alone() {
        let (_outer, path) = place();
        let folder = Folder::open(&path, 100).unwrap();
        folder.write("a", b"content").unwrap();
        assert_eq!(permissions(&path), 0o700);
        assert_eq!(permissions(&path.join("a")), 0o600);
        assert_eq!(folder.read("a").unwrap().unwrap(), b"content");
        assert_eq!(folder.read("b").unwrap(), None);
    }

    #[test]
    fn a_folder_that_others_can_touch_is_not_used() {
        let (_outer, path) = place();
        fs::create_dir(&path).unwrap();
        for mode in [0o750, 0o707] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let fault = Folder::open(&path, 100).map(drop).unwrap_err().to_string();
            assert!(fault.contains(&format!("{mode:04o}")), "{fault}");
        }
        let link = path.with_file_name("link");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        symlink(&path, &link).unwrap();
        assert!(Folder::open(&link, 100).is_err());
        assert!(Folder::open(&path, 100).is_ok());
    }

    #[test]
    fn no_symlink_is_followed_and_no_file_of_others_read() {
        let (outer, path) = place();
        let folder = Folder::open(&path, 100).unwrap();
        let elsewhere = outer.path().join("elsewhere");
        fs::write(&elsewhere, b"secret").unwrap();
        symlink(&elsewhere, path.join("a")).unwrap();
        assert!(folder.read("a").is_err());
        // Written over, it is the link that goes.
        folder.write("a", b"new").unwrap();
        assert_eq!(fs::read(&elsewhere).unwrap(), b"secret");
        assert_eq!(folder.read("a").unwrap().unwrap(), b"new");
        fs::set_permissions(path.join("a"), fs::Permissions::from_mode(0o644)).unwrap();
        assert!(folder.read("a").is_err());
    }

    #[test]
    fn those_that_were_not_used_for_longest_make_room() {
        let (_outer, path) = place();
        let folder = Folder::open(&path, 100).unwrap();
        for (age, name) in [(30, "oldest"), (20, "middle"), (10, "youngest")] {
            folder.write(name, &[0; 40]).unwrap();
            let file = File::options().write(true).open(path.join(name)).unwrap();
            let then = SystemTime::now() - Duration::from_secs(age);
            file.set_modified(then).unwrap();
        }
        // The third did not fit beside the others, and "oldest" went.
        assert_eq!(folder.read("oldest").unwrap(), None);
        // To be read is to be used.
        assert!(folder.read("middle").unwrap().is_some());
        folder.write("new", &[0; 40]).unwrap();
        assert_eq!(folder.read("youngest").unwrap(), None);
        assert!(folder.read("middle").unwrap().is_some());
        assert!(folder.write("huge", &[0; 101]).is_err());
    }

    #[test]
    fn what_an_earlier_server_did_not_finish_is_removed() {
        let (_outer, path) = place();
        drop(Folder::open(&path, 100).unwrap());
        fs::write(path.join(".new-1-1"), b"half").unwrap();
        let folder = Folder::open(&path, 100).unwrap();
        assert!(folder.names().is_empty());
    }
}
