//! Processes that stand by: behind their walls, in their folder, with nothing to execute yet. To put the walls up takes
//! longer than a small plugin's own start, so the next process of a kind is made before it is needed.
//!
//! Until it executes something, a process is nobody's: whichever plugin needs such walls next gets it.

use std::os::fd::{AsFd as _, BorrowedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::command;
use super::run_dir::{RunDir, RunDirError, RunDirs};
use super::walls::Users;
use crate::Workers;
use crate::catalog::Verified;
use crate::worker::{MachineFiles, Sandbox, Standby, WorkerError};

/// How many are kept at most. Entries with the same limits and grants need the same.
const KEPT_MAX: usize = 8;

/// How long the next one waits for the plugin that was just started to get on its feet.
const SETTLING: Duration = Duration::from_millis(100);

/// How long one that is being made is waited for, before another is made.
const MAKING_TIMEOUT: Duration = Duration::from_secs(2);

/// Makes them, and keeps one of each kind for the next start.
pub(super) struct Standbys {
    workers: Workers,
    run_dirs: RunDirs,
    users: Users,
    shelf: Mutex<Shelf>,
}

#[derive(Default)]
struct Shelf {
    kept: Vec<Kept>,
    is_closed: bool,
}

/// One that stands by, or soon will.
struct Kept {
    sandbox: Sandbox,
    making: JoinHandle<Result<Ready, NotReady>>,
}

/// A process that stands by in its folder.
pub(super) struct Ready {
    pub(super) standby: Standby,
    pub(super) directory: RunDir,
    /// What its walls let it see of the machine.
    sees: MachineFiles,
}

impl Standbys {
    pub(super) fn new(workers: Workers) -> Self {
        Self {
            workers,
            run_dirs: RunDirs::default(),
            users: Users::default(),
            shelf: Mutex::default(),
        }
    }

    /// One behind these walls, as a user of its own where they say so: the one that is kept, or a new one.
    pub(super) async fn take(
        &self,
        sandbox: &Sandbox,
        program: &Verified,
    ) -> Result<Ready, NotReady> {
        if let Some(kept) = self.take_kept(sandbox)
            && let Ok(Ok(Ok(ready))) = timeout(MAKING_TIMEOUT, kept.making).await
            && ready.is_fit()
        {
            return Ok(ready);
        }
        self.make(sandbox, Some(program.sealed().as_fd())).await
    }

    /// Has one stand by for the next start, once the last one has settled.
    pub(super) fn restock(self: &Arc<Self>, sandbox: Sandbox) {
        let standbys = Arc::downgrade(self);
        tokio::spawn(async move {
            sleep(SETTLING).await;
            if let Some(standbys) = standbys.upgrade() {
                standbys.keep(sandbox);
            }
        });
    }

    /// Has one stand by, unless one of its kind does, or it would need its file.
    pub(super) fn keep(self: &Arc<Self>, sandbox: Sandbox) {
        let _evicted = {
            let mut shelf = self.shelf();
            let is_there = shelf.kept.iter().any(|it| it.sandbox == sandbox);
            if shelf.is_closed || sandbox.as_file || is_there {
                return;
            }
            let (standbys, walls) = (Arc::clone(self), sandbox.clone());
            let making = tokio::spawn(async move { standbys.make(&walls, None).await });
            shelf.kept.push(Kept { sandbox, making });
            (shelf.kept.len() > KEPT_MAX).then(|| shelf.kept.remove(0))
        };
    }

    /// Lets all go that stand by. From now on none does.
    pub(super) fn close(&self) {
        let _kept = {
            let mut shelf = self.shelf();
            shelf.is_closed = true;
            std::mem::take(&mut shelf.kept)
        };
    }

    fn take_kept(&self, sandbox: &Sandbox) -> Option<Kept> {
        let kept = &mut self.shelf().kept;
        let at = kept.iter().position(|it| it.sandbox == *sandbox)?;
        Some(kept.remove(at))
    }

    async fn make(
        &self,
        walls: &Sandbox,
        image: Option<BorrowedFd<'_>>,
    ) -> Result<Ready, NotReady> {
        let sandbox = Sandbox {
            user: self.users.next(),
            ..walls.clone()
        };
        let sees = MachineFiles::of_now(sandbox.network);
        let directory = self.run_dirs.create(sandbox.own_user())?;
        let surroundings = command::surroundings(&directory, sandbox);
        let standby = self.workers.stand_by(surroundings, image).await?;
        Ok(Ready {
            standby,
            directory,
            sees,
        })
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ready {
    /// Whether it lives, in a folder that is still there (a cleaner of temporary files may have come by), and sees of the
    /// machine what a new one would: how names are resolved may have changed meanwhile.
    fn is_fit(&self) -> bool {
        !self.standby.process().has_died()
            && self.directory.is_there()
            && self.sees.are_those_of_now()
    }
}

/// Why none stands by.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotReady {
    /// It has no folder.
    #[error(transparent)]
    Folder(#[from] RunDirError),
    /// It was not started.
    #[error(transparent)]
    Worker(#[from] WorkerError),
}
