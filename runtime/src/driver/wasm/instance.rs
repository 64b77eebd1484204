//! A component enabled at a mount: starts it, runs its requests where guests run, and commits what they wrote.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;

use super::Premises;
use super::ask::{Ask, Cleanup, Exists, Handle, Initialize, Invalidate};
use super::budget::Budgets;
use super::compile::Compiled;
use super::convert;
use super::engine::{Class, Shared};
use super::files::Granted;
use super::mount::{Leased, Mount, Served};
use super::pool::Pool;
use super::store::{Offer, StoreMaker};
use super::threads::{GuestThreads, Place};
use super::wasi;
use super::witness::Witness;
use crate::driver::{Exit, Instance, LaunchPlan};
use crate::services::Deadline;
use crate::{CallError, LaunchError};
use palisade_contract::{Description, Existence, PluginType, Request, Response, SectionFacts};

/// A component that runs for one mount.
pub(super) struct WasmInstance<C> {
    pub(super) mount: Arc<Mount<C>>,
    place: Place,
    description: Description,
    stopping: AtomicBool,
    /// The guests' threads live as long as anything that runs on them.
    _threads: Arc<GuestThreads>,
}

impl<C: Class> WasmInstance<C> {
    /// Starts the component: it says what it is, and is set up once to see that its configuration is good.
    pub(super) async fn start(
        plan: LaunchPlan,
        engine: &Shared<C>,
        compiled: &Compiled<C>,
        premises: &Premises,
    ) -> Result<Self, LaunchError> {
        let Premises {
            threads,
            folders,
            budgets,
            timeouts,
        } = premises;
        let entry = format!("{}/{}", plan.plugin_type, plan.label);
        let folders = Granted::open(
            folders.as_ref(),
            &plan.grants,
            &plan.limits,
            &entry,
            &plan.label,
        )?;
        let place = threads.place(plan.limits.profile, folders.has_folders());
        let plugin_type = plan.plugin_type;
        let mount = Arc::new(mount(plan, &entry, engine, compiled, folders, budgets));
        let description = describe(&mount, &place, timeouts.startup_call).await?;
        check_description(&mount.label, plugin_type, &compiled.facts, &description)?;
        set_up(&mount, &place, timeouts.startup_call).await?;
        Ok(Self {
            mount,
            place,
            description,
            stopping: AtomicBool::new(false),
            _threads: Arc::clone(threads),
        })
    }

    /// Asks, and makes what was written while answering visible.
    async fn ask<A: Ask>(&self, ask: A, deadline: Deadline) -> Result<A::Reply, CallError> {
        if self.stopping.load(Ordering::Acquire) {
            return Err(CallError::Stopping);
        }
        let mount = Arc::clone(&self.mount);
        let work = Box::pin(async move { mount.serve(ask, deadline).await });
        let served = self.place.run(&self.mount.label, deadline, work).await?;
        self.commit(served).await
    }

    /// Asks in a store that is already at hand.
    async fn ask_in<A: Ask>(
        &self,
        leased: Leased,
        ask: A,
        deadline: Deadline,
    ) -> Result<A::Reply, CallError> {
        let mount = Arc::clone(&self.mount);
        let work = Box::pin(async move { mount.serve_in(leased, ask, deadline).await });
        let served = self.place.run(&self.mount.label, deadline, work).await?;
        self.commit(served).await
    }

    /// The scope itself minds the deadline, and does not give up on writes that are under way: their caller would be
    /// told that nothing happened. The store comes back only after its writes are in: what a guest remembers of writes that failed is wrong.
    async fn commit<T>(&self, served: Served<T>) -> Result<T, CallError> {
        if let Some(scope) = served.scope {
            scope.commit(served.origin).await?;
        }
        if let Some((store, era)) = served.kept {
            self.mount.pool.give(store, era);
        }
        served.reply.map_err(CallError::Plugin)
    }

    fn check_body(&self, request: &Request) -> Result<(), CallError> {
        let bytes = request.data.as_str().len() as u64;
        let limit = self.mount.maker.message_bytes_max();
        if bytes > limit {
            return Err(CallError::TooLarge {
                what: "request body",
                bytes,
                limit,
            });
        }
        Ok(())
    }

    /// Stores to say goodbye to: the idle ones, or a new one so that the plugin is told at all.
    async fn last_stores(&self, deadline: Deadline) -> Result<Vec<Leased>, CallError> {
        let (idle, era) = self.mount.pool.close();
        if !idle.is_empty() {
            let lease = |store| self.mount.lease_again(store, era).ok();
            return Ok(idle.into_iter().filter_map(lease).collect());
        }
        let mount = Arc::clone(&self.mount);
        let work = Box::pin(async move { mount.fresh(deadline).await });
        let store = self.place.run(&self.mount.label, deadline, work).await?;
        Ok(vec![Leased::new(store, era)])
    }

    /// Every store is told, whatever the others make of it; the first error is the answer.
    async fn say_goodbye(&self, deadline: Deadline) -> Result<(), CallError> {
        let mut outcome = Ok(());
        for leased in self.last_stores(deadline).await? {
            outcome = outcome.and(self.ask_in(leased, Cleanup, deadline).await);
        }
        outcome
    }
}

