//! How full a folder is. What is written is counted at its most; what was removed is found by counting again.
//!
//! A count may be too high and is never too low: only when a write finds no room is the folder looked through, so a
//! plugin that writes and removes pays for one look at each quota's worth of writing. What was removed while somebody has
//! it open is still there.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::OwnedMutexGuard;
use tokio::time::sleep_until;

use super::Quota;
use super::census::{self, Contents};
use super::open::{self, OpenHandles};

/// What a file system gives at least, and takes at least for one more piece of a file.
const BLOCK_BYTES: u64 = 4096;

/// A folder is left alone for so many times as long as it took to look through it: a plugin that runs into its quota over
/// and over has the host look for a tenth of the time.
const PAUSE: u32 = 9;

/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// What one folder holds.
pub(crate) struct Account {
    handle: File,
    open: OpenHandles,
    used: Mutex<Used>,
    /// Held by whoever looks through the folder: the others wait for what is found.
    looking: Arc<tokio::sync::Mutex<Option<Look>>>,
}

/// The last look through a folder.
#[derive(Clone, Copy)]
struct Look {
    /// How many there have been with it.
    number: u64,
    begun: Instant,
    took: Duration,
    /// How many files it went up to.
    files_max: u64,
    outcome: Result<(), Full>,
}

impl Look {
    /// When there may be another one.
    fn next(&self) -> Instant {
        self.begun + self.took + self.took.saturating_mul(PAUSE).min(PAUSE_MAX)
    }
}

#[derive(Clone, Copy, Default)]
struct Used {
    /// What was there at the last look, and was written since.
    there: Contents,
    /// What is being written.
    pending: Contents,
    /// What was written since the look that is under way began.
    meanwhile: Contents,
    /// Whether anybody has looked yet.
    is_known: bool,
}

/// Why there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// The folder holds all the bytes that it may.
    Bytes,
    /// The folder holds all the files that it may.
    Files,
    /// The folder cannot be looked through, so nothing is added to it.
    Uncountable,
}

/// Room for something that is being written; it counts as written once this is dropped.
pub(crate) struct Reserved {
    account: Arc<Account>,
    room: Contents,
}

impl Drop for Reserved {
    fn drop(&mut self) {
        let mut used = self.account.used();
        used.pending -= self.room;
        used.there += self.room;
        used.meanwhile += self.room;
    }
}

impl Account {
    pub(super) fn of(handle: File) -> Self {
        Self {
            handle,
            open: OpenHandles::default(),
            used: Mutex::default(),
            looking: Arc::default(),
        }
    }

    /// Counts something that was opened, should it lose its name before it is closed, and says how many names it has.
    /// Blocks.
    pub(crate) fn opened(&self, handle: &Arc<File>) -> io::Result<u64> {
        self.open.add(handle);
        let found = handle.metadata()?;
        if open::is_nameless(&found) {
            // A look that is under way may have missed both the name and the handle.
            let mut used = self.used();
            used.there += Contents::of_blocks(found.blocks());
            used.meanwhile += Contents::of_blocks(found.blocks());
        }
        Ok(found.nlink())
    }

    /// What is there now. Blocks.
    fn count(&self, files_max: u64) -> io::Result<Contents> {
        let named = census::count(self.handle.try_clone()?, files_max)?;
        // In this order: what loses its name meanwhile counts twice, and not never.
        Ok(named + self.open.nameless()?)
    }

    /// Looks, and lets the next one look. Blocks.
    fn look(&self, files_max: u64, mut last: OwnedMutexGuard<Option<Look>>) -> Result<(), Full> {
        let begun = Instant::now();
        let outcome = self.recount(files_max);
        *last = Some(Look {
            number: last.map_or(1, |it| it.number + 1),
            begun,
            took: begun.elapsed(),
            files_max,
            outcome,
        });
        outcome
    }

    fn recount(&self, files_max: u64) -> Result<(), Full> {
        self.used().meanwhile = Contents::default();
        let counted = self.count(files_max);
        let mut used = self.used();
        match counted {
            Ok(contents) => {
                used.there = contents + used.meanwhile;
                used.is_known = true;
                Ok(())
            }
            Err(error) => {
                tracing::warn!(%error, "a folder of a plugin cannot be counted; nothing is added to it");
                used.is_known = false;
                Err(Full::Uncountable)
            }
        }
    }

