//! The only maker of stores: fuel, memory limit and the host's view are always set together, before the first
//! instruction of a guest runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use wasmtime::component::{ComponentNamedList, Instance, Lift, Lower, ResourceTable, TypedFunc};
use wasmtime::{ResourceLimiter, ResourceLimiterAsync};

use super::bindings::exports::palisade::plugin::backend;
use super::bindings::palisade::plugin::types as wit;
use super::borrowed;
use super::budget::Budget;
use super::engine::Stores;
use super::exports::{Export, Exports, Handled};
use super::files::{Files, Granted};
use super::limiter::{Held, Limiter};
use super::messages;
use super::places::{PlaceOf, Share};
use super::recorder::Recorder;
use super::services::{Meter, bounded_table};
use super::wasi::{Environment, Wasi};
use super::witness::{Watched, Witness};
use crate::CallError;
use crate::services::{Changes, Cursor, MountServices, Scope, StoreId};

/// Handles that a guest may hold at once: streams, clocks' alarms and transactions.
pub(super) const HANDLES_MAX: usize = 1024;

/// Fuel after which a guest lets others have the thread: some tens of microseconds. Larger slices show in the
/// neighbours' latency, smaller ones in the guest's own.
pub(super) const YIELD_INTERVAL: u64 = 100_000;

/// What a message may have besides its body: path, headers, names.
const ENVELOPE_BYTES_MAX: u64 = 1 << 20;

/// What the host knows of one store.
pub(super) struct StoreState {
    pub(super) scope: Option<Scope>,
    pub(super) meter: Meter,
    pub(super) table: ResourceTable,
    pub(super) open_transactions: usize,
    pub(super) wasi: Wasi,
    pub(super) files: Files,
    pub(super) recorder: Recorder,
    pub(super) limiter: Limiter,
}

#[async_trait]
impl ResourceLimiterAsync for StoreState {
    async fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let granted = self.limiter.memory_growing(current, desired, maximum);
        borrowed::leave_if_large(self.limiter.bytes()).await;
        granted
    }

    async fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let granted = self.limiter.table_growing(current, desired, maximum);
        borrowed::leave_if_large(self.limiter.bytes()).await;
        granted
    }

    fn instances(&self) -> usize {
        self.limiter.instances()
    }

    fn tables(&self) -> usize {
        self.limiter.tables()
    }

    fn memories(&self) -> usize {
        self.limiter.memories()
    }
}

/// What an entry is granted besides the contract.
pub(super) struct Offer {
    pub(super) environment: Environment,
    pub(super) folders: Arc<Granted>,
}

/// Makes the stores of one mount.
pub(super) struct StoreMaker<C> {
    stores: Stores<C>,
    witness: Arc<Witness>,
    offer: Offer,
    held: Arc<AtomicU64>,
    share: Arc<Share>,
}

impl<C> StoreMaker<C> {
    /// A maker for one mount. `share` bounds the stores of all mounts of its entry.
    pub(super) fn new(
        stores: Stores<C>,
        witness: Witness,
        offer: Offer,
        share: Arc<Share>,
    ) -> Self {
        Self {
            stores,
            witness: Arc::new(witness),
            offer,
            held: Arc::default(),
            share,
        }
    }

    /// Bytes of memory in all stores that are alive.
    pub(super) fn held_bytes(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }

    /// A new store in which the component is instantiated and nothing of it has been called.
    pub(super) async fn make(&self, scope: Scope) -> Result<Box<GuestStore>, CallError> {
        let place = self
            .share
            .place(&self.witness.label, scope.deadline())
            .await?;
        let (id, cursor) = self.witness.services.changes().join();
        let mut store = self.guarded(scope).map_err(|error| self.unusable(&error))?;
        store.data_mut().recorder.begin("instantiate");
        match self.stores.instantiate(&mut store).await {
            Ok(instance) => {
                store.data_mut().recorder.end();
                Ok(Box::new(GuestStore {
                    store,
                    instance,
                    exports: Arc::clone(self.stores.exports()),
                    handle_request: None,
                    id,
                    cursor,
                    born: Instant::now(),
                    uses: 0,
                    _place: place,
                }))
            }
            Err(error) => Err(self.witness.explain(&mut store, error)),
        }
    }