#[async_trait]
impl<C: Class> Instance for WasmInstance<C> {
    fn description(&self) -> &Description {
        &self.description
    }

    /// Its place does, and the commit after it, which has a while longer.
    fn keeps_deadlines(&self) -> bool {
        true
    }

    async fn initialize(&self, deadline: Deadline) -> Result<(), CallError> {
        self.ask(Initialize, deadline).await
    }

    async fn handle(
        &self,
        request: Box<Request>,
        deadline: Deadline,
    ) -> Result<Option<Box<Response>>, CallError> {
        self.check_body(&request)?;
        self.ask(Handle(request), deadline).await
    }

    async fn exists(
        &self,
        request: Box<Request>,
        deadline: Deadline,
    ) -> Result<Existence, CallError> {
        self.check_body(&request)?;
        self.ask(Exists(request), deadline).await
    }

    /// Idle stores are told; those that a request is using now may have read the old value and do not come back.
    async fn invalidate(&self, key: &str, deadline: Deadline) -> Result<(), CallError> {
        let (idle, era) = self.mount.pool.turn();
        for store in idle {
            let leased = self.mount.lease_again(store, era)?;
            self.ask_in(leased, Invalidate(key.to_owned()), deadline)
                .await?;
        }
        Ok(())
    }

    /// A component cannot die by itself: what ends is one of its stores.
    async fn exited(&self) -> Exit {
        pending().await
    }

    async fn stop(&self, grace: Duration) {
        self.stopping.store(true, Ordering::Release);
        if let Err(error) = self.say_goodbye(Deadline::after(grace)).await {
            tracing::debug!(plugin = %self.mount.label, %error, "a component did not clean up");
        }
    }

    fn memory_bytes(&self) -> Option<u64> {
        Some(self.mount.maker.held_bytes())
    }
}

fn mount<C: Class>(
    plan: LaunchPlan,
    entry: &str,
    engine: &Shared<C>,
    compiled: &Compiled<C>,
    folders: Granted,
    budgets: &Budgets,
) -> Mount<C> {
    let isolation = plan.limits.isolation;
    let share = engine.share(entry, plan.limits.stores.min(C::STORES_MAX / 4));
    let pool = Pool::new(&plan.limits, C::IDLE_MAX, &share);
    Mount {
        maker: StoreMaker::new(
            engine.stores_of(&compiled.component),
            Witness {
                services: Arc::clone(&plan.services),
                budget: budgets.of(entry, &plan.limits),
                limits: plan.limits,
                label: plan.label.clone(),
            },
            Offer {
                environment: wasi::environment(&plan.process.env),
                folders: Arc::new(folders),
            },
            share,
        ),
        pool,
        services: plan.services,
        config: convert::setup_config(&plan.config),
        isolation,
        label: plan.label,
    }
}

async fn describe<C: Class>(
    mount: &Arc<Mount<C>>,
    place: &Place,
    limit: Duration,
) -> Result<Description, LaunchError> {
    let deadline = Deadline::after(limit);
    let guest = Arc::clone(mount);
    let work = Box::pin(async move { guest.describe(deadline).await });
    let described = place.run(&mount.label, deadline, work).await;
    described.map_err(|error| failed_step(&mount.label, "describe", error))
}

async fn set_up<C: Class>(
    mount: &Arc<Mount<C>>,
    place: &Place,
    limit: Duration,
) -> Result<(), LaunchError> {
    let deadline = Deadline::after(limit);
    let guest = Arc::clone(mount);
    let work = Box::pin(async move { guest.try_setup(deadline).await });
    let set_up = place.run(&mount.label, deadline, work).await;
    set_up.map_err(|error| failed_step(&mount.label, "setup", error))
}

fn failed_step(plugin: &str, step: &'static str, error: CallError) -> LaunchError {
    let plugin = plugin.to_owned();
    match error {
        CallError::Launch(error) => error,
        CallError::Stopping => LaunchError::Stopping,
        CallError::Timeout { limit, .. } => LaunchError::Timeout {
            plugin,
            step,
            limit,
        },
        other => LaunchError::Call {
            plugin,
            source: Box::new(other),
        },
    }
}

/// What the plugin says of itself has to fit what it is registered as and what was read off its artifact.
fn check_description(
    plugin: &str,
    expected: PluginType,
    facts: &SectionFacts,
    found: &Description,
) -> Result<(), LaunchError> {
    let plugin = plugin.to_owned();
    if found.plugin_type != expected {
        return Err(LaunchError::Type {
            plugin,
            expected,
            found: found.plugin_type,
        });
    }
    if !facts.agrees_with(found) {
        let fault = difference(facts, found);
        return Err(LaunchError::Mismatch { plugin, fault });
    }
    Ok(())
}

fn difference(facts: &SectionFacts, found: &Description) -> String {
    let section = (facts.plugin_type, &facts.version, &facts.contract);
    let said = (found.plugin_type, &found.version, &found.contract_version);
    super::clip::text(&format!("its section says {section:?}, it says {said:?}"))
}
