//! What other live stores of the mount committed and this instance's plugin has not heard of yet.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::InstanceServices;
use crate::services::{Changes, Cursor, Deadline};

/// How far the plugin has been told.
pub(super) struct News {
    cursor: Mutex<Cursor>,
    /// Held while the plugin is told, so that no request overtakes the news it has to hear.
    telling: tokio::sync::Mutex<()>,
}

impl News {
    pub(super) fn new(cursor: Cursor) -> Self {
        Self {
            cursor: Mutex::new(cursor),
            telling: tokio::sync::Mutex::default(),
        }
    }

    fn cursor(&self) -> MutexGuard<'_, Cursor> {
        self.cursor.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The one request that tells the plugin; the others wait until it is dropped.
pub(in crate::driver::native) struct Telling<'a> {
    services: &'a InstanceServices,
    ahead: Cursor,
    /// What to tell.
    pub(in crate::driver::native) changes: Changes,
    _turn: tokio::sync::MutexGuard<'a, ()>,
}

impl Telling<'_> {
    /// The plugin has heard it all. Without this, all of it is told again.
    pub(in crate::driver::native) fn done(self) {
        let mut cursor = self.services.inner.news.cursor();
        cursor.0 = cursor.0.max(self.ahead.0);
    }
}

impl InstanceServices {
    /// Whether anything was committed that the plugin may have to hear of. Cheap, for the front of every request.
    pub(in crate::driver::native) fn has_news(&self) -> bool {
        let cursor = *self.inner.news.cursor();
        self.inner.services.changes().moved(cursor)
    }

    /// Waits for the turn to tell the plugin; `None` when the deadline comes first.
    pub(in crate::driver::native) async fn tell(&self, deadline: Deadline) -> Option<Telling<'_>> {
        let turn = deadline.wait_for(self.inner.news.telling.lock()).await?;
        let mut ahead = *self.inner.news.cursor();
        let feed = self.inner.services.changes();
        let changes = feed.since(self.inner.store, &mut ahead);
        Some(Telling {
            services: self,
            ahead,
            changes,
            _turn: turn,
        })
    }

    /// Passes over what the plugin wrote itself when nothing else is waiting: however much one request writes, the
    /// plugin does not fall behind by it.
    pub(super) fn pass_over_own(&self) {
        let mut cursor = self.inner.news.cursor();
        let mut ahead = *cursor;
        let changes = self.inner.services.changes();
        if matches!(changes.since(self.inner.store, &mut ahead), Changes::Keys(keys) if keys.is_empty())
        {
            *cursor = ahead;
        }
    }
}
