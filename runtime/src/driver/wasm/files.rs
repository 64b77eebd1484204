//! `wasi:filesystem` over the folders that an entry is granted, and over none where it is granted none.
//!
//! Paths, symbolic links and permissions are minded by wasmtime-wasi, which opens everything beneath a folder's handle.
//! What is our own: which folder a handle belongs to, how many are open, how much is written, and what no guest may make.

mod descriptor;
mod stream;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use wasmtime::Result;
use wasmtime::component::{HasSelf, Linker, Resource};
use wasmtime_wasi::filesystem::{
    Descriptor, Dir, FsPerms, OpenMode, WasiFilesystemCtx, WasiFilesystemCtxView,
};
use wasmtime_wasi::p2::bindings::filesystem::{preopens, types};
use wasmtime_wasi::p2::{FsError, FsResult};

use super::store::StoreState;
use crate::folders::{Folder, Full, Seat, Share, StoreShare, Taken};
use crate::{FolderRoot, Grants, HostCallOutcome, LaunchError, Limits};
use stream::Refused;
use types::ErrorCode;

const TYPES: &str = "wasi:filesystem/types";
const PREOPENS: &str = "wasi:filesystem/preopens";

/// Links both interfaces.
pub(super) fn link(linker: &mut Linker<StoreState>) -> Result<()> {
    types::add_to_linker::<_, HasSelf<StoreState>>(linker, |state| state)?;
    preopens::add_to_linker::<_, HasSelf<StoreState>>(linker, |state| state)
}

/// The folders that one mount's stores begin with.
#[derive(Default)]
pub(super) struct Granted {
    preopens: Vec<Preopen>,
    /// What they may have open of them; none where there are no folders.
    share: Option<Arc<Share>>,
}

struct Preopen {
    folder: Arc<Folder>,
    dir: Dir,
}

impl Granted {
    /// Opens every folder that is granted to an entry.
    pub(super) fn open(
        root: Option<&FolderRoot>,
        grants: &Grants,
        limits: &Limits,
        entry: &str,
        plugin: &str,
    ) -> Result<Self, LaunchError> {
        let opened = grants.folders().map(|grant| {
            let fault = |fault: &str| LaunchError::Failed {
                plugin: plugin.to_owned(),
                fault: format!("its folder {:?} cannot be opened: {fault}", grant.name()),
            };
            let root = root.ok_or_else(|| {
                fault("this server has no folders for plugins; set plugin_folders_root")
            })?;
            let folder = root.folder(grant, limits).map_err(|it| fault(&it))?;
            Preopen::of(folder).map_err(|error| fault(&error.to_string()))
        });
        let preopens: Vec<_> = opened.collect::<Result<_, _>>()?;
        let root = root.filter(|_| !preopens.is_empty());
        Ok(Self {
            preopens,
            share: root.map(|root| root.share(entry)),
        })
    }

    /// Whether there is any.
    pub(super) fn has_folders(&self) -> bool {
        !self.preopens.is_empty()
    }
}

impl Preopen {
    fn of(folder: Folder) -> std::io::Result<Self> {
        let (perms, mode) = match folder.quota {
            None => (FsPerms::ReadOnly, OpenMode::READ),
            Some(_) => (FsPerms::ReadWrite, OpenMode::READ | OpenMode::WRITE),
        };
        let dir = Dir::new(folder.handle.try_clone()?, perms, mode, false);
        Ok(Self {
            folder: Arc::new(folder),
            dir,
        })
    }
}

/// What one store has open.
pub(super) struct Files {
    granted: Arc<Granted>,
    context: WasiFilesystemCtx,
    open: HashMap<u32, Open>,
    listings: HashMap<u32, Arc<Seat>>,
    /// Made when it is first asked for: most stores never do.
    share: Option<StoreShare>,
}

/// What is known of a handle besides what it is.
#[derive(Clone)]
struct Open {
    folder: Arc<Folder>,
    /// Held for as long as the file is open; the folders themselves were open before.
    seat: Option<Arc<Seat>>,
}

impl Files {
    /// Nothing is open yet.
    pub(super) fn new(granted: &Arc<Granted>) -> Self {
        Self {
            granted: Arc::clone(granted),
            context: WasiFilesystemCtx::default(),
            open: HashMap::new(),
            listings: HashMap::new(),
            share: None,
        }
    }

    /// A seat of its store, or why there is none; only what has folders is ever asked for one.
    fn seat(
        &mut self,
        take: impl FnOnce(&StoreShare) -> Result<Arc<Seat>, Taken>,
    ) -> FsResult<Arc<Seat>> {
        let share = self.granted.share.as_ref().ok_or(ErrorCode::Quota)?;
        let share = self.share.get_or_insert_with(|| share.of_store());
        take(share).map_err(|_| ErrorCode::Quota.into())
    }
}

impl StoreState {
    /// The file system as wasmtime-wasi sees it.
    fn unguarded(&mut self) -> WasiFilesystemCtxView<'_> {
        WasiFilesystemCtxView {
            ctx: &mut self.files.context,
            table: &mut self.table,
        }
    }

    fn known(&self, handle: &Resource<Descriptor>) -> FsResult<Open> {
        let open = self.files.open.get(&handle.rep()).cloned();
        open.ok_or_else(|| ErrorCode::BadDescriptor.into())
    }

    /// A call of `wasi:filesystem` returns.
    fn told<T>(&mut self, outcome: FsResult<T>) -> FsResult<T> {
        self.recorder.returned(match &outcome {
            Ok(_) => HostCallOutcome::Ok,
            Err(_) => HostCallOutcome::Error,
        });
        outcome
    }
}

impl preopens::Host for StoreState {
    fn get_directories(&mut self) -> Result<Vec<(Resource<Descriptor>, String)>> {
        self.noted(PREOPENS);
        let granted = Arc::clone(&self.files.granted);
        let mut given = Vec::with_capacity(granted.preopens.len());
        for preopen in &granted.preopens {
            let handle = self.table.push(Descriptor::Dir(preopen.dir.clone()))?;
            let folder = Arc::clone(&preopen.folder);
            let open = Open { folder, seat: None };
            let path = format!("/{}", open.folder.name);
            self.files.open.insert(handle.rep(), open);
            given.push((handle, path));
        }
        Ok(given)
    }
}

impl types::Host for StoreState {
    fn convert_error_code(&mut self, error: FsError) -> Result<ErrorCode> {
        error.downcast()
    }

    fn filesystem_error_code(
        &mut self,
        error: Resource<wasmtime::Error>,
    ) -> Result<Option<ErrorCode>> {
        if let Some(refused) = self.table.get(&error)?.downcast_ref::<Refused>() {
            return Ok(Some(refused.0));
        }
        types::Host::filesystem_error_code(&mut self.unguarded(), error)
    }
}

impl From<Full> for FsError {
    fn from(full: Full) -> Self {
        stream::code(full).into()
    }
}
