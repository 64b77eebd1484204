//! Who may compile now, who waits for that, and where each one is.
//!
//! A compiler takes a processor and up to a gigabyte for as long as its budget lasts. So only a few work at once; the
//! others stand in a line that has an end.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::available_parallelism;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::{Semaphore, SemaphorePermit, TryAcquireError};

use crate::driver::{Compilation, CompilationCounts};
use crate::{Digest, LaunchError, Profile};

/// The most compilers at once, on a machine with many processors; elsewhere one for every two of them.
const COMPILING_MAX: usize = 4;

/// How many may wait.
const WAITING_MAX: usize = 16;

/// How many artifacts that are not being compiled have their last outcome remembered.
const OVER_MAX: usize = 256;

/// Lets compilations happen, in the order in which they were asked for.
pub(super) struct CompileQueue {
    places: Semaphore,
    waiting_max: usize,
    board: Mutex<Board>,
}

/// The same bytes are compiled under each profile for itself.
pub(super) type Job = (Profile, Digest);

/// What is known of each artifact.
#[derive(Default)]
struct Board {
    jobs: HashMap<Job, Compilation>,
    counts: CompilationCounts,
}

impl Default for CompileQueue {
    fn default() -> Self {
        let processors = available_parallelism().map_or(1, usize::from);
        Self::new((processors / 2).clamp(1, COMPILING_MAX), WAITING_MAX)
    }
}

impl CompileQueue {
    fn new(compiling_max: usize, waiting_max: usize) -> Self {
        Self {
            places: Semaphore::new(compiling_max),
            waiting_max,
            board: Mutex::default(),
        }
    }

    /// Does `compile` when it is that artifact's turn.
    ///
    /// # Errors
    ///
    /// [`LaunchError::Busy`] when too many wait already, and those of `compile`.
    pub(super) async fn run<T>(
        &self,
        job: Job,
        plugin: &str,
        compile: impl Future<Output = Result<T, LaunchError>>,
    ) -> Result<T, LaunchError> {
        let mut turn = Turn::of(self, job);
        let _place = self.place(&turn, plugin).await?;
        let begun = Instant::now();
        turn.is_now(Compilation::Compiling {
            since: SystemTime::now(),
        });
        let outcome = compile.await;
        let took = begun.elapsed();
        tracing::info!(
            plugin,
            ?took,
            is_compiled = outcome.is_ok(),
            "compiling ended"
        );
        let since = SystemTime::now();
        turn.is_now(match &outcome {
            Ok(_) => Compilation::Compiled {
                since,
                took,
                from_disk: false,
            },
            Err(error) => Compilation::Failed {
                since,
                fault: error.to_string(),
            },
        });
        outcome
    }

    async fn place(
        &self,
        turn: &Turn<'_>,
        plugin: &str,
    ) -> Result<SemaphorePermit<'_>, LaunchError> {
        match self.places.try_acquire() {
            Ok(place) => return Ok(place),
            Err(TryAcquireError::NoPermits | TryAcquireError::Closed) => {}
        }
        if !self.board().line_up(turn.job, self.waiting_max) {
            return Err(LaunchError::Busy {
                plugin: plugin.to_owned(),
                limit: self.waiting_max,
            });
        }
        let place = self.places.acquire().await;
        Ok(place.expect("the semaphore of compilers is never closed"))
    }

    /// Where that artifact is; nothing when this server has not compiled it, or has forgotten it.
    pub(super) fn progress(&self, job: Job) -> Option<Compilation> {
        self.board().jobs.get(&job).cloned()
    }

    /// That artifact needs no turn: it was loaded from disk.
    pub(super) fn skip(&self, job: Job, took: Duration) {
        let state = Compilation::Compiled {
            since: SystemTime::now(),
            took,
            from_disk: true,
        };
        self.board().put(job, state);
    }

    /// How all of them went.
    pub(super) fn counts(&self) -> CompilationCounts {
        let board = self.board();
        let now = |wanted: fn(&Compilation) -> bool| {
            board.jobs.values().filter(|it| wanted(it)).count() as u64
        };
        CompilationCounts {
            compiling: now(|it| matches!(it, Compilation::Compiling { .. })),
            waiting: now(|it| matches!(it, Compilation::Waiting { .. })),
            ..board.counts
        }
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        // Whole after each statement.
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Board {
    fn line_up(&mut self, job: Job, waiting_max: usize) -> bool {
        let waits = |it: &&Compilation| matches!(it, Compilation::Waiting { .. });
        if self.jobs.values().filter(waits).count() >= waiting_max {
            self.counts.turned_away += 1;
            return false;
        }
        let since = SystemTime::now();
        self.put(job, Compilation::Waiting { since });
        true
    }

    fn put(&mut self, job: Job, state: Compilation) {
        match &state {
            Compilation::Compiled { from_disk, .. } => {
                self.counts.compiled += u64::from(!from_disk);
            }
            Compilation::Failed { .. } => self.counts.failed += 1,
            Compilation::Waiting { .. } | Compilation::Compiling { .. } => {}
        }
        self.jobs.insert(job, state);
        let over = self.jobs.iter().filter(|(_, it)| it.is_over());
        if over.clone().count() > OVER_MAX
            && let Some(oldest) = over.min_by_key(|(_, it)| it.since()).map(|(key, _)| *key)
        {
            self.jobs.remove(&oldest);
        }
    }
}

/// One artifact's way through. When it is given up, nothing stays behind that looks as if it went on.
struct Turn<'a> {
    queue: &'a CompileQueue,
    job: Job,
}

