//! Compiles components in a worker process, once for each digest, and keeps what became of them.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use super::engine::{Class, Linked, Shared as SharedEngine};
use super::load::OwnWork;
use super::{inspect, settings};
use crate::{Digest, LaunchError, Profile};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use tokio::task::JoinError;

use super::admit;
use crate::catalog::Survey;
use palisade_contract::SectionFacts;

/// Components that are kept compiled; those that run are kept alive by their mounts as well.
const KEPT_MAX: usize = 64;

/// The worker's half: inspects the bytes, compiles them, and answers with the inspection and the code.
pub(crate) fn compile(bytes: &[u8], profile: Profile) -> Result<Vec<u8>, String> {
    let inspection = inspect::inspect(bytes, profile)?;
    let code = settings::compiling()
        .and_then(|engine| engine.precompile_component(bytes))
        .map_err(|error| format!("{error:#}"))?;
    Ok(frame(&inspection, &code))
}

/// The inspection's length in four bytes, the inspection, the code.
fn frame(inspection: &[u8], code: &[u8]) -> Vec<u8> {
    let length = u32::try_from(inspection.len()).expect("it is shorter than its file");
    [&length.to_le_bytes(), inspection, code].concat()
}

/// The inspection, and where the code begins.
fn unframe(answer: &[u8]) -> Option<(Survey, usize)> {
    let (length, rest) = answer.split_first_chunk()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let survey = admit::survey(rest.get(..length)?).ok()?;
    Some((survey, size_of::<u32>() + length))
}

/// A component, linked with what it may have and ready to be instantiated.
pub(super) struct Compiled<C> {
    /// What its section says.
    pub(super) facts: SectionFacts,
    /// Instantiated once for each store.
    pub(super) component: Linked<C>,
}

impl<C: Class> Compiled<C> {
    /// Makes a worker's answer ready to run in that engine.
    pub(super) fn from_work(work: &OwnWork<C>, engine: &SharedEngine<C>) -> wasmtime::Result<Self> {
        let (survey, start) = unframe(work.bytes())
            .ok_or_else(|| wasmtime::Error::msg("the compiler's answer is cut short"))?;
        // What was admitted when it was registered may have been refused since.
        admit::admit(&survey)?;
        let component = engine.link(work, start)?;
        let facts = survey.facts;
        Ok(Self { facts, component })
    }
}

type Outcome<T> = Result<Arc<T>, LaunchError>;
type Flight<T> = Shared<BoxFuture<'static, Outcome<T>>>;

/// What was compiled, by digest. Whoever asks while it is being compiled waits for the same result; it is being compiled
/// whether or not anybody still waits, so that none holds a place in the line and does not go on.
pub(super) struct CompiledCache<T> {
    slots: Mutex<Slots<T>>,
}

struct Slots<T> {
    by_digest: HashMap<Digest, Slot<T>>,
    clock: u64,
}

struct Slot<T> {
    flight: Flight<T>,
    used: u64,
}

impl<T> Default for CompiledCache<T> {
    fn default() -> Self {
        let slots = Slots {
            by_digest: HashMap::new(),
            clock: 0,
        };
        Self {
            slots: Mutex::new(slots),
        }
    }
}

impl<T: Send + Sync + 'static> CompiledCache<T> {
    /// What became of that digest; `compile` is done only when nobody has compiled it, or is about to.
    pub(super) async fn get<F>(&self, digest: Digest, compile: impl FnOnce() -> F) -> Outcome<T>
    where
        F: Future<Output = Outcome<T>> + Send + 'static,
    {
        let flight = self.join(digest, compile);
        let outcome = flight.clone().await;
        if outcome.is_err() {
            self.forget(digest, &flight);
        }
        outcome
    }

    fn join<F>(&self, digest: Digest, compile: impl FnOnce() -> F) -> Flight<T>
    where
        F: Future<Output = Outcome<T>> + Send + 'static,
    {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.clock += 1;
        let used = slots.clock;
        let kept = slots.by_digest.get_mut(&digest);
        if let Some(slot) = kept.filter(|slot| !slot.has_failed()) {
            slot.used = used;
            return slot.flight.clone();
        }
        slots.make_room();
        let flight = tokio::spawn(compile()).map(landed).boxed().shared();
        let slot = Slot {
            flight: flight.clone(),
            used,
        };
        slots.by_digest.insert(digest, slot);
        flight
    }

    /// A failure is told to those who waited for it, and not kept: the next one tries again.
    fn forget(&self, digest: Digest, failed: &Flight<T>) {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let is_same = |slot: &Slot<T>| slot.flight.ptr_eq(failed);
        if slots.by_digest.get(&digest).is_some_and(is_same) {
            slots.by_digest.remove(&digest);
        }
    }
}

