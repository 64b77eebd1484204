//! Proof that every store keeps to the model: a plain map, a counter, and copies of both.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;

use super::{
    Check, Commit, MemoryStore, RedbStore, Snapshot, Store, StoreError, Versioned, Write,
    child_name,
};

/// What a store is, in the plainest way.
#[derive(Clone, Default)]
struct Model {
    entries: BTreeMap<String, (u64, Vec<u8>)>,
    revision: u64,
}

impl Model {
    fn revision_of(&self, key: &str) -> Option<u64> {
        self.entries.get(key).map(|(revision, _)| *revision)
    }

    fn list(&self, prefix: &str, after: &str, limit: usize) -> Vec<String> {
        let names = self
            .entries
            .keys()
            .filter_map(|key| key.strip_prefix(prefix));
        let names: BTreeSet<_> = names.map(child_name).filter(|name| *name > after).collect();
        names.into_iter().take(limit).map(str::to_owned).collect()
    }

    fn holds(&self, check: &Check) -> bool {
        match check {
            Check::Key { key, revision } => self.revision_of(key) == *revision,
            Check::Page {
                prefix,
                after,
                limit,
                keys,
            } => self.list(prefix, after, *limit) == *keys,
        }
    }

    /// Whether the commit was made.
    fn commit(&mut self, commit: &Commit) -> bool {
        if !commit.checks.iter().all(|check| self.holds(check)) {
            return false;
        }
        self.revision += u64::from(!commit.writes.is_empty());
        for write in &commit.writes {
            match write {
                Write::Put { key, value } => {
                    let entry = (self.revision, value.clone());
                    self.entries.insert(key.clone(), entry);
                }
                Write::Delete { key } => drop(self.entries.remove(key)),
            }
        }
        true
    }
}

/// One commit to try: what it relies on as it was some commits ago, and what it writes.
#[derive(Clone, Debug)]
struct Step {
    reads: Vec<Read>,
    commits_ago: usize,
    writes: Vec<(String, Option<Vec<u8>>)>,
    keep_snapshot: bool,
}

#[derive(Clone, Debug)]
enum Read {
    Key(String),
    Page(String, String, usize),
}

impl Read {
    fn as_check(&self, seen: &Model) -> Check {
        match self.clone() {
            Self::Key(key) => Check::Key {
                revision: seen.revision_of(&key),
                key,
            },
            Self::Page(prefix, after, limit) => Check::Page {
                keys: seen.list(&prefix, &after, limit),
                prefix,
                after,
                limit,
            },
        }
    }
}

fn key() -> impl Strategy<Value = String> {
    prop::collection::vec("[a-c]", 1..4).prop_map(|segments| segments.join("/"))
}

fn page() -> impl Strategy<Value = (String, String, usize)> {
    let prefix = prop::sample::select(vec!["", "a/", "b/", "a/b/", "c/c/", "a"]);
    let after = prop::sample::select(vec!["", "a", "a/", "b/", "b/x", "c"]);
    let limit = prop::sample::select(vec![1, 2, 3, usize::MAX]);
    (prefix, after, limit).prop_map(|(p, a, l)| (p.to_owned(), a.to_owned(), l))
}

