//! What can be asked of a guest, one type each. Asked and answered in the contract's messages: those of the WIT package stay
//! where the guest is called.

use std::future::Future;

use super::convert;
use super::store::{Answer, GuestStore};
use palisade_contract::{Existence, Operation, PluginError, Request, Response};

/// A question for a guest.
pub(super) trait Ask: Send + 'static {
    /// What the guest answers when all goes well.
    type Reply: Send + 'static;

    /// Puts it to the guest in that store.
    fn put(
        self,
        store: &mut GuestStore,
    ) -> impl Future<Output = Answer<Self::Reply, PluginError>> + Send;

    /// Whether it is refused while its entry has no fuel left. What was begun has to be ended, so that is for new work only.
    fn is_new_work(&self) -> bool {
        false
    }

    /// The size of the body that the guest answered with.
    fn reply_bytes(reply: &Self::Reply) -> usize {
        let _ = reply;
        0
    }
}

/// Begin a generation.
pub(super) struct Initialize;

impl Ask for Initialize {
    type Reply = ();

    async fn put(self, store: &mut GuestStore) -> Answer<(), PluginError> {
        converted(store.initialize().await, |done| done)
    }
}

/// Answer a request.
pub(super) struct Handle(pub(super) Box<Request>);

impl Ask for Handle {
    type Reply = Option<Box<Response>>;

    fn is_new_work(&self) -> bool {
        let ends = [Operation::Renew, Operation::Revoke, Operation::Rollback];
        !ends.contains(&self.0.operation)
    }

    async fn put(self, store: &mut GuestStore) -> Answer<Self::Reply, PluginError> {
        let answer = store.handle(convert::request(self.0)).await;
        converted(answer, |response| {
            response.map(|response| Box::new(convert::response(response)))
        })
    }

    fn reply_bytes(reply: &Self::Reply) -> usize {
        reply
            .as_ref()
            .map_or(0, |response| response.data.as_str().len())
    }
}

/// Say whether something is there.
pub(super) struct Exists(pub(super) Box<Request>);

impl Ask for Exists {
    type Reply = Existence;

    fn is_new_work(&self) -> bool {
        true
    }

    async fn put(self, store: &mut GuestStore) -> Answer<Existence, PluginError> {
        let answer = store.exists(convert::request(self.0)).await;
        converted(answer, convert::existence)
    }
}

/// Forget a key.
pub(super) struct Invalidate(pub(super) String);

impl Ask for Invalidate {
    type Reply = ();

    async fn put(self, store: &mut GuestStore) -> Answer<(), PluginError> {
        store.invalidate(self.0).await.map(Ok)
    }
}

/// Say goodbye.
pub(super) struct Cleanup;

impl Ask for Cleanup {
    type Reply = ();

    async fn put(self, store: &mut GuestStore) -> Answer<(), PluginError> {
        store.cleanup().await.map(Ok)
    }
}

fn converted<W, T>(answer: Answer<W>, reply: impl FnOnce(W) -> T) -> Answer<T, PluginError> {
    Ok(answer?.map(reply).map_err(convert::plugin_error))
}