    /// Gives a store that is used again the fuel of a new request.
    pub(super) fn renew(&self, store: &mut GuestStore) -> Result<(), CallError> {
        store.store.data_mut().limiter.forget_refusal();
        let fuelled = store.store.refuel(self.witness.limits.fuel);
        fuelled.map_err(|error| self.unusable(&error))
    }

    /// What a guest's failure means.
    pub(super) fn why(&self, store: &mut GuestStore, error: wasmtime::Error) -> CallError {
        self.witness.explain(&mut store.store, error)
    }

    /// What the entry may use over time, where that is limited.
    pub(super) fn budget(&self) -> Option<&Budget> {
        self.witness.budget.as_deref()
    }

    /// How large a body may be.
    pub(super) fn message_bytes_max(&self) -> u64 {
        self.witness.limits.message_bytes
    }

    /// How many more stores its entry may have.
    #[cfg(test)]
    pub(super) fn stores_left(&self) -> usize {
        self.share.left()
    }

    /// An empty store that is guarded on every side.
    fn guarded(&self, scope: Scope) -> wasmtime::Result<Watched> {
        let (services, limits) = (&self.witness.services, &self.witness.limits);
        let state = StoreState {
            scope: Some(scope),
            meter: Meter::default(),
            table: bounded_table(),
            open_transactions: 0,
            wasi: Wasi::new(services, &self.offer.environment),
            files: Files::new(&self.offer.folders),
            recorder: Recorder::new(),
            limiter: Limiter::new(limits, Held::of(&self.held)),
        };
        let mut store = self.stores.empty(state)?;
        store.limiter_async(|state| state);
        store.fuel_async_yield_interval(Some(YIELD_INTERVAL))?;
        store.set_hostcall_fuel(self.copied_bytes_max());
        store.set_max_component_handles(HANDLES_MAX);
        let mut store = Watched::by(&self.witness, store);
        store.refuel(limits.fuel)?;
        Ok(store)
    }

    /// What one call may copy out of the guest: a whole message and what is around it.
    fn copied_bytes_max(&self) -> usize {
        let message_bytes = self.witness.limits.message_bytes;
        let bytes = message_bytes.saturating_add(ENVELOPE_BYTES_MAX);
        usize::try_from(bytes).unwrap_or(usize::MAX)
    }

    fn unusable(&self, error: &wasmtime::Error) -> CallError {
        CallError::Trap {
            plugin: self.witness.label.clone(),
            trap: format!("its store could not be prepared: {error}"),
        }
    }
}

/// A store with the component in it.
pub(super) struct GuestStore {
    store: Watched,
    instance: Instance,
    exports: Arc<Exports>,
    /// Looked at once, as it is asked often.
    handle_request: Option<TypedFunc<(Box<messages::Request>,), Handled>>,
    id: StoreId,
    cursor: Cursor,
    born: Instant,
    uses: u32,
    _place: PlaceOf,
}

/// What a guest's export answers: the outer error ends the store, the inner one is an ordinary answer.
pub(super) type Answer<T, E = wit::PluginError> = wasmtime::Result<Result<T, E>>;

impl GuestStore {
    /// Its name among the stores of the mount.
    pub(super) fn id(&self) -> StoreId {
        self.id
    }

    /// When it was made.
    pub(super) fn born(&self) -> Instant {
        self.born
    }

    /// How old it was when it was last asked.
    pub(super) fn age_when_asked(&self) -> Duration {
        let asked = self.store.data().recorder.begun();
        asked.duration_since(self.born)
    }

    /// Bytes of its memories and tables.
    pub(super) fn held_bytes(&self) -> u64 {
        self.store.data().limiter.bytes()
    }

    /// Counts one more request.
    pub(super) fn count_use(&mut self) {
        self.uses = self.uses.saturating_add(1);
    }

    /// Requests that it has served.
    pub(super) fn uses(&self) -> u32 {
        self.uses
    }

    /// Whether anything at all was committed since news were last asked for.
    pub(super) fn has_news(&self, services: &MountServices) -> bool {
        services.changes().moved(self.cursor)
    }

