//! Counts what is in a folder, no further than it matters.

use std::fs::File;
use std::io;
use std::ops::{Add, AddAssign, SubAssign};
use std::path::PathBuf;

use cap_std::fs::{Dir, MetadataExt};

/// The unit of a file's blocks, whatever the file system's own is.
const BLOCK_BYTES: u64 = 512;

/// Bytes on disk, and files with folders.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Contents {
    pub(super) bytes: u64,
    pub(super) files: u64,
}

impl Add for Contents {
    type Output = Self;

    fn add(mut self, other: Self) -> Self {
        self += other;
        self
    }
}

impl AddAssign for Contents {
    fn add_assign(&mut self, other: Self) {
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.files = self.files.saturating_add(other.files);
    }
}

impl SubAssign for Contents {
    fn sub_assign(&mut self, other: Self) {
        self.bytes = self.bytes.saturating_sub(other.bytes);
        self.files = self.files.saturating_sub(other.files);
    }
}

impl Contents {
    /// What one file or folder with so many blocks is.
    pub(super) fn of_blocks(blocks: u64) -> Self {
        Self {
            bytes: blocks.saturating_mul(BLOCK_BYTES),
            files: 1,
        }
    }

    /// What was not looked at counts as everything.
    fn with_no_room(self) -> Self {
        Self {
            bytes: u64::MAX,
            ..self
        }
    }
}

/// Counts a folder, without itself, up to one file more than `files_max`: then there is no room. No symlink is followed.
pub(super) fn count(folder: File, files_max: u64) -> io::Result<Contents> {
    let folder = Dir::from_std_file(folder);
    let mut contents = Contents::default();
    let mut folders = vec![PathBuf::from(".")];
    while let Some(path) = folders.pop() {
        for entry in folder.read_dir(&path)? {
            let entry = entry?;
            let found = match entry.metadata() {
                Ok(found) => found,
                // Somebody removed it just now.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            contents += Contents::of_blocks(found.blocks());
            if contents.files > files_max {
                return Ok(contents.with_no_room());
            }
            if found.is_dir() {
                folders.push(path.join(entry.file_name()));
            }
        }
    }
    Ok(contents)
}
