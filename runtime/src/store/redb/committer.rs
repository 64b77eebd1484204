//! The one thread that writes: group after group, each with one sync.

use std::ops::Bound;

use ::redb::{
    Database, Durability, ReadableDatabase, ReadableTable, Table, TableError, WriteTransaction,
};
use tokio::sync::{mpsc, oneshot};

use super::super::check::{self, Current};
use super::super::page::{self, PageOf};
use super::super::{Commit, StoreError, Write};
use super::{DATA, FACTS, REVISION_BYTES, failed, read_failed, split};

/// Commits that share one sync at the most.
const GROUP_COMMITS_MAX: usize = 256;

/// Bytes of values after which a group is closed, so that one sync stays short.
const GROUP_BYTES_MAX: usize = 64 << 20;

/// The name of the fact that counts commits.
const REVISION: &str = "revision";

/// A commit that waits, and who waits for it.
pub(super) struct Queued {
    pub(super) commit: Commit,
    pub(super) answer: oneshot::Sender<Result<(), StoreError>>,
}

/// The revision of the last commit in the file.
pub(super) fn last_revision(database: &Database) -> Result<u64, StoreError> {
    let read = database
        .begin_read()
        .map_err(|fault| failed("a read could not begin", fault))?;
    match read.open_table(FACTS) {
        Ok(facts) => {
            let revision = facts.get(REVISION).map_err(read_failed)?;
            Ok(revision.map_or(0, |revision| revision.value()))
        }
        Err(TableError::TableDoesNotExist(_)) => {
            Err(StoreError::Failed("the file is no store".to_owned()))
        }
        Err(fault) => Err(failed("the file is no store", fault)),
    }
}

/// Makes the tables of a new file.
pub(super) fn found(database: &Database) -> Result<(), StoreError> {
    let transaction = begin(database)?;
    transaction.open_table(DATA).map_err(table_failed)?;
    transaction.open_table(FACTS).map_err(table_failed)?;
    finish(transaction)
}

/// Commits what comes until the queue is closed.
pub(super) fn run(database: &Database, mut queue: mpsc::Receiver<Queued>, mut revision: u64) {
    while let Some(first) = queue.blocking_recv() {
        let group = gather(first, &mut queue);
        let (commits, answers): (Vec<_>, Vec<_>) =
            group.into_iter().map(|q| (q.commit, q.answer)).unzip();
        let verdicts = match commit_group(database, commits, revision) {
            Ok((verdicts, reached)) => {
                revision = reached;
                verdicts
            }
            Err(error) => fail_all(&error, answers.len()),
        };
        for (answer, verdict) in answers.into_iter().zip(verdicts) {
            // Who asked may have gone; the commit stands either way.
            let _ = answer.send(verdict);
        }
    }
}

fn gather(first: Queued, queue: &mut mpsc::Receiver<Queued>) -> Vec<Queued> {
    let mut bytes = value_bytes(&first.commit);
    let mut group = vec![first];
    while group.len() < GROUP_COMMITS_MAX
        && bytes < GROUP_BYTES_MAX
        && let Ok(next) = queue.try_recv()
    {
        bytes += value_bytes(&next.commit);
        group.push(next);
    }
    group
}

fn value_bytes(commit: &Commit) -> usize {
    let sizes = commit.writes.iter().map(|write| match write {
        Write::Put { value, .. } => value.len(),
        Write::Delete { .. } => 0,
    });
    sizes.sum()
}

fn fail_all(error: &StoreError, count: usize) -> Vec<Result<(), StoreError>> {
    tracing::error!(%error, commits = count, "a group of commits failed");
    let text = error.to_string();
    (0..count)
        .map(|_| Err(StoreError::Failed(text.clone())))
        .collect()
}

/// What became of each commit of a group.
type Verdicts = Vec<Result<(), StoreError>>;

