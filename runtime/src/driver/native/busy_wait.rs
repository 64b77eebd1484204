//! Waits for an answer without going to sleep, where that is likely to be short and nobody else wants the processor.
//!
//! To wake a thread whose processor went idle takes longer than many an answer, above all in a virtual machine, and one
//! request of a plugin is several round trips. So a call that is the only one under way gives its thread to whatever else
//! is due and looks at the sockets again, for a while. It does so only while experience speaks for it: calls that were alone
//! and answered within that while give credit, a late answer takes much of it, and a second call at once takes all.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::task::Context;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use tokio::task::yield_now;

/// The credit from which on a call is waited for awake; one that was alone and soon answered gives 1.
const CREDIT_MIN: u32 = 16;

/// The most credit there is, so that a plugin that becomes slow is soon waited for asleep.
const CREDIT_MAX: u32 = 64;

/// What a lone call costs that was waited for in vain.
const LATE_COST: u32 = 8;

/// How the calls of all processes are waited for.
pub(super) struct BusyWait {
    /// How long a call is waited for awake; zero if none is.
    limit: Duration,
    under_way: AtomicUsize,
    credit: AtomicU32,
}

impl BusyWait {
    /// Waits awake up to `limit`; never on one processor, which the plugin itself needs.
    pub(super) fn new(limit: Duration) -> Self {
        Self::on(available_parallelism().map_or(1, usize::from), limit)
    }

    fn on(processors: usize, limit: Duration) -> Self {
        Self {
            limit: if processors > 1 {
                limit
            } else {
                Duration::ZERO
            },
            under_way: AtomicUsize::new(0),
            credit: AtomicU32::new(0),
        }
    }

    /// The outcome of a call.
    pub(super) async fn of<C: Future>(&self, call: C) -> C::Output {
        let watch = Watch::begin(self);
        let mut call = pin!(call);
        let outcome = poll_fn(|context| {
            let polled = call.as_mut().poll(context);
            if polled.is_pending() && watch.is_awake() {
                come_again(context);
            }
            polled
        });
        let outcome = outcome.await;
        watch.end();
        outcome
    }
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
    is_alone: bool,
}

impl<'a> Watch<'a> {
    fn begin(busy: &'a BusyWait) -> Self {
        let is_alone = busy.under_way.fetch_add(1, Ordering::Relaxed) == 0;
        if !is_alone {
            busy.credit.store(0, Ordering::Relaxed);
        }
        Self {
            busy,
            begun: Instant::now(),
            is_alone,
        }
    }

    /// Whether the call is to be waited for awake. No longer so as soon as another begins, which takes the credit.
    fn is_awake(&self) -> bool {
        self.is_alone && self.busy.credit.load(Ordering::Relaxed) >= CREDIT_MIN && self.is_early()
    }

    fn is_early(&self) -> bool {
        self.begun.elapsed() < self.busy.limit
    }

    fn end(self) {
        if !self.is_alone {
            return;
        }
        let credit = self.busy.credit.load(Ordering::Relaxed);
        let credit = if self.is_early() {
            CREDIT_MAX.min(credit + 1)
        } else {
            credit.saturating_sub(LATE_COST)
        };
        self.busy.credit.store(credit, Ordering::Relaxed);
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        self.busy.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::task::Poll;

    use super::*;

    /// Long enough for a machine that has other things to do.
    const LIMIT: Duration = Duration::from_millis(100);

    async fn answered_at_once(busy: &BusyWait, times: u32) {
        for _ in 0..times {
            busy.of(async {}).await;
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
    async fn a_lone_call_after_short_ones_is_waited_for_awake_until_the_limit() {
        let busy = BusyWait::on(2, LIMIT);
        answered_at_once(&busy, CREDIT_MIN).await;
        let begun = Instant::now();
        let looks = looks_at_silence(&busy).await;
        assert!(looks > 100, "{looks}");
        assert!(begun.elapsed() >= 2 * LIMIT);
    }

    #[tokio::test]
    async fn a_call_without_the_credit_sleeps() {
        let busy = BusyWait::on(2, LIMIT);
        answered_at_once(&busy, CREDIT_MIN - 1).await;
        assert!(looks_at_silence(&busy).await < 5);
    }

    #[tokio::test]
    async fn late_answers_end_the_credit() {
        let busy = BusyWait::on(2, LIMIT);
        answered_at_once(&busy, 2 * CREDIT_MAX).await;
        for _ in 0..=(CREDIT_MAX - CREDIT_MIN) / LATE_COST {
            assert!(busy.credit.load(Ordering::Relaxed) >= CREDIT_MIN);
            busy.of(tokio::time::sleep(2 * LIMIT)).await;
        }
        assert!(looks_at_silence(&busy).await < 5);
    }

    #[tokio::test]
    async fn calls_beside_each_other_sleep() {
        let busy = BusyWait::on(2, LIMIT);
        answered_at_once(&busy, CREDIT_MIN).await;
        let mut other = pin!(busy.of(pending::<()>()));
        let looks = poll_fn(|context| {
            let _ = other.as_mut().poll(context);
            Poll::Ready(())
        });
        looks.await;
        assert!(looks_at_silence(&busy).await < 5);
    }

    #[tokio::test]
    async fn others_are_served_meanwhile() {
        let busy = BusyWait::on(2, LIMIT);
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
        for busy in [BusyWait::on(1, LIMIT), BusyWait::on(2, Duration::ZERO)] {
            answered_at_once(&busy, CREDIT_MIN).await;
            assert!(looks_at_silence(&busy).await < 5);
        }
    }
}