/// A task that is cut off belongs to a runtime that ends.
fn landed<T>(outcome: Result<Outcome<T>, JoinError>) -> Outcome<T> {
    outcome.unwrap_or_else(|fault| match fault.is_panic() {
        true => Err(LaunchError::Worker(format!(
            "the compilation failed: {fault}"
        ))),
        false => Err(LaunchError::Stopping),
    })
}

impl<T> Slot<T> {
    /// A failure that nobody waited for is nobody's.
    fn has_failed(&self) -> bool {
        let outcome = self.flight.clone().now_or_never();
        outcome.is_some_and(|outcome| outcome.is_err())
    }
}

impl<T> Slots<T> {
    /// Forgets the one that was not asked for for the longest time.
    fn make_room(&mut self) {
        if self.by_digest.len() < KEPT_MAX {
            return;
        }
        let oldest = self.by_digest.iter().min_by_key(|(_, slot)| slot.used);
        if let Some(digest) = oldest.map(|(digest, _)| *digest) {
            self.by_digest.remove(&digest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    const COMPONENT: &str = r#"(component (core module (@custom "palisade:plugin" "{\22contract\22:\220.1.0\22,\22type\22:\22secret\22,\22version\22:\22\22}")))"#;

    fn digest(byte: u8) -> Digest {
        Digest::new([byte; 32])
    }

    /// Counts how often it is compiled, and fails after others had a chance to ask.
    async fn failing(cache: &CompiledCache<()>, digest: Digest, count: &Arc<AtomicU32>) -> String {
        let count = Arc::clone(count);
        let outcome = cache.get(digest, || async move {
            count.fetch_add(1, Ordering::Relaxed);
            // Whoever waits polls it, so one turn is over before the last one has asked.
            for _ in 0..16 {
                tokio::task::yield_now().await;
            }
            Err(LaunchError::Stopping)
        });
        outcome.await.err().map(|error| error.to_string()).unwrap()
    }

    #[tokio::test]
    async fn whoever_asks_meanwhile_waits_for_the_same_compilation() {
        let (cache, count) = (CompiledCache::default(), Arc::new(AtomicU32::new(0)));
        let ask = || failing(&cache, digest(1), &count);
        let (first, second, _) = tokio::join!(ask(), ask(), ask());
        assert_eq!(first, second);
        assert_eq!(count.load(Ordering::Relaxed), 1);
        ask().await;
        assert_eq!(count.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn a_compilation_goes_on_when_the_first_to_ask_has_left() {
        let (cache, count) = (CompiledCache::default(), Arc::new(AtomicU32::new(0)));
        let mut first = Box::pin(failing(&cache, digest(1), &count));
        assert!(futures_util::FutureExt::now_or_never(&mut first).is_none());
        drop(first);
        while count.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        let second = failing(&cache, digest(1), &count).await;
        assert!(second.contains("stopping"));
        assert_eq!(count.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn the_compiler_refuses_what_the_inspector_refuses() {
        let module = wat::parse_str("(module)").unwrap();
        assert!(
            compile(&module, Profile::Ordinary)
                .unwrap_err()
                .contains("core module")
        );
    }

    #[test]
    fn an_answer_that_was_cut_short_is_none() {
        let bytes = wat::parse_str(COMPONENT).unwrap();
        let whole = frame(
            &inspect::inspect(&bytes, Profile::Ordinary).unwrap(),
            b"code",
        );
        let (_, start) = unframe(&whole).unwrap();
        assert_eq!(&whole[start..], b"code");
        for length in 0..start {
            assert!(unframe(&whole[..length]).is_none());
        }
    }
}