fn read() -> impl Strategy<Value = Read> {
    prop_oneof![
        key().prop_map(Read::Key),
        page().prop_map(|(prefix, after, limit)| Read::Page(prefix, after, limit)),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let value = prop::option::weighted(0.7, prop::collection::vec(any::<u8>(), 0..40));
    (
        prop::collection::vec(read(), 0..3),
        0..3usize,
        prop::collection::vec((key(), value), 0..5),
        any::<bool>(),
    )
        .prop_map(|(reads, commits_ago, writes, keep_snapshot)| Step {
            reads,
            commits_ago,
            writes,
            keep_snapshot,
        })
}

impl Step {
    fn as_commit(&self, history: &[Model]) -> Commit {
        let seen = &history[history.len().saturating_sub(self.commits_ago + 1)];
        let writes = self.writes.iter().cloned().map(|(key, value)| match value {
            Some(value) => Write::Put { key, value },
            None => Write::Delete { key },
        });
        Commit {
            checks: self.reads.iter().map(|read| read.as_check(seen)).collect(),
            writes: writes.collect(),
        }
    }
}

async fn run(store: &dyn Store, steps: &[Step]) {
    let mut history = vec![Model::default()];
    let mut kept: Vec<(Box<dyn Snapshot>, Model)> = Vec::new();
    for step in steps {
        let mut model = history.last().unwrap().clone();
        if step.keep_snapshot {
            kept.push((store.snapshot().await.unwrap(), model.clone()));
        }
        let commit = step.as_commit(&history);
        let made = store.commit(commit.clone()).await;
        let expected = model.commit(&commit);
        match made {
            Ok(()) => assert!(expected, "a check that does not hold was passed: {step:?}"),
            Err(StoreError::Conflict(_)) => assert!(!expected, "refused for nothing: {step:?}"),
            Err(other) => panic!("{other}"),
        }
        compare(&*store.snapshot().await.unwrap(), &model).await;
        history.push(model);
    }
    for (snapshot, model) in kept {
        compare(&*snapshot, &model).await;
    }
}

async fn compare(snapshot: &dyn Snapshot, model: &Model) {
    for first in ["a", "b", "c"] {
        for key in [
            first.to_owned(),
            format!("{first}/b"),
            format!("{first}/b/c"),
        ] {
            let found = snapshot.get(&key).await.unwrap();
            let found = found.map(|Versioned { value, revision }| (revision, value));
            assert_eq!(found.as_ref(), model.entries.get(&key), "{key}");
        }
    }
    for prefix in ["", "a/", "b/", "a/b/", "a"] {
        for (after, limit) in [("", usize::MAX), ("a", 2), ("b/", 1), ("", 1), ("", 0)] {
            let names = snapshot.list_page(prefix, after, limit).await.unwrap();
            assert_eq!(names, model.list(prefix, after, limit));
        }
    }
}

fn block_on(work: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(work);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn a_store_in_memory_is_the_model(steps in prop::collection::vec(step(), 1..40)) {
        block_on(run(&MemoryStore::new(), &steps));
    }
}

proptest! {
    // Every commit is synced, which takes its time.
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn a_store_in_a_file_is_the_model_and_still_is_when_opened_again(
        steps in prop::collection::vec(step(), 1..25),
        more in prop::collection::vec(step(), 1..3),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store.redb");
        let mut model = Model::default();
        block_on(run(&RedbStore::open(&path).unwrap(), &steps));
        let mut history = vec![model.clone()];
        for step in &steps {
            model.commit(&step.as_commit(&history));
            history.push(model.clone());
        }
        block_on(async {
            let store = RedbStore::open(&path).unwrap();
            compare(&*store.snapshot().await.unwrap(), &model).await;
            for step in &more {
                let commit = step.as_commit(&history);
                let made = store.commit(commit.clone()).await.is_ok();
                assert_eq!(made, model.commit(&commit));
                history.push(model.clone());
                compare(&*store.snapshot().await.unwrap(), &model).await;
            }
        });
    }
}

/// Of commits that rely on the same thing and come together, one is made.
async fn race(store: Arc<dyn Store>) {
    for round in 0..5 {
        let tries = (0..40u8).map(|n| {
            let store = store.clone();
            let key = format!("race/{round}");
            tokio::spawn(async move {
                let check = Check::Key {
                    key: key.clone(),
                    revision: None,
                };
                let write = Write::Put {
                    key,
                    value: vec![n],
                };
                let commit = Commit {
                    checks: vec![check],
                    writes: vec![write],
                };
                store.commit(commit).await.is_ok()
            })
        });
        let made = futures_util::future::join_all(tries).await;
        let winners: Vec<_> = (0u8..)
            .zip(made)
            .filter(|(_, made)| *made.as_ref().unwrap())
            .collect();
        assert_eq!(winners.len(), 1);
        let snapshot = store.snapshot().await.unwrap();
        let found = snapshot.get(&format!("race/{round}")).await.unwrap();
        assert_eq!(found.unwrap().value, [winners[0].0]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_commits_that_exclude_each_other_one_is_made() {
    let dir = tempfile::tempdir().unwrap();
    race(Arc::new(MemoryStore::new())).await;
    race(Arc::new(
        RedbStore::open(&dir.path().join("store.redb")).unwrap(),
    ))
    .await;
}
