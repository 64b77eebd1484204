//! Orders on their way to a supervisor: a bounded queue that takes room only while something is in it.
//!
//! Most mounts are idle, and there may be thousands of them: a channel that sets its buffer aside costs each of them more
//! than all else that supervises it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, Semaphore};

/// A queue for so many orders at once.
pub(super) fn orders<T>(orders_max: usize) -> (Giver<T>, Taker<T>) {
    let shared = Arc::new(Shared {
        line: Mutex::new(Line {
            waiting: VecDeque::new(),
            is_open: true,
        }),
        room: Semaphore::new(orders_max),
        news: Notify::new(),
    });
    (Giver(Arc::clone(&shared)), Taker(shared))
}

/// The end that orders are given at.
pub(super) struct Giver<T>(Arc<Shared<T>>);

/// The end that orders are taken from. Once it is dropped, those that wait are dropped too, and no more are accepted.
pub(super) struct Taker<T>(Arc<Shared<T>>);

/// The other end is gone.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Closed;

struct Shared<T> {
    line: Mutex<Line<T>>,
    /// A permit for each order that may still come.
    room: Semaphore,
    /// There is an order, or there will be none any more.
    news: Notify,
}

struct Line<T> {
    waiting: VecDeque<T>,
    is_open: bool,
}

impl<T> Giver<T> {
    /// Gives an order, once there is room for it.
    pub(super) async fn give(&self, order: T) -> Result<(), Closed> {
        let room = self.0.room.acquire().await.map_err(|_| Closed)?;
        room.forget();
        self.0.add(order)
    }

    /// Gives an order if there is room for it.
    pub(super) fn give_now(&self, order: T) -> Result<(), Closed> {
        let room = self.0.room.try_acquire().map_err(|_| Closed)?;
        room.forget();
        self.0.add(order)
    }
}

impl<T> Drop for Giver<T> {
    fn drop(&mut self) {
        self.0.line().is_open = false;
        self.0.news.notify_one();
    }
}

impl<T> Taker<T> {
    /// The next order; none once there will be no more. Nothing is lost when it is not waited for to the end.
    pub(super) async fn take(&mut self) -> Option<T> {
        loop {
            let is_open = {
                let mut line = self.0.line();
                if let Some(order) = line.waiting.pop_front() {
                    self.0.room.add_permits(1);
                    return Some(order);
                }
                line.is_open
            };
            if !is_open {
                return None;
            }
            self.0.news.notified().await;
        }
    }
}

impl<T> Drop for Taker<T> {
    fn drop(&mut self) {
        self.0.room.close();
        let waiting = {
            let mut line = self.0.line();
            line.is_open = false;
            std::mem::take(&mut line.waiting)
        };
        // Who waits for what becomes of one hears that nothing will, and that happens without the lock.
        drop(waiting);
    }
}

impl<T> Shared<T> {
    fn add(&self, order: T) -> Result<(), Closed> {
        let mut line = self.line();
        if !line.is_open {
            return Err(Closed);
        }
        line.waiting.push_back(order);
        drop(line);
        self.news.notify_one();
        Ok(())
    }

    fn line(&self) -> MutexGuard<'_, Line<T>> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use tokio::sync::oneshot;

    #[tokio::test]
    async fn orders_are_taken_as_they_were_given_and_then_there_are_none() {
        let (giver, mut taker) = orders(4);
        for order in 0..3 {
            giver.give(order).await.unwrap();
        }
        drop(giver);
        for order in 0..3 {
            assert_eq!(taker.take().await, Some(order));
        }
        assert_eq!(taker.take().await, None);
    }

    #[tokio::test]
    async fn a_full_queue_makes_its_givers_wait_and_the_hasty_go_away() {
        let (giver, mut taker) = orders(1);
        giver.give(0).await.unwrap();
        assert_eq!(giver.give_now(1), Err(Closed));
        let second = giver.give(2);
        tokio::pin!(second);
        assert!(second.as_mut().now_or_never().is_none());
        assert_eq!(taker.take().await, Some(0));
        second.await.unwrap();
        assert_eq!(taker.take().await, Some(2));
    }

    #[tokio::test]
    async fn whoever_waits_for_an_order_hears_of_it_and_of_the_end() {
        let (giver, mut taker) = orders(1);
        let taken = tokio::spawn(async move { (taker.take().await, taker.take().await) });
        tokio::task::yield_now().await;
        giver.give(1).await.unwrap();
        tokio::task::yield_now().await;
        drop(giver);
        assert_eq!(taken.await.unwrap(), (Some(1), None));
    }

    #[tokio::test]
    async fn when_nobody_takes_them_any_more_orders_are_dropped_and_refused() {
        let (giver, taker) = orders(1);
        let (done, outcome) = oneshot::channel::<()>();
        giver.give(done).await.unwrap();
        let (late, _) = oneshot::channel();
        let waits = giver.give(late);
        tokio::pin!(waits);
        assert!(waits.as_mut().now_or_never().is_none());
        drop(taker);
        assert!(outcome.await.is_err());
        assert_eq!(waits.await, Err(Closed));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn no_order_is_lost_when_many_give_and_the_taker_looks_away() {
        let (giver, mut taker) = orders(2);
        let giver = Arc::new(giver);
        let givers: Vec<_> = (0..8)
            .map(|_| {
                let giver = Arc::clone(&giver);
                tokio::spawn(async move {
                    for order in 0..100 {
                        giver.give(order).await.unwrap();
                    }
                })
            })
            .collect();
        drop(giver);
        let mut taken = 0;
        loop {
            // Given up as often as not, as one of several that are waited for.
            tokio::select! {
                biased;
                () = tokio::task::yield_now() => {}
                order = taker.take() => match order {
                    Some(_) => taken += 1,
                    None => break,
                },
            }
        }
        for giver in givers {
            giver.await.unwrap();
        }
        assert_eq!(taken, 800);
    }
}
