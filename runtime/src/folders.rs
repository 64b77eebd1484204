//! The folders that an operator lets plugins use: opened once beneath one root, with what is in them counted.

mod account;
mod census;
mod open;
mod share;

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

pub(crate) use account::{Account, Full, Reserved};
use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use share::Openings;
pub(crate) use share::{Seat, Share, StoreShare, Taken};

use crate::registry::Registry;
use crate::{FolderAccess, FolderGrant, GrammarError, Limits};

/// The folder in which the operator makes folders for plugins.
#[derive(Clone)]
pub struct FolderRoot(Arc<Root>);

struct Root {
    descriptor: OwnedFd,
    openings: Openings,
    /// What is known of each folder that some plugin has.
    accounts: Registry<String, Account>,
}

/// A folder that is open for one plugin.
pub(crate) struct Folder {
    pub(crate) name: String,
    pub(crate) handle: File,
    /// Where what is in it is counted, and what is open of it.
    pub(crate) account: Arc<Account>,
    /// What may be written to it; none where nothing may.
    pub(crate) quota: Option<Quota>,
}

/// A folder's account as one entry may use it.
#[derive(Clone)]
pub(crate) struct Quota {
    pub(crate) account: Arc<Account>,
    pub(crate) bytes_max: u64,
    pub(crate) files_max: u64,
}

impl FolderRoot {
    /// Opens the directory at an absolute path that is no symlink.
    ///
    /// # Errors
    ///
    /// What is wrong with the path.
    pub fn open(path: &Path) -> Result<Self, GrammarError> {
        let shown = path.display().to_string();
        let descriptor = crate::catalog::open_directory(path)
            .map_err(|fault| GrammarError::new("root of folders", &shown, &fault))?;
        Ok(Self(Arc::new(Root {
            descriptor,
            openings: Openings::of_process(),
            accounts: Registry::default(),
        })))
    }

    /// Opens a folder for an entry with those limits.
    ///
    /// # Errors
    ///
    /// Why it cannot be opened, in words.
    pub(crate) fn folder(&self, grant: &FolderGrant, limits: &Limits) -> Result<Folder, String> {
        let name = grant.name();
        let handle = self.beneath(name)?;
        let account = self
            .account(name, &handle)
            .map_err(|error| error.to_string())?;
        let quota = match grant.access() {
            FolderAccess::ReadOnly => None,
            FolderAccess::ReadWrite => Some(Quota {
                account: Arc::clone(&account),
                bytes_max: limits.folder_bytes,
                files_max: limits.folder_files,
            }),
        };
        Ok(Folder {
            name: name.to_owned(),
            handle,
            account,
            quota,
        })
    }

    /// What the stores of an entry may have open, in all its folders.
    pub(crate) fn share(&self, entry: &str) -> Arc<Share> {
        self.0.openings.share(entry)
    }

    fn beneath(&self, name: &str) -> Result<File, String> {
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        let opened = rustix::fs::openat2(&self.0.descriptor, name, flags, Mode::empty(), resolve);
        opened.map(File::from).map_err(|error| match error {
            Errno::NOENT => "it does not exist; make it beneath the root of folders".to_owned(),
            Errno::NOTDIR | Errno::LOOP => {
                "it is not a directory, or a symbolic link; give the directory itself".to_owned()
            }
            Errno::NOSYS => "this kernel has no openat2; Linux 5.6 has it".to_owned(),
            other => other.to_string(),
        })
    }

    /// One account for all who have the folder: what one of them wrote, or holds open, is there for the others too.
    fn account(&self, name: &str, handle: &File) -> std::io::Result<Arc<Account>> {
        let make = || Ok(Account::of(handle.try_clone()?));
        self.0.accounts.get_or_try_make(name.to_owned(), make)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Grants;

    fn grant(words: &str) -> FolderGrant {
        let grants = Grants::stated(&[words.to_owned()]).unwrap();
        grants.folders().next().unwrap().clone()
    }

    fn root() -> (tempfile::TempDir, FolderRoot) {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().canonicalize().unwrap();
        std::fs::create_dir(path.join("spool")).unwrap();
        std::os::unix::fs::symlink("spool", path.join("link")).unwrap();
        std::fs::write(path.join("file"), "x").unwrap();
        let root = FolderRoot::open(&path).unwrap();
        (place, root)
    }

    #[test]
    fn only_a_folder_beneath_the_root_is_opened() {
        let (_place, root) = root();
        let limits = Limits::default();
        assert!(root.folder(&grant("folder:spool:ro"), &limits).is_ok());
        for (name, fault) in [
            ("none", "does not exist"),
            ("link", "symbolic link"),
            ("file", "not a directory"),
        ] {
            let opened = root.folder(&grant(&format!("folder:{name}:rw")), &limits);
            let told = opened.err().unwrap();
            assert!(told.contains(fault), "{name}: {told}");
        }
    }

    #[test]
    fn all_who_have_a_folder_have_one_account() {
        let (_place, root) = root();
        let folder = |words| root.folder(&grant(words), &Limits::default()).unwrap();
        let reads = folder("folder:spool:ro");
        assert!(reads.quota.is_none());
        let (one, two) = (folder("folder:spool:rw"), folder("folder:spool:rw"));
        assert!(Arc::ptr_eq(&reads.account, &one.account));
        let (one, two) = (one.quota.unwrap(), two.quota.unwrap());
        assert!(Arc::ptr_eq(&one.account, &two.account));
    }
}
