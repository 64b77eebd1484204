//! The wish to end, made once and seen by everybody.

use tokio::sync::watch;

/// A wish that starts unmade.
#[derive(Clone)]
pub(crate) struct Stop(watch::Sender<bool>);

impl Stop {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(false))
    }

    /// Makes the wish.
    pub(crate) fn request(&self) {
        self.0.send_replace(true);
    }

    /// Resolves once the wish was made, at once if it was already.
    pub(crate) fn requested(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut watcher = self.0.subscribe();
        async move {
            // It cannot fail while this value or a clone lives, and when none does the end has come as well.
            let _ = watcher.wait_for(|requested| *requested).await;
        }
    }
}
