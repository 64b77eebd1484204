//! What other live stores of a mount committed and one that serves many requests at once has not heard of yet.
//!
//! There is no turn to wait for: each request that finds news tells it before it goes on, piece by piece, even when
//! another is telling the same. Forgetting a key twice is harmless, and a plugin that hangs over it delays nobody else.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{ChangeFeed, Changes, Cursor, StoreId};

/// How many written keys are one piece. What was told of a piece need not be told again, however the request ends.
const PIECE_KEYS: usize = 64;

/// One live store's place in the feed of its mount.
pub(crate) struct News {
    store: StoreId,
    heard: AtomicU64,
}

/// What has to be told before a request goes on.
pub(crate) struct Untold {
    pub(crate) changes: Changes,
    /// Where the store is once it has heard them.
    pub(crate) upto: Cursor,
}

impl News {
    /// A new live store, which starts to listen now.
    pub(crate) fn join(feed: &ChangeFeed) -> Self {
        let (store, cursor) = feed.join();
        Self {
            store,
            heard: AtomicU64::new(cursor.0),
        }
    }

    /// The store's name as the origin of commits.
    pub(crate) fn store(&self) -> StoreId {
        self.store
    }

    /// The same live store with nothing to hear of what was committed up to there.
    pub(crate) fn afresh(&self, upto: Cursor) -> Self {
        Self {
            store: self.store,
            heard: AtomicU64::new(upto.0),
        }
    }

    /// How much it has heard.
    pub(crate) fn heard(&self) -> Cursor {
        Cursor(self.heard.load(Ordering::Acquire))
    }

    /// The next piece of what it has to hear. Cheap when there is nothing, for the front of every request.
    pub(crate) fn untold(&self, feed: &ChangeFeed) -> Option<Untold> {
        let mut upto = self.heard();
        if !feed.moved(upto) {
            return None;
        }
        let changes = feed.next(self.store, &mut upto, PIECE_KEYS);
        Some(Untold { changes, upto })
    }

    /// It has heard all up to there. Until this is said, all of it is told again.
    pub(crate) fn told(&self, upto: Cursor) {
        self.heard.fetch_max(upto.0, Ordering::AcqRel);
    }

    /// Passes over what the store wrote itself when nothing else is waiting: however much one request writes, the plugin
    /// does not fall behind by it.
    pub(crate) fn pass_over_own(&self, feed: &ChangeFeed) {
        let mut upto = self.heard();
        if matches!(feed.since(self.store, &mut upto), Changes::Keys(keys) if keys.is_empty()) {
            self.told(upto);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn news_is_told_to_everybody_until_somebody_has_told_it_all() {
        let feed = ChangeFeed::new();
        let (me, other) = (News::join(&feed), News::join(&feed));
        assert!(me.untold(&feed).is_none());
        feed.publish(other.store(), vec![Arc::from("k")]);
        let (first, second) = (me.untold(&feed).unwrap(), me.untold(&feed).unwrap());
        assert_eq!(first.changes, second.changes);
        feed.publish(other.store(), vec![Arc::from("l")]);
        me.told(second.upto);
        // One that started earlier and ends later does not turn the clock back.
        me.told(first.upto);
        let rest = me.untold(&feed).unwrap();
        assert_eq!(rest.changes, Changes::Keys(vec![Arc::from("l")]));
    }

    #[test]
    fn much_news_is_told_in_pieces_and_none_is_left_out() {
        let feed = ChangeFeed::new();
        let (me, other) = (News::join(&feed), News::join(&feed));
        let keys = (0..200)
            .map(|n| Arc::from(format!("{n:03}")))
            .collect::<Vec<_>>();
        feed.publish(other.store(), keys.clone());
        let mut told = Vec::new();
        while let Some(Untold { changes, upto }) = me.untold(&feed) {
            let Changes::Keys(piece) = changes else {
                panic!("the feed holds all of it")
            };
            assert!(piece.len() <= PIECE_KEYS);
            told.extend(piece);
            me.told(upto);
        }
        assert_eq!(told, keys);
    }

    #[test]
    fn a_stores_own_writes_are_passed_over_unless_others_wrote_too() {
        let feed = ChangeFeed::new();
        let (me, other) = (News::join(&feed), News::join(&feed));
        feed.publish(me.store(), vec![Arc::from("k")]);
        me.pass_over_own(&feed);
        assert!(me.untold(&feed).is_none());
        feed.publish(other.store(), vec![Arc::from("k")]);
        me.pass_over_own(&feed);
        assert!(me.untold(&feed).is_some());
    }
}
