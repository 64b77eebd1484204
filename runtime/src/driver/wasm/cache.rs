//! Compiled components on disk, each authenticated with a key from behind the barrier before it is loaded.
//!
//! The engine cannot tell code that was tampered with from code that a compiler made, so nothing is handed to it that
//! this server, under this key, did not write for this very entry. Whatever is not that is compiled anew: a file that does
//! not fit is counted, logged and removed, and never an error for whoever waits.

mod folder;
mod seal;

pub(super) use seal::{Authentic, Identity};

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use wasmtime::Engine;

use crate::driver::CodeCache;
use folder::{Folder, FolderFault};
use seal::Misfit;

/// Reads and writes compiled components, if there is a folder for them.
pub(super) struct DiskCache {
    shelf: Option<Arc<Shelf>>,
    hits: AtomicU64,
    misses: AtomicU64,
    rejections: AtomicU64,
}

struct Shelf {
    folder: Folder,
    config: CodeCache,
    /// What the code is made by and for.
    maker: String,
}

/// How often it had what was wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct CacheCounts {
    pub(super) hits: u64,
    pub(super) misses: u64,
    pub(super) rejections: u64,
}

/// What was found for an entry.
enum Found {
    Nothing,
    Sealed,
    Misfit(Misfit),
    Work(Authentic),
}

impl DiskCache {
    /// One that has nothing and keeps nothing.
    pub(super) fn none() -> Self {
        Self {
            shelf: None,
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
            rejections: AtomicU64::new(0),
        }
    }

    /// One over a folder. A folder that cannot be trusted is done without, loudly.
    pub(super) fn open(config: CodeCache, engine: &Engine) -> Self {
        let folder = Folder::open(&config.folder, config.bytes_max);
        let shelf = folder.map(|folder| Shelf {
            folder,
            maker: seal::maker(engine),
            config,
        });
        let shelf = match shelf {
            Ok(shelf) => Some(Arc::new(shelf)),
            Err(fault) => {
                tracing::error!(%fault, "compiled components are not kept on disk; each start compiles them anew");
                None
            }
        };
        Self {
            shelf,
            ..Self::none()
        }
    }

    /// The compiled form of that entry, if it lies there unchanged.
    pub(super) async fn load(&self, identity: &Identity) -> Option<Authentic> {
        let shelf = Arc::clone(self.shelf.as_ref()?);
        let wanted = identity.clone();
        let found = tokio::task::spawn_blocking(move || shelf.find(&wanted)).await;
        match found.unwrap_or(Found::Nothing) {
            Found::Work(work) => {
                self.hits.fetch_add(1, Ordering::Relaxed);
                Some(work)
            }
            Found::Misfit(misfit) => {
                self.reject(identity, &misfit.to_string());
                None
            }
            Found::Nothing | Found::Sealed => {
                self.misses.fetch_add(1, Ordering::Relaxed);
                None
            }
        }
    }

    /// Says that what was loaded is of no use all the same.
    pub(super) fn take_back(&self, identity: &Identity, fault: &str) {
        self.hits.fetch_sub(1, Ordering::Relaxed);
        self.reject(identity, fault);
    }

    fn reject(&self, identity: &Identity, fault: &str) {
        self.rejections.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(
            entry = identity.entry,
            fault,
            "a compiled component on disk is not used, it is compiled anew"
        );
        if let Some(shelf) = &self.shelf {
            shelf.folder.remove(&identity.file_name());
        }
    }

    /// Keeps what a compiler made. While sealed nothing is kept.
    pub(super) async fn keep(&self, identity: &Identity, work: Vec<u8>) {
        let Some(shelf) = self.shelf.clone() else {
            return;
        };
        let identity = identity.clone();
        let keeping = tokio::task::spawn_blocking(move || {
            if let Err(fault) = shelf.put(&identity, work) {
                let entry = identity.entry;
                tracing::warn!(entry, %fault, "its compiled form is not kept on disk");
            }
        });
        // A panic there has been logged, and costs only that.
        let _ = keeping.await;
    }

    pub(super) fn counts(&self) -> CacheCounts {
        let now = |count: &AtomicU64| count.load(Ordering::Relaxed);
        CacheCounts {
            hits: now(&self.hits),
            misses: now(&self.misses),
            rejections: now(&self.rejections),
        }
    }
}

impl Shelf {
    fn find(&self, identity: &Identity) -> Found {
        let Some(key) = self.config.keys.key() else {
            return Found::Sealed;
        };
        let file = match self.folder.read(&identity.file_name()) {
            Ok(Some(file)) => file,
            Ok(None) => return Found::Nothing,
            Err(fault) => return Found::Misfit(Misfit::Unreadable(fault.to_string())),
        };
        match seal::open(file, &key, &self.maker, identity) {
            Ok(work) => Found::Work(work),
            Err(misfit) => Found::Misfit(misfit),
        }
    }

    fn put(&self, identity: &Identity, work: Vec<u8>) -> Result<(), FolderFault> {
        let Some(key) = self.config.keys.key() else {
            return Ok(());
        };
        let sealed = seal::seal(&work, &key, &self.maker, identity);
        self.folder.write(&identity.file_name(), &sealed)
    }
}

#[cfg(test)]
mod tests;
