//! Waits for an answer without going to sleep, where that is likely to be short and nobody else asks anything.
//!
//! To wake a thread whose processor went idle takes longer than many an answer, above all in a virtual machine, and one
//! request of a plugin is several round trips. So a call that is the only one under way gives its thread to whatever else
//! is due and looks at the sockets again, for half as long again as calls of that process usually take. It takes a
//! processor by that, for which the plugin may be waiting itself. So it does so only while experience speaks for it: lone
//! calls that were answered in time give credit, a late answer takes much of it, and a second call at once takes all.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::task::Context;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use tokio::task::yield_now;

use crate::Timeouts;

/// The credit from which on a call is waited for awake; one that was alone and answered in time gives 1.
const CREDIT_MIN: u32 = 16;

/// The most credit there is, so that a plugin that becomes slow is soon waited for asleep.
const CREDIT_MAX: u32 = 64;

/// What a lone call costs that was waited for in vain.
const LATE_COST: u32 = 8;

/// What a call usually takes is the mean of about so many.
const CALLS_OF_MEAN: u64 = 64;

/// The calls of all processes of a driver.
#[derive(Clone)]
pub(super) struct BusyWaits {
    /// How long a call is waited for awake at most; zero if none is.
    limit: Duration,
    under_way: Arc<AtomicUsize>,
}

impl BusyWaits {
    /// Waits awake up to `limit`; never on one processor, which the plugin itself needs.
    pub(super) fn new(limit: Duration) -> Self {
        let limit = limit.min(Timeouts::BUSY_WAIT_MAX);
        Self::on(available_parallelism().map_or(1, usize::from), limit)
    }

    fn on(processors: usize, limit: Duration) -> Self {
        Self {
            limit: if processors > 1 {
                limit
            } else {
                Duration::ZERO
            },
            under_way: Arc::default(),
        }
    }

    /// For the calls of one process.
    pub(super) fn of_a_process(&self) -> BusyWait {
        BusyWait {
            waits: self.clone(),
            usual: AtomicU64::new(nanoseconds(self.limit)),
            credit: AtomicU32::new(0),
        }
    }
}

/// How the calls of one process are waited for.
pub(super) struct BusyWait {
    waits: BusyWaits,
    /// What a lone call usually takes, in nanoseconds.
    usual: AtomicU64,
    credit: AtomicU32,
}

impl BusyWait {
    /// The outcome of a call.
    pub(super) async fn of<C: Future>(&self, call: C) -> C::Output {
        let mut watch = Watch::begin(self);
        let mut call = pin!(call);
        let outcome = poll_fn(|context| {
            let polled = call.as_mut().poll(context);
            if polled.is_pending() && watch.is_awake() {
                come_again(context);
            }
            polled
        });
        let outcome = outcome.await;
        watch.is_answered = true;
        outcome
    }

    /// How long to stay awake for a call.
    fn patience(&self) -> Duration {
        let usual = Duration::from_nanos(self.usual.load(Ordering::Relaxed));
        self.waits.limit.min(usual * 3 / 2)
    }

    /// A call that took very long counts as one that took twice the limit.
    fn learn(&self, took: Duration) {
        let took = nanoseconds(took.min(2 * self.waits.limit));
        let usual = self.usual.load(Ordering::Relaxed);
        let usual = usual - usual / CALLS_OF_MEAN + took / CALLS_OF_MEAN;
        self.usual.store(usual, Ordering::Relaxed);
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Has the task polled again, once all others that are due have been and the sockets were looked at.
fn come_again(context: &mut Context<'_>) {
    // Its first poll is the one that asks for this.
    let _ = pin!(yield_now()).poll(context);
}

/// One call under way.
struct Watch<'a> {
    busy: &'a BusyWait,
    begun: Instant,
    /// How long to stay awake for it.
    patience: Duration,
    has_credit: bool,
    is_answered: bool,
}

impl<'a> Watch<'a> {
    fn begin(busy: &'a BusyWait) -> Self {
        busy.waits.under_way.fetch_add(1, Ordering::Relaxed);
        Self {
            busy,
            begun: Instant::now(),
            patience: busy.patience(),
            has_credit: busy.credit.load(Ordering::Relaxed) >= CREDIT_MIN,
            is_answered: false,
        }
    }

    /// Whether to stay awake for it. No longer so once another has begun.
    fn is_awake(&self) -> bool {
        self.has_credit && self.is_alone() && self.begun.elapsed() < self.patience
    }

    fn is_alone(&self) -> bool {
        self.busy.waits.under_way.load(Ordering::Relaxed) == 1
    }

