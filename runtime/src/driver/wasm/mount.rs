//! The guest's side of one mount: finds it a store, brings the store up to date, and asks.

use std::sync::Arc;
use std::time::Instant;

use super::ask::Ask;
use super::bindings::exports::palisade::plugin::backend;
use super::bindings::palisade::plugin::types as wit;
use super::borrowed;
use super::budget::Empty;
use super::convert;
use super::engine::Class;
use super::pool::{Era, Pool};
use super::store::{Answer, GuestStore, StoreMaker};
use crate::services::{Changes, Deadline, MountServices, Scope, StoreId};
use crate::{CallError, Isolation, LaunchError};
use palisade_contract::{Description, PluginError};

/// The stores of one mount.
pub(super) struct Mount<C> {
    pub(super) maker: StoreMaker<C>,
    pub(super) pool: Arc<Pool>,
    pub(super) services: Arc<MountServices>,
    pub(super) config: Arc<backend::SetupConfig>,
    pub(super) isolation: Isolation,
    pub(super) label: String,
}

/// A store for one request.
pub(super) struct Leased {
    store: Box<GuestStore>,
    era: Era,
    /// Keys that others committed since the store was last used.
    stale: Vec<Arc<str>>,
}

impl Leased {
    /// A store that has missed nothing.
    pub(super) fn new(store: Box<GuestStore>, era: Era) -> Self {
        Self {
            store,
            era,
            stale: Vec::new(),
        }
    }
}

/// What came of asking: nothing of it is visible before its scope is committed.
pub(super) struct Served<T> {
    pub(super) reply: Result<T, PluginError>,
    pub(super) scope: Option<Scope>,
    pub(super) origin: StoreId,
    /// The store, when another request may have it.
    pub(super) kept: Option<(Box<GuestStore>, Era)>,
}

impl<C: Class> Mount<C> {
    /// What the plugin says it is, in a store that is dropped afterwards; its functions are looked at before.
    pub(super) async fn describe(&self, deadline: Deadline) -> Result<Description, CallError> {
        let mut store = self.maker.make(self.services.setup_scope(deadline)).await?;
        store
            .check_exports()
            .map_err(|error| self.of_other_types(&error))?;
        match store.describe().await {
            Ok(description) => Ok(convert::description(description)),
            Err(error) => Err(self.maker.why(&mut store, error)),
        }
    }

    /// A new store in which the mount's backend is set up.
    pub(super) async fn fresh(&self, deadline: Deadline) -> Result<Box<GuestStore>, CallError> {
        let mut store = self.maker.make(self.services.setup_scope(deadline)).await?;
        match store.setup(Arc::clone(&self.config)).await {
            Ok(Ok(())) => Ok(store),
            Ok(Err(error)) => Err(self.refused_setup(error)),
            Err(error) => Err(self.maker.why(&mut store, error)),
        }
    }

    /// Whether the mount's backend can be set up; where stores are kept, the first one is.
    pub(super) async fn try_setup(&self, deadline: Deadline) -> Result<(), CallError> {
        let (_, era) = self.pool.take();
        let mut store = self.fresh(deadline).await?;
        store.leave();
        self.pool.give(store, era);
        Ok(())
    }

    /// An idle store of the pool, fuelled for another call that is no request.
    pub(super) fn lease_again(
        &self,
        mut store: Box<GuestStore>,
        era: Era,
    ) -> Result<Leased, CallError> {
        self.maker.renew(&mut store)?;
        Ok(Leased::new(store, era))
    }

    /// Asks in a store that no other request is using.
    pub(super) async fn serve<A: Ask>(
        &self,
        ask: A,
        deadline: Deadline,
    ) -> Result<Served<A::Reply>, CallError> {
        self.check_budget(&ask)?;
        let leased = self.lease(deadline).await?;
        // Others may have used it up while this one waited for a store.
        self.check_budget(&ask)?;
        self.serve_in(leased, ask, deadline).await
    }

    /// Asks in this store.
    pub(super) async fn serve_in<A: Ask>(
        &self,
        leased: Leased,
        ask: A,
        deadline: Deadline,
    ) -> Result<Served<A::Reply>, CallError> {
        let Leased {
            mut store,
            era,
            stale,
        } = leased;
        borrowed::leave_if_large(store.held_bytes()).await;
        // Only now, after the news: what the guest reads while it forgets a key is newer than what it forgets.
        store.enter(self.services.buffered_scope(deadline));
        store.count_use();
        let reply = match put(&mut store, &stale, ask).await {
            Ok(reply) => reply,
            Err(error) => return Err(self.maker.why(&mut store, error)),
        };
        self.check_size(reply.as_ref().map_or(0, A::reply_bytes))?;
        let scope = store.leave();
        let origin = store.id();
        let keep = self.isolation == Isolation::Mount && store.is_tidy();
        Ok(Served {
            reply,
            scope,
            origin,
            kept: keep.then_some((store, era)),
        })
    }

    fn check_budget(&self, ask: &impl Ask) -> Result<(), CallError> {
        let Some(budget) = self.maker.budget().filter(|_| ask.is_new_work()) else {
            return Ok(());
        };
        let empty = |Empty { per_minute, wait }| CallError::Overspent {
            plugin: self.label.clone(),
            fuel: per_minute,
            wait,
        };
        budget.check(Instant::now()).map_err(empty)
    }

    async fn lease(&self, deadline: Deadline) -> Result<Leased, CallError> {
        loop {
            let (idle, era) = self.pool.take();
            let Some(mut store) = idle else {
                // Boxed, so that the others do not carry room for it.
                let store = Box::pin(self.fresh(deadline)).await?;
                return Ok(Leased::new(store, era));
            };
            if !store.has_news(&self.services) {
                self.maker.renew(&mut store)?;
                return Ok(Leased::new(store, era));
            }
            // A store that missed some news is dropped: what it remembers may be wrong.
            if let Changes::Keys(stale) = store.news(&self.services) {
                self.maker.renew(&mut store)?;
                return Ok(Leased { store, era, stale });
            }
        }
    }

    fn check_size(&self, bytes: usize) -> Result<(), CallError> {
        let (bytes, limit) = (bytes as u64, self.maker.message_bytes_max());
        if bytes > limit {
            return Err(CallError::TooLarge {
                what: "response",
                bytes,
                limit,
            });
        }
        Ok(())
    }

    fn of_other_types(&self, error: &wasmtime::Error) -> CallError {
        CallError::Launch(LaunchError::Mismatch {
            plugin: self.label.clone(),
            fault: super::clip::text(&format!("{error:#}")),
        })
    }

    fn refused_setup(&self, error: wit::PluginError) -> CallError {
        CallError::Launch(LaunchError::Setup {
            plugin: self.label.clone(),
            error: convert::plugin_error(error),
        })
    }
}

async fn put<A: Ask>(
    store: &mut GuestStore,
    stale: &[Arc<str>],
    ask: A,
) -> Answer<A::Reply, PluginError> {
    for key in stale {
        store.invalidate(key.to_string()).await?;
    }
    ask.put(store).await
}