/// Applies those commits that hold, all in one transaction; gives their verdicts, and the revision reached. When it
/// fails, none is applied.
fn commit_group(
    database: &Database,
    commits: Vec<Commit>,
    revision: u64,
) -> Result<(Verdicts, u64), StoreError> {
    let transaction = begin(database)?;
    let (verdicts, reached) = apply_group(&transaction, commits, revision)?;
    if reached == revision {
        // Nothing was written, so there is nothing to sync.
        transaction
            .abort()
            .map_err(|fault| failed("a transaction could not end", fault))?;
    } else {
        finish(transaction)?;
    }
    Ok((verdicts, reached))
}

fn apply_group(
    transaction: &WriteTransaction,
    commits: Vec<Commit>,
    mut revision: u64,
) -> Result<(Verdicts, u64), StoreError> {
    let before = revision;
    let mut data = transaction.open_table(DATA).map_err(table_failed)?;
    let mut verdicts = Vec::with_capacity(commits.len());
    for commit in commits {
        match check::hold(&commit.checks, &data) {
            Ok(()) if commit.writes.is_empty() => verdicts.push(Ok(())),
            Ok(()) => {
                revision += 1;
                apply(&mut data, commit.writes, revision)?;
                verdicts.push(Ok(()));
            }
            Err(StoreError::Conflict(key)) => verdicts.push(Err(StoreError::Conflict(key))),
            Err(broken) => return Err(broken),
        }
    }
    if revision != before {
        let mut facts = transaction.open_table(FACTS).map_err(table_failed)?;
        facts.insert(REVISION, revision).map_err(write_failed)?;
    }
    Ok((verdicts, revision))
}

type Data<'t> = Table<'t, &'static str, &'static [u8]>;

fn apply(data: &mut Data<'_>, writes: Vec<Write>, revision: u64) -> Result<(), StoreError> {
    for write in writes {
        match write {
            Write::Put { key, value } => put(data, &key, &value, revision)?,
            Write::Delete { key } => {
                data.remove(key.as_str()).map_err(write_failed)?;
            }
        }
    }
    Ok(())
}

fn put(data: &mut Data<'_>, key: &str, value: &[u8], revision: u64) -> Result<(), StoreError> {
    let mut place = data
        .insert_reserve(key, REVISION_BYTES + value.len())
        .map_err(write_failed)?;
    let (front, rest) = place.as_mut().split_at_mut(REVISION_BYTES);
    front.copy_from_slice(&revision.to_be_bytes());
    rest.copy_from_slice(value);
    Ok(())
}

/// A write transaction that survives a crash once it is committed.
fn begin(database: &Database) -> Result<WriteTransaction, StoreError> {
    let mut transaction = database
        .begin_write()
        .map_err(|fault| failed("a write could not begin", fault))?;
    transaction
        .set_durability(Durability::Immediate)
        .map_err(|fault| failed("a write could not be made durable", fault))?;
    // In one phase a torn commit is told from a whole one by a checksum that is not cryptographic, and plugins choose
    // what is written.
    transaction.set_two_phase_commit(true);
    // Opening after a crash does not walk the whole file.
    transaction.set_quick_repair(true);
    Ok(transaction)
}

fn finish(transaction: WriteTransaction) -> Result<(), StoreError> {
    transaction
        .commit()
        .map_err(|fault| failed("a commit failed", fault))
}

impl Current for Data<'_> {
    fn revision(&self, key: &str) -> Result<Option<u64>, StoreError> {
        let found = self.get(key).map_err(read_failed)?;
        found.map(|found| Ok(split(found.value())?.0)).transpose()
    }

    fn page(&self, page: PageOf<'_>) -> Result<Vec<String>, StoreError> {
        page::list(page, |from| {
            let range = (from, Bound::Unbounded);
            let range = self.range::<&str>(range).map_err(read_failed)?;
            Ok(range.map(|entry| {
                let (key, _) = entry.map_err(read_failed)?;
                Ok(key.value().to_owned())
            }))
        })
    }
}

fn table_failed(fault: TableError) -> StoreError {
    failed("the table could not be opened", fault)
}

fn write_failed(fault: ::redb::StorageError) -> StoreError {
    failed("a write failed", fault)
}