    /// Of one that was given up nothing is known, unless that was late.
    fn settle(&self) {
        let credit = &self.busy.credit;
        if !self.is_alone() {
            return credit.store(0, Ordering::Relaxed);
        }
        let (took, had) = (self.begun.elapsed(), credit.load(Ordering::Relaxed));
        let has = match (took < self.patience, self.is_answered) {
            (true, true) => CREDIT_MAX.min(had + 1),
            (true, false) => return,
            (false, _) => had.saturating_sub(LATE_COST),
        };
        self.busy.learn(took);
        credit.store(has, Ordering::Relaxed);
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        self.settle();
        self.busy.waits.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::task::Poll;

    use super::*;

    /// Long enough for a machine that has other things to do.
    const LIMIT: Duration = Duration::from_millis(200);

    /// So many calls that are answered at once.
    async fn answered_at_once(busy: &BusyWait, times: u32) {
        for _ in 0..times {
            busy.of(ready(())).await;
        }
    }

    /// How often a call that nothing wakes is looked at while twice the limit passes.
    async fn looks_at_silence(busy: &BusyWait) -> u32 {
        let mut looks = 0;
        let silence = poll_fn(|_| {
            looks += 1;
            Poll::<()>::Pending
        });
        let waited = tokio::time::timeout(2 * LIMIT, busy.of(silence)).await;
        assert!(waited.is_err());
        looks
    }

    #[tokio::test]
    async fn a_lone_call_after_short_ones_is_waited_for_awake_for_a_while() {
        let busy = BusyWaits::on(2, LIMIT).of_a_process();
        answered_at_once(&busy, CREDIT_MIN).await;
        let begun = Instant::now();
        let looks = looks_at_silence(&busy).await;
        assert!(looks > 100, "{looks}");
        assert!(begun.elapsed() >= 2 * LIMIT);
    }

    #[tokio::test]
    async fn a_call_without_the_credit_sleeps() {
        let busy = BusyWaits::on(2, LIMIT).of_a_process();
        answered_at_once(&busy, CREDIT_MIN - 1).await;
        assert!(looks_at_silence(&busy).await < 5);
    }

    #[tokio::test]
    async fn late_answers_end_the_credit() {
        let busy = BusyWaits::on(2, LIMIT).of_a_process();
        answered_at_once(&busy, 2 * CREDIT_MAX).await;
        for _ in 0..=(CREDIT_MAX - CREDIT_MIN) / LATE_COST {
            assert!(busy.credit.load(Ordering::Relaxed) >= CREDIT_MIN);
            busy.of(tokio::time::sleep(2 * LIMIT)).await;
        }
        assert!(looks_at_silence(&busy).await < 5);
    }

    #[tokio::test]
    async fn calls_that_are_never_answered_end_the_credit() {
        let busy = BusyWaits::on(2, LIMIT).of_a_process();
        answered_at_once(&busy, 2 * CREDIT_MAX).await;
        for _ in 0..=(CREDIT_MAX - CREDIT_MIN) / LATE_COST {
            assert!(busy.credit.load(Ordering::Relaxed) >= CREDIT_MIN);
            looks_at_silence(&busy).await;
        }
        assert!(looks_at_silence(&busy).await < 5);
    }

    #[test]
    fn its_patience_follows_what_calls_take_up_to_the_limit() {
        let busy = BusyWaits::on(2, LIMIT).of_a_process();
        assert_eq!(busy.patience(), LIMIT);
        for _ in 0..20 * CALLS_OF_MEAN {
            busy.learn(Duration::from_micros(100));
        }
        let patience = busy.patience().as_micros();
        assert!((140..160).contains(&patience), "{patience}");
        for _ in 0..20 * CALLS_OF_MEAN {
            busy.learn(Duration::from_secs(60));
        }
        assert_eq!(busy.patience(), LIMIT);
    }

    #[tokio::test]
    async fn calls_beside_each_other_sleep() {
        let waits = BusyWaits::on(2, LIMIT);
        let (busy, other) = (waits.of_a_process(), waits.of_a_process());
        answered_at_once(&busy, CREDIT_MIN).await;
        let mut call = pin!(other.of(pending::<()>()));
        let begin = poll_fn(|context| {
            let _ = call.as_mut().poll(context);
            Poll::Ready(())
        });
        begin.await;
        assert!(looks_at_silence(&busy).await < 5);
    }

    #[tokio::test]
    async fn a_second_call_sends_the_first_to_sleep() {
        let waits = BusyWaits::on(2, LIMIT);
        let (busy, other) = (waits.of_a_process(), waits.of_a_process());
        answered_at_once(&busy, CREDIT_MAX).await;
        let mut looks = 0;
        let first = poll_fn(|_| {
            looks += 1;
            Poll::<()>::Pending
        });
        let first = tokio::time::timeout(2 * LIMIT, busy.of(first));
        let second = tokio::time::timeout(2 * LIMIT, other.of(pending::<()>()));
        let _ = tokio::join!(first, second);
        assert!(looks < 5, "{looks}");
    }

    #[tokio::test]
    async fn a_call_that_was_not_alone_takes_the_credit() {
        let waits = BusyWaits::on(2, LIMIT);
        let (busy, other) = (waits.of_a_process(), waits.of_a_process());
        answered_at_once(&busy, CREDIT_MAX).await;
        other.of(busy.of(ready(()))).await;
        assert_eq!(busy.credit.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn others_are_served_meanwhile() {
        let busy = BusyWaits::on(2, LIMIT).of_a_process();
        answered_at_once(&busy, CREDIT_MIN).await;
        let (answer, waits) = tokio::sync::oneshot::channel();
        let other = tokio::spawn(async { answer.send(()) });
        let begun = Instant::now();
        busy.of(waits).await.expect("it is answered");
        assert!(begun.elapsed() < LIMIT);
        other.await.expect("it ends").expect("it is waited for");
    }

    #[tokio::test]
    async fn on_one_processor_and_without_a_limit_every_call_sleeps() {
        for waits in [BusyWaits::on(1, LIMIT), BusyWaits::on(2, Duration::ZERO)] {
            let busy = waits.of_a_process();
            answered_at_once(&busy, CREDIT_MIN).await;
            assert!(looks_at_silence(&busy).await < 5);
        }
    }
}