impl<'a> Turn<'a> {
    fn of(queue: &'a CompileQueue, job: Job) -> Self {
        Self { queue, job }
    }

    fn is_now(&mut self, state: Compilation) {
        self.queue.board().put(self.job, state);
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut board = self.queue.board();
        let is_under_way = board.jobs.get(&self.job);
        if is_under_way.is_some_and(|it| !it.is_over()) {
            board.jobs.remove(&self.job);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures_util::FutureExt;
    use tokio::sync::Notify;

    use super::*;

    fn job(byte: u8) -> Job {
        (Profile::Ordinary, Digest::new([byte; 32]))
    }

    type Compiling = std::pin::Pin<Box<dyn Future<Output = Result<(), LaunchError>>>>;

    /// A compilation that lasts until it is let go, polled once.
    fn begun(queue: &'static CompileQueue, byte: u8, go: &Arc<Notify>) -> Compiling {
        let go = Arc::clone(go);
        let mut compiling: Compiling = Box::pin(queue.run(job(byte), "it", async move {
            go.notified().await;
            Ok(())
        }));
        assert!((&mut compiling).now_or_never().is_none());
        compiling
    }

    fn queue(compiling_max: usize, waiting_max: usize) -> &'static CompileQueue {
        Box::leak(Box::new(CompileQueue::new(compiling_max, waiting_max)))
    }

    fn word(queue: &CompileQueue, byte: u8) -> Option<&'static str> {
        queue.progress(job(byte)).map(|it| it.as_str())
    }

    #[tokio::test]
    async fn one_compiles_and_the_next_waits_for_it() {
        let (queue, go) = (queue(1, 4), Arc::new(Notify::new()));
        let first = begun(queue, 1, &go);
        let second = begun(queue, 2, &go);
        assert_eq!(
            (word(queue, 1), word(queue, 2)),
            (Some("compiling"), Some("waiting"))
        );
        go.notify_one();
        first.await.unwrap();
        go.notify_one();
        second.await.unwrap();
        assert_eq!(
            (word(queue, 1), word(queue, 2)),
            (Some("compiled"), Some("compiled"))
        );
        assert_eq!(queue.counts().compiled, 2);
    }

    #[tokio::test]
    async fn the_same_bytes_under_two_profiles_are_two_jobs() {
        let (queue, go) = (queue(1, 4), Arc::new(Notify::new()));
        let ordinary = begun(queue, 1, &go);
        let large = (Profile::Large, job(1).1);
        let fault = async { Err::<(), _>(LaunchError::Worker("no memory".to_owned())) };
        let mut other = Box::pin(queue.run(large, "it", fault));
        assert!((&mut other).now_or_never().is_none());
        let word_of_large = || queue.progress(large).map(|it| it.as_str());
        assert_eq!(
            (word(queue, 1), word_of_large()),
            (Some("compiling"), Some("waiting"))
        );
        assert_eq!((queue.counts().compiling, queue.counts().waiting), (1, 1));
        go.notify_one();
        ordinary.await.unwrap();
        other.await.unwrap_err();
        assert_eq!(
            (word(queue, 1), word_of_large()),
            (Some("compiled"), Some("failed"))
        );
    }

    #[tokio::test]
    async fn whoever_comes_to_a_full_line_is_turned_away_with_its_length() {
        let (queue, go) = (queue(1, 1), Arc::new(Notify::new()));
        let _first = begun(queue, 1, &go);
        let _second = begun(queue, 2, &go);
        let third = queue.run(job(3), "mine", async { Ok(()) }).await;
        let error = third.unwrap_err();
        assert!(
            matches!(error, LaunchError::Busy { limit: 1, .. }),
            "{error}"
        );
        assert!(error.to_string().contains("mine"), "{error}");
        assert_eq!(word(queue, 3), None);
        assert_eq!(queue.counts().turned_away, 1);
    }

    #[tokio::test]
    async fn what_is_given_up_is_not_shown_as_under_way_and_leaves_its_place() {
        let (queue, go) = (queue(1, 4), Arc::new(Notify::new()));
        let first = begun(queue, 1, &go);
        let second = begun(queue, 2, &go);
        drop(second);
        drop(first);
        assert_eq!((word(queue, 1), word(queue, 2)), (None, None));
        queue.run(job(3), "it", async { Ok(()) }).await.unwrap();
        assert_eq!(queue.counts().waiting, 0);
    }

    #[tokio::test]
    async fn a_failure_is_told_with_its_reason_and_forgotten_by_the_next_try() {
        let queue = queue(1, 4);
        let fault = async { Err::<(), _>(LaunchError::Worker("no memory".to_owned())) };
        queue.run(job(1), "it", fault).await.unwrap_err();
        match queue.progress(job(1)) {
            Some(Compilation::Failed { fault, .. }) => assert_eq!(fault, "no memory"),
            other => panic!("{other:?}"),
        }
        queue.run(job(1), "it", async { Ok(()) }).await.unwrap();
        assert_eq!(word(queue, 1), Some("compiled"));
    }

    #[tokio::test]
    async fn what_is_remembered_of_the_past_is_bounded() {
        let queue = queue(1, 4);
        for number in 0..2 * OVER_MAX as u64 {
            let mut bytes = [0; 32];
            bytes[..8].copy_from_slice(&number.to_le_bytes());
            let run = queue.run((Profile::Ordinary, Digest::new(bytes)), "it", async {
                Ok(())
            });
            run.await.unwrap();
        }
        assert_eq!(queue.board().jobs.len(), OVER_MAX);
    }
}
