//! In whose hands the plugin directory and what lies in it may be. The digest decides what runs; this keeps strangers from
//! placing files at all, and from replacing one so that it no longer starts.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags, ResolveFlags, Stat, fstat, openat2};
use rustix::process::{getegid, geteuid};

/// The rules for owners and permissions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Custody {
    /// Nothing is looked at.
    Unchecked,
    /// Every folder and file has these.
    Checked {
        /// Its owner. When not stated: root, or the server's user.
        owner: Option<u32>,
        /// Its permissions, exactly. When not stated: nobody can write but its owner, and the server's own group.
        permissions: Option<u32>,
    },
}

impl Default for Custody {
    fn default() -> Self {
        Self::Checked {
            owner: None,
            permissions: None,
        }
    }
}

impl Custody {
    /// Checks one folder or file that is open.
    ///
    /// # Errors
    ///
    /// What is wrong with it, as the end of a sentence about it.
    pub(super) fn check(&self, opened: impl AsFd) -> Result<(), String> {
        let Self::Checked { owner, permissions } = self else {
            return Ok(());
        };
        let found = fstat(opened).map_err(|fault| fault.to_string())?;
        check_owner(&found, *owner)?;
        check_permissions(&found, *permissions)
    }

    /// Checks the folders between the plugin directory and a file of this name.
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check), with the folder's name.
    pub(super) fn check_folders(&self, directory: &OwnedFd, command: &str) -> Result<(), String> {
        if *self == Self::Unchecked {
            return Ok(());
        }
        self.check(directory)
            .map_err(|fault| format!("its folder, the plugin directory: {fault}"))?;
        for (end, _) in command.match_indices('/') {
            let folder = &command[..end];
            let opened = open_folder(directory, folder);
            let checked = opened.and_then(|opened| self.check(opened));
            checked.map_err(|fault| format!("its folder {folder:?}: {fault}"))?;
        }
        Ok(())
    }
}

fn open_folder(directory: &OwnedFd, folder: &str) -> Result<OwnedFd, String> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    openat2(directory, folder, flags, Mode::empty(), resolve).map_err(|fault| fault.to_string())
}

fn check_owner(found: &Stat, stated: Option<u32>) -> Result<(), String> {
    let own = geteuid().as_raw();
    match stated {
        Some(owner) if found.st_uid != owner => Err(format!(
            "it belongs to the user {}, and `plugin_file_uid` is {owner}; change its owner",
            found.st_uid
        )),
        None if found.st_uid != own && found.st_uid != 0 => Err(format!(
            "it belongs to the user {}, neither to root nor to this server's user {own}; change its owner, or state \
             `plugin_file_uid`",
            found.st_uid
        )),
        _ => Ok(()),
    }
}

fn check_permissions(found: &Stat, stated: Option<u32>) -> Result<(), String> {
    const OTHERS_WRITE: u32 = 0o002;
    const GROUP_WRITE: u32 = 0o020;
    let permissions = found.st_mode & 0o7777;
    let foreign_group = permissions & GROUP_WRITE != 0 && found.st_gid != getegid().as_raw();
    match stated {
        Some(stated) if permissions != stated => Err(format!(
            "its permissions are {permissions:04o}, and `plugin_file_permissions` is {stated:04o}; change them"
        )),
        None if foreign_group || permissions & OTHERS_WRITE != 0 => Err(format!(
            "others can write to it, its permissions are {permissions:04o}; take that away (chmod go-w)"
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{File, Permissions, set_permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn fault(mode: u32, custody: &Custody) -> Option<String> {
        let folder = tempfile::tempdir().expect("a folder can be made");
        set_permissions(folder.path(), Permissions::from_mode(mode)).expect("it is ours");
        let opened = File::open(folder.path()).expect("it is ours");
        custody.check(opened).err()
    }

    #[test]
    fn what_others_can_write_to_is_refused_with_its_permissions() {
        for mode in [0o755, 0o700, 0o775] {
            assert_eq!(fault(mode, &Custody::default()), None, "{mode:o}");
        }
        for mode in [0o777, 0o757] {
            let said = fault(mode, &Custody::default()).expect("others can write");
            assert!(said.contains(&format!("{mode:04o}")), "{said}");
        }
        // The control: who wants no check gets none.
        assert_eq!(fault(0o777, &Custody::Unchecked), None);
    }

    #[test]
    fn what_is_stated_is_exact() {
        let exactly = |permissions| Custody::Checked {
            owner: None,
            permissions: Some(permissions),
        };
        assert_eq!(fault(0o750, &exactly(0o750)), None);
        let said = fault(0o755, &exactly(0o750)).expect("they are others");
        assert!(said.contains("0755") && said.contains("0750"), "{said}");
    }

    #[test]
    fn another_owner_is_refused_with_both() {
        let own = geteuid().as_raw();
        let of = |owner| Custody::Checked {
            owner: Some(owner),
            permissions: None,
        };
        assert_eq!(fault(0o755, &of(own)), None);
        let said = fault(0o755, &of(own + 1)).expect("it is another's");
        assert!(said.contains("plugin_file_uid"), "{said}");
    }
}
