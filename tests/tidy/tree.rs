//! A tree of files to hold rules against: the repository, or a copy of it with a breach.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What a rule found, each fault a line that names the file.
pub(crate) type Faults = Vec<String>;

/// Every file beneath a root, but for what tools leave there.
pub(crate) struct Tree {
    root: PathBuf,
    files: Vec<String>,
    /// Removes a copy when it is done with.
    temporary: Option<tempfile::TempDir>,
}

impl Tree {
    /// The repository this test belongs to.
    pub(crate) fn repository() -> Self {
        let package = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = package
            .parent()
            .expect("this package is a folder of the repository");
        Self::read(root.to_path_buf(), None)
    }

    fn read(root: PathBuf, temporary: Option<tempfile::TempDir>) -> Self {
        let mut files = Vec::new();
        collect(&root, "", &mut files).expect("the tree can be read");
        files.sort();
        Self {
            root,
            files,
            temporary,
        }
    }

    /// A copy to plant breaches in.
    pub(crate) fn copy(&self) -> io::Result<Self> {
        let directory = tempfile::tempdir()?;
        for file in &self.files {
            let target = directory.path().join(file);
            fs::create_dir_all(target.parent().unwrap_or(directory.path()))?;
            fs::copy(self.root.join(file), target)?;
        }
        Ok(Self::read(directory.path().to_path_buf(), Some(directory)))
    }

    /// The same place, read again.
    pub(crate) fn reread(self) -> Self {
        Self::read(self.root, self.temporary)
    }

    /// Where it is.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Every file, relative to the root, sorted.
    pub(crate) fn files(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(String::as_str)
    }

    /// Every file with that ending.
    pub(crate) fn files_with(&self, ending: &str) -> impl Iterator<Item = &str> {
        self.files().filter(move |file| file.ends_with(ending))
    }

    /// Whether a file or folder is there.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.root.join(path).exists()
    }

    /// A file's bytes.
    pub(crate) fn bytes(&self, file: &str) -> Vec<u8> {
        fs::read(self.root.join(file)).unwrap_or_default()
    }

    /// A file's text; empty when it is not text.
    pub(crate) fn text(&self, file: &str) -> String {
        String::from_utf8(self.bytes(file)).unwrap_or_default()
    }
}

/// Whether `file` is the module at `module`, as in `a/b` for `a/b.rs` and all of `a/b/`.
pub(crate) fn within(file: &str, module: &str) -> bool {
    file.strip_prefix(module)
        .is_some_and(|rest| rest.is_empty() || rest == ".rs" || rest.starts_with('/'))
}

fn collect(root: &Path, folder: &str, files: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(root.join(folder))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if [".git", "target"].contains(&name.as_str()) {
            continue;
        }
        let path = match folder {
            "" => name,
            _ => format!("{folder}/{name}"),
        };
        match entry.file_type()?.is_dir() {
            true => collect(root, &path, files)?,
            false => files.push(path),
        }
    }
    Ok(())
}
