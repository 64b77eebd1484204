//! Guests compiled in the test's own process, and mounts to run them in.

mod guest;

pub(super) use guest::Guest;

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Premises;
use super::compile::{Compiled as Loaded, compile};
use super::engine::{Class, Ordinary, Shared};
use super::files::{Files, Granted};
use super::instance::WasmInstance;
use super::limiter::{Held, Limiter};
use super::load::OwnWork;
use super::recorder::Recorder;
use super::services::{Meter, bounded_table};
use super::store::StoreState;
use super::wasi::{Wasi, environment};
use crate::driver::Instance;
use crate::driver::testing::{plan, services, services_over};
use crate::services::{Deadline, MountServices};
use crate::store::Store;
use crate::{CallError, Crash, ErrorKind, LaunchError, Limits, Timeouts};
use palisade_contract::{Json, Operation, Request, Response, Storage};

/// A guest enabled at a mount of its own.
pub(super) struct Running<C = Ordinary> {
    pub(super) instance: WasmInstance<C>,
    pub(super) services: Arc<MountServices>,
}

/// Compiles and starts a guest.
pub(super) async fn start(guest: &Guest, limits: Limits) -> Result<Running, LaunchError> {
    start_bytes(&guest.component(), limits).await
}

/// Compiles and starts a component.
pub(super) async fn start_bytes(bytes: &[u8], limits: Limits) -> Result<Running, LaunchError> {
    start_in::<Ordinary>(bytes, limits).await
}

/// Compiles and starts a component in the engine of a class.
pub(super) async fn start_in<C: Class>(
    bytes: &[u8],
    limits: Limits,
) -> Result<Running<C>, LaunchError> {
    let limits = Limits {
        profile: C::PROFILE,
        ..limits
    };
    load_and_start(compile(bytes, C::PROFILE).unwrap(), limits).await
}

/// Compiles and starts a guest over that store.
pub(super) async fn start_over(
    store: Arc<dyn Store>,
    guest: &Guest,
    limits: Limits,
) -> Result<Running, LaunchError> {
    let answer = compile(&guest.component(), Ordinary::PROFILE).unwrap();
    load_and_start_over(services_over(store, &limits), answer, limits).await
}

/// What a compiler made of a guest; each start loads it as another module.
pub(super) struct Compiled(Vec<u8>);

impl Compiled {
    /// Compiles a guest.
    pub(super) fn of(guest: &Guest) -> Self {
        Self(compile(&guest.component(), Ordinary::PROFILE).unwrap())
    }

    /// Starts it.
    pub(super) async fn start(&self, limits: Limits) -> Running {
        load_and_start(self.0.clone(), limits).await.unwrap()
    }
}

async fn load_and_start<C: Class>(
    answer: Vec<u8>,
    limits: Limits,
) -> Result<Running<C>, LaunchError> {
    let services = services(&limits);
    load_and_start_over(services, answer, limits).await
}

async fn load_and_start_over<C: Class>(
    services: Arc<MountServices>,
    answer: Vec<u8>,
    limits: Limits,
) -> Result<Running<C>, LaunchError> {
    let shared = Shared::<C>::of_process().unwrap();
    let loaded = Loaded::from_work(&OwnWork::from_worker(answer), &shared).unwrap();
    let plan = plan(limits, Arc::clone(&services));
    let timeouts = Timeouts {
        startup_call: Duration::from_secs(5),
        ..Timeouts::default()
    };
    let premises = Premises::new(timeouts).unwrap();
    let instance = WasmInstance::start(plan, &shared, &loaded, &premises).await?;
    Ok(Running { instance, services })
}

/// What the host knows of a store before a guest is in it.
pub(super) fn state(granted: &Arc<Granted>) -> StoreState {
    let limits = Limits::default();
    StoreState {
        scope: None,
        meter: Meter::default(),
        table: bounded_table(),
        open_transactions: 0,
        wasi: Wasi::new(&services(&limits), &environment(&[])),
        files: Files::new(granted),
        recorder: Recorder::new(),
        limiter: Limiter::new(&limits, Held::of(&Arc::default())),
    }
}

impl<C: Class> Running<C> {
    /// Sets the plugin up in one more store, which waits for requests.
    pub(super) async fn add_idle_store(&self) {
        let deadline = Deadline::after(Duration::from_secs(20));
        let mount = &self.instance.mount;
        let (idle, era) = mount.pool.take();
        let mut store = mount.fresh(deadline).await.unwrap();
        store.leave();
        for store in idle.into_iter().chain([store]) {
            mount.pool.give(store, era);
        }
    }

    /// A request with that long to live.
    pub(super) async fn ask_for(
        &self,
        limit: Duration,
    ) -> Result<Option<Box<Response>>, CallError> {
        let request = Request::new(Operation::Update, "path", Json::from_text("{}")).into();
        self.instance.handle(request, Deadline::after(limit)).await
    }

    /// Sees a request that would go on for ever end when its time has passed, and not long after.
    pub(super) async fn meets_its_deadline(&self, what: &str) {
        let begun = Instant::now();
        let error = self.ask_for(Duration::from_millis(50)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout, "{what}: {error}");
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(2), "{what}: {took:?}");
    }

    /// The crashes that are kept, once there are so many.
    pub(super) async fn crashes(&self, count: u64) -> Vec<Arc<Crash>> {
        let patience = Deadline::after(Duration::from_secs(20));
        loop {
            let (total, last) = self.services.crashes();
            if total >= count {
                assert_eq!(total, count, "{last:?}");
                return last;
            }
            assert!(!patience.left().is_zero(), "there are {total}, not {count}");
            // A store on another thread is dropped there, when its guest yields.
            tokio::task::yield_now().await;
        }
    }

    /// A request that has time.
    pub(super) async fn ask(&self) -> Result<Option<Box<Response>>, CallError> {
        self.ask_for(Duration::from_secs(20)).await
    }

    /// A request whose answer is the text of an error.
    pub(super) async fn ask_text(&self) -> String {
        match self.ask().await {
            Err(CallError::Plugin(error)) => error.message,
            other => panic!("{other:?}"),
        }
    }

    /// Whether anything of the guest's `$write` is visible.
    pub(super) async fn is_written(&self) -> bool {
        let scope = self
            .services
            .direct_scope(Deadline::after(Duration::from_secs(20)));
        let found = Storage::get(&scope, "written").await.unwrap();
        found.is_some()
    }
}