    /// What other stores of the mount committed since this was last asked.
    pub(super) fn news(&mut self, services: &MountServices) -> Changes {
        services.changes().since(self.id, &mut self.cursor)
    }

    /// Lets the guest see this view of the host, until [`leave`](Self::leave).
    pub(super) fn enter(&mut self, scope: Scope) {
        self.store.data_mut().scope = Some(scope);
    }

    /// Takes the view away again, and hands on the guest's unfinished lines.
    pub(super) fn leave(&mut self) -> Option<Scope> {
        self.store.settle();
        let state = self.store.data_mut();
        state.wasi.flush();
        state.scope.take()
    }

    /// Whether the guest has put everything back that it opened: a handle of one request is not for the next.
    pub(super) fn is_tidy(&self) -> bool {
        self.store.data().open_transactions == 0
    }

    /// Looks at all that the component exports.
    ///
    /// # Errors
    ///
    /// When a function takes or gives something else than the package says.
    pub(super) fn check_exports(&mut self) -> wasmtime::Result<()> {
        self.exports.check(&self.instance, &mut *self.store)
    }

    /// What the plugin is.
    pub(super) async fn describe(&mut self) -> wasmtime::Result<backend::Description> {
        let (description,) = self.ask(|exports| &exports.describe, ()).await?;
        Ok(description)
    }

    /// Makes the backend.
    pub(super) async fn setup(&mut self, config: Arc<backend::SetupConfig>) -> Answer<()> {
        let (answer,) = self.ask(|exports| &exports.setup, (config,)).await?;
        Ok(answer)
    }

    /// Begins a generation.
    pub(super) async fn initialize(&mut self) -> Answer<()> {
        let (answer,) = self.ask(|exports| &exports.initialize, ()).await?;
        Ok(answer)
    }

    /// Answers a request, through a function that is looked at once per store.
    pub(super) async fn handle(
        &mut self,
        request: Box<messages::Request>,
    ) -> Answer<Option<messages::Response>> {
        let export = &self.exports.handle_request;
        let function = match self.handle_request {
            Some(function) => function,
            None => export.typed(&self.instance, &mut *self.store)?,
        };
        self.handle_request = Some(function);
        let name = export.name();
        let (answer,) = self.call(name, function, (request,)).await?;
        Ok(answer)
    }

    /// Says whether something is there.
    pub(super) async fn exists(
        &mut self,
        request: Box<messages::Request>,
    ) -> Answer<backend::Existence> {
        let (answer,) = self
            .ask(|exports| &exports.check_existence, (request,))
            .await?;
        Ok(answer)
    }

    /// Forgets a key.
    pub(super) async fn invalidate(&mut self, key: String) -> wasmtime::Result<()> {
        self.ask(|exports| &exports.invalidate_key, (key,)).await
    }

    /// Says goodbye.
    pub(super) async fn cleanup(&mut self) -> wasmtime::Result<()> {
        self.ask(|exports| &exports.cleanup, ()).await
    }

    /// Asks what is asked once or twice of a store: each time the function is looked at anew.
    async fn ask<P, R>(
        &mut self,
        which: impl FnOnce(&Exports) -> &Export<P, R>,
        params: P,
    ) -> wasmtime::Result<R>
    where
        P: ComponentNamedList + Lower + 'static,
        R: ComponentNamedList + Lift + 'static,
    {
        let export = which(&self.exports);
        let (name, function) = (
            export.name(),
            export.typed(&self.instance, &mut *self.store)?,
        );
        self.call(name, function, params).await
    }

    /// The guest runs. One that does not answer leaves what it was asked in its store's record.
    async fn call<P, R>(
        &mut self,
        name: &'static str,
        function: TypedFunc<P, R>,
        params: P,
    ) -> wasmtime::Result<R>
    where
        P: ComponentNamedList + Lower + 'static,
        R: ComponentNamedList + Lift + 'static,
    {
        self.store.data_mut().recorder.begin(name);
        let answer = function.call_async(&mut *self.store, params).await?;
        self.store.data_mut().recorder.end();
        Ok(answer)
    }
}
