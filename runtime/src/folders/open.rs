//! What is open of a folder: a file that loses its name while it is open lies on the disk until it is closed.

use std::collections::HashSet;
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::census::Contents;

/// Handles that are kept before those that were closed are looked for.
const SWEPT_AT_LEAST: usize = 64;

/// Every handle that some plugin has of something in the folder, or had.
#[derive(Default)]
pub(super) struct OpenHandles(Mutex<Handles>);

#[derive(Default)]
struct Handles {
    known: Vec<Weak<File>>,
    /// How many were open when the closed ones were last forgotten.
    open: usize,
}

impl OpenHandles {
    /// Knows of one more, until it is closed.
    pub(super) fn add(&self, handle: &Arc<File>) {
        let mut handles = self.handles();
        if handles.known.len() >= SWEPT_AT_LEAST.max(2 * handles.open) {
            handles.known.retain(|it| it.strong_count() > 0);
            handles.open = handles.known.len();
        }
        handles.known.push(Arc::downgrade(handle));
    }

    /// What those take that have no name any more, each once however often it is open.
    pub(super) fn nameless(&self) -> io::Result<Contents> {
        let known: Vec<_> = self.handles().known.clone();
        let mut seen = HashSet::new();
        let mut contents = Contents::default();
        for handle in known.iter().filter_map(Weak::upgrade) {
            let found = handle.metadata()?;
            if is_nameless(&found) && seen.insert((found.dev(), found.ino())) {
                contents += Contents::of_blocks(found.blocks());
            }
        }
        Ok(contents)
    }

    fn handles(&self) -> MutexGuard<'_, Handles> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether it is in no folder any more.
pub(super) fn is_nameless(found: &Metadata) -> bool {
    found.nlink() == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn handles_that_were_closed_are_forgotten() {
        let place = tempfile::tempdir().unwrap();
        let open = OpenHandles::default();
        let path = place.path().join("file");
        fs::write(&path, "x").unwrap();
        let kept = Arc::new(File::open(&path).unwrap());
        open.add(&kept);
        for _ in 0..10 * SWEPT_AT_LEAST {
            open.add(&Arc::new(File::open(&path).unwrap()));
        }
        assert!(open.handles().known.len() <= SWEPT_AT_LEAST);
        fs::remove_file(&path).unwrap();
        assert_eq!(open.nameless().unwrap().files, 1);
    }

    #[test]
    fn a_file_that_is_open_twice_counts_once_and_only_without_a_name() {
        let place = tempfile::tempdir().unwrap();
        let open = OpenHandles::default();
        let path = place.path().join("file");
        fs::write(&path, vec![1; 40 << 10]).unwrap();
        let handles = [(); 2].map(|()| Arc::new(File::open(&path).unwrap()));
        handles.iter().for_each(|handle| open.add(handle));
        assert_eq!(open.nameless().unwrap(), Contents::default());
        fs::remove_file(&path).unwrap();
        let nameless = open.nameless().unwrap();
        assert_eq!(nameless.files, 1);
        assert!(
            (40 << 10..80 << 10).contains(&nameless.bytes),
            "{nameless:?}"
        );
        drop(handles);
        assert_eq!(open.nameless().unwrap(), Contents::default());
    }
}
