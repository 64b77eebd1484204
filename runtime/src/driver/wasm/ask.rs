//! What can be asked of a guest, one type each.

use std::future::Future;

use super::bindings::exports::palisade::plugin::backend;
use super::bindings::palisade::plugin::types as wit;
use super::store::{Answer, GuestStore};

/// A question for a guest.
pub(super) trait Ask: Send + Sync + 'static {
    /// What the guest answers when all goes well.
    type Reply: Send + 'static;

    /// Puts it to the guest in that store.
    fn put(&self, store: &mut GuestStore) -> impl Future<Output = Answer<Self::Reply>> + Send;

    /// The size of the body that the guest answered with.
    fn reply_bytes(reply: &Result<Self::Reply, wit::PluginError>) -> usize {
        let _ = reply;
        0
    }
}

/// Begin a generation.
pub(super) struct Initialize;

impl Ask for Initialize {
    type Reply = ();

    async fn put(&self, store: &mut GuestStore) -> Answer<()> {
        store.initialize().await
    }
}

/// Answer a request.
pub(super) struct Handle(pub(super) wit::Request);

impl Ask for Handle {
    type Reply = Option<wit::Response>;

    async fn put(&self, store: &mut GuestStore) -> Answer<Self::Reply> {
        store.handle(&self.0).await
    }

    fn reply_bytes(reply: &Result<Self::Reply, wit::PluginError>) -> usize {
        let body = |response: &wit::Response| response.data.len();
        reply
            .as_ref()
            .ok()
            .and_then(|it| it.as_ref())
            .map_or(0, body)
    }
}

/// Say whether something is there.
pub(super) struct Exists(pub(super) wit::Request);

impl Ask for Exists {
    type Reply = backend::Existence;

    async fn put(&self, store: &mut GuestStore) -> Answer<Self::Reply> {
        store.exists(&self.0).await
    }
}

/// Forget a key.
pub(super) struct Invalidate(pub(super) String);

impl Ask for Invalidate {
    type Reply = ();

    async fn put(&self, store: &mut GuestStore) -> Answer<()> {
        store.invalidate(&self.0).await.map(Ok)
    }
}

/// Say goodbye.
pub(super) struct Cleanup;

impl Ask for Cleanup {
    type Reply = ();

    async fn put(&self, store: &mut GuestStore) -> Answer<()> {
        store.cleanup().await.map(Ok)
    }
}
