//! The grant of a folder: which, and what for.

use std::fmt;

/// The longest name of a folder, in bytes.
const NAME_BYTES_MAX: usize = 64;

/// A folder beneath the root of folders, which the plugin sees as `/NAME`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FolderGrant {
    name: String,
    access: FolderAccess,
}

/// What a plugin may do in a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FolderAccess {
    /// Look and read.
    ReadOnly,
    /// Also make, change and remove.
    ReadWrite,
}

impl FolderGrant {
    /// Reads `NAME:ro` or `NAME:rw`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (name, access) = text.split_once(':').unwrap_or((text, ""));
        let access = match access {
            "ro" => FolderAccess::ReadOnly,
            "rw" => FolderAccess::ReadWrite,
            _ => return Err("it does not end in :ro or :rw; say which".to_owned()),
        };
        if !is_name(name) {
            return Err(format!(
                "its name is not 1 to {NAME_BYTES_MAX} letters, digits, '.', '_' and '-', the first a letter or digit"
            ));
        }
        Ok(Self {
            name: name.to_owned(),
            access,
        })
    }

    /// The folder's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the plugin may do there.
    pub fn access(&self) -> FolderAccess {
        self.access
    }
}

impl fmt::Display for FolderGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let access = match self.access {
            FolderAccess::ReadOnly => "ro",
            FolderAccess::ReadWrite => "rw",
        };
        write!(f, "folder:{}:{access}", self.name)
    }
}

fn is_name(name: &str) -> bool {
    let rest = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_' | '-');
    name.len() <= NAME_BYTES_MAX
        && name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.chars().all(rest)
}