    fn used(&self) -> MutexGuard<'_, Used> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Quota {
    /// The most bytes that may be written at once, as far as is known.
    pub(crate) fn writable(&self) -> u64 {
        let used = *self.account.used();
        if !used.is_known {
            return 0;
        }
        let taken = used.there + used.pending;
        let left = self.bytes_max.saturating_sub(taken.bytes);
        // The last piece may begin in one block and end in another.
        (left / BLOCK_BYTES).saturating_sub(1) * BLOCK_BYTES
    }

    /// Room for so many bytes in one piece, if there is some as far as is known.
    pub(crate) fn try_bytes(&self, bytes: u64) -> Result<Reserved, Full> {
        let bytes = (bytes.div_ceil(BLOCK_BYTES) + 1).saturating_mul(BLOCK_BYTES);
        self.try_room(Contents { bytes, files: 0 })
    }

    /// Room for so many bytes in one piece, after another look if there seems to be none.
    pub(crate) async fn bytes(&self, bytes: u64) -> Result<Reserved, Full> {
        if let Ok(reserved) = self.try_bytes(bytes) {
            return Ok(reserved);
        }
        self.look().await?;
        self.try_bytes(bytes)
    }

    /// Room for one more file or folder.
    pub(crate) async fn file(&self) -> Result<Reserved, Full> {
        let file = Contents {
            bytes: BLOCK_BYTES,
            files: 1,
        };
        if let Ok(reserved) = self.try_room(file) {
            return Ok(reserved);
        }
        self.look().await?;
        self.try_room(file)
    }

    /// Looks through the folder, on a thread that may block, once it has been left alone for long enough. A look is brought
    /// to its end, whether or not anybody still waits for it, and there is one at a time.
    pub(crate) async fn look(&self) -> Result<(), Full> {
        let asked = Instant::now();
        let (account, files_max) = (Arc::clone(&self.account), self.files_max);
        let last = Arc::clone(&account.looking).lock_owned().await;
        if let Some(look) = *last {
            // Somebody looked while this one waited.
            if look.begun >= asked && look.files_max >= files_max {
                return look.outcome;
            }
            pause(look.next()).await;
        }
        let look = move || account.look(files_max, last);
        match Handle::try_current() {
            Ok(runtime) => runtime
                .spawn_blocking(look)
                .await
                .unwrap_or(Err(Full::Uncountable)),
            // A caller may poll from a thread without a runtime.
            Err(_) => look(),
        }
    }

    fn try_room(&self, room: Contents) -> Result<Reserved, Full> {
        let mut used = self.account.used();
        if !used.is_known {
            return Err(Full::Uncountable);
        }
        let asked = used.there + used.pending + room;
        if asked.files > self.files_max && room.files > 0 {
            return Err(Full::Files);
        }
        if asked.bytes > self.bytes_max {
            return Err(Full::Bytes);
        }
        used.pending += room;
        Ok(Reserved {
            account: Arc::clone(&self.account),
            room,
        })
    }
}

/// Time passes only for those who are polled by a runtime.
async fn pause(until: Instant) {
    if Handle::try_current().is_ok() {
        sleep_until(until.into()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use futures_util::stream::{FuturesUnordered, StreamExt};
    use std::fs;
    use std::path::PathBuf;

    fn quota(bytes_max: u64, files_max: u64) -> (tempfile::TempDir, Quota) {
        let place = tempfile::tempdir().unwrap();
        let account = Arc::new(Account::of(File::open(place.path()).unwrap()));
        let quota = Quota {
            account,
            bytes_max,
            files_max,
        };
        (place, quota)
    }

    #[tokio::test]
    async fn what_is_there_already_counts() {
        let (place, quota) = quota(64 << 10, 10);
        fs::write(place.path().join("big"), vec![1; 60 << 10]).unwrap();
        assert_eq!(quota.bytes(8 << 10).await.err(), Some(Full::Bytes));
        fs::remove_file(place.path().join("big")).unwrap();
        assert!(quota.bytes(8 << 10).await.is_ok());
    }

    #[tokio::test]
    async fn what_is_being_written_counts_and_what_was_not_written_is_found_out() {
        let (_place, quota) = quota(64 << 10, 10);
        let first = quota.bytes(40 << 10).await.unwrap();
        assert_eq!(quota.bytes(40 << 10).await.err(), Some(Full::Bytes));
        drop(first);
        // It is counted as written until somebody looks.
        assert!(quota.try_bytes(40 << 10).is_err());
        assert!(quota.bytes(40 << 10).await.is_ok());
    }

    /// A file in the folder that is open, and where it is.
    fn held(place: &tempfile::TempDir) -> (Arc<File>, PathBuf) {
        let path = place.path().join("big");
        fs::write(&path, vec![1; 40 << 10]).unwrap();
        (Arc::new(File::open(&path).unwrap()), path)
    }

    #[tokio::test]
    async fn what_loses_its_name_while_it_is_open_counts_until_it_is_closed() {
        let (place, quota) = quota(64 << 10, 10);
        let (held, path) = held(&place);
        assert_eq!(quota.account.opened(&held).unwrap(), 1);
        // Whoever removes it.
        fs::remove_file(&path).unwrap();
        quota.look().await.unwrap();
        assert_eq!(quota.account.used().there.files, 1);
        assert_eq!(quota.bytes(40 << 10).await.err(), Some(Full::Bytes));
        drop(held);
        assert!(quota.bytes(40 << 10).await.is_ok());
    }

    #[tokio::test]
    async fn what_has_lost_its_name_before_it_is_known_to_be_open_counts_at_once() {
        let (place, quota) = quota(64 << 10, 10);
        let (held, path) = held(&place);
        fs::remove_file(&path).unwrap();
        quota.look().await.unwrap();
        assert_eq!(quota.account.used().there.files, 0);
        assert_eq!(quota.account.opened(&held).unwrap(), 0);
        assert!(quota.try_bytes(40 << 10).is_err());
    }

    #[tokio::test]
    async fn a_folder_is_looked_through_for_a_tenth_of_the_time_at_most() {
        let (place, quota) = quota(1 << 20, 1000);
        for number in 0..500 {
            fs::write(place.path().join(number.to_string()), "").unwrap();
        }
        let (begun, mut taken) = (Instant::now(), Duration::ZERO);
        for _ in 0..5 {
            quota.look().await.unwrap();
            // It began only when the pause after the one before was over.
            assert!(begun.elapsed() >= taken * (1 + PAUSE));
            taken += quota.account.looking.lock().await.unwrap().took;
        }
        assert!(taken > Duration::ZERO);
    }

    #[tokio::test]
    async fn those_who_wait_for_a_look_have_what_it_found() {
        let (_place, quota) = quota(1 << 20, 1000);
        let gate = Arc::clone(&quota.account.looking).lock_owned().await;
        let mut looks: FuturesUnordered<_> = (0..64).map(|_| quota.look()).collect();
        // Each has asked, and waits.
        assert!(looks.next().now_or_never().is_none());
        drop(gate);
        while let Some(looked) = looks.next().await {
            looked.unwrap();
        }
        let number = async || quota.account.looking.lock().await.unwrap().number;
        assert_eq!(number().await, 1);
        // The control: who asks later looks again.
        quota.look().await.unwrap();
        assert_eq!(number().await, 2);
    }

    #[tokio::test]
    async fn small_pieces_count_as_the_blocks_that_they_may_take() {
        let (_place, quota) = quota(16 << 10, 10);
        quota.look().await.unwrap();
        let pieces: Vec<_> = std::iter::from_fn(|| quota.try_bytes(1).ok()).collect();
        assert_eq!(pieces.len(), 2);
    }

    #[tokio::test]
    async fn files_and_folders_are_counted() {
        let (place, quota) = quota(1 << 20, 3);
        fs::create_dir(place.path().join("a")).unwrap();
        fs::write(place.path().join("a/b"), "").unwrap();
        let third = quota.file().await.unwrap();
        assert_eq!(quota.file().await.err(), Some(Full::Files));
        drop(third);
        assert!(quota.file().await.is_ok());
    }

    #[tokio::test]
    async fn a_folder_with_more_than_it_may_hold_takes_nothing_and_is_not_counted_to_its_end() {
        let (place, quota) = quota(1 << 20, 3);
        for number in 0..20 {
            fs::write(place.path().join(number.to_string()), "").unwrap();
        }
        assert_eq!(quota.file().await.err(), Some(Full::Files));
        assert_eq!(quota.bytes(1).await.err(), Some(Full::Bytes));
        assert_eq!(quota.account.used().there.files, 4);
    }
}
