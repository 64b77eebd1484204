//! The backends of this process, one for each mount, by the name that the host gives them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use palisade_contract::{Backend, Description, Plugin, PluginError, SetupConfig};
use rustls::ClientConfig;

use crate::aside;
use crate::broker::Broker;
use crate::channel;
use crate::guard::guarded;
use crate::remote::{Budget, CallHost, Link};

/// How many mounts one process serves.
const INSTANCES_MAX: usize = 10_000;

/// One mount's backend, and its way to the host.
pub(crate) struct Instance {
    pub(crate) backend: Box<dyn Backend>,
    link: Arc<Link>,
}

impl Instance {
    /// The host as a call with this much time sees it.
    pub(crate) fn host(&self, budget: Budget) -> CallHost {
        CallHost::new(&self.link, budget)
    }
}

/// All of them, and what it takes to make one.
pub(crate) struct Instances {
    plugin: Arc<dyn Plugin>,
    broker: Arc<Broker>,
    tls: Arc<ClientConfig>,
    known: Mutex<Known>,
}

/// Which there are, and how many more are on their way in or out.
#[derive(Default)]
struct Known {
    by_id: BTreeMap<String, Arc<Instance>>,
    passing: usize,
}

impl Known {
    fn are_many(&self) -> bool {
        self.by_id.len() + self.passing > 1
    }
}

impl Instances {
    pub(crate) fn new(
        plugin: Arc<dyn Plugin>,
        broker: Arc<Broker>,
        tls: Arc<ClientConfig>,
    ) -> Self {
        Self {
            plugin,
            broker,
            tls,
            known: Mutex::default(),
        }
    }

    pub(crate) fn description(&self) -> Description {
        self.plugin.describe()
    }

    pub(crate) fn get(&self, id: &str) -> Option<Arc<Instance>> {
        self.lock().by_id.get(id).cloned()
    }

    /// Takes the instance out, so that no further call finds it. It counts until it has passed the door.
    pub(crate) fn remove(&self, id: &str) -> Option<(Arc<Instance>, Passing<'_>)> {
        let passing = Passing::announced(self);
        let instance = self.lock().by_id.remove(id)?;
        Some((instance, passing))
    }

    /// Makes the instance `id`, in the place of one that a host set up before and lost.
    pub(crate) async fn set_up(
        &self,
        id: String,
        broker_id: u32,
        config: SetupConfig,
        budget: Budget,
    ) -> Result<(), PluginError> {
        self.check_room(&id)?;
        let link = self.link(broker_id).await?;
        let host = CallHost::new(&link, budget);
        let plugin = Arc::clone(&self.plugin);
        let setting_up = async move { guarded("setup", plugin.setup(config, &host)).await };
        let passing = Passing::announced(self);
        // Whoever is there already is not to wait for a setup that hangs.
        let backend = self.run(setting_up).await?;
        let instance = Arc::new(Instance { backend, link });
        self.lock().by_id.insert(id, instance);
        drop(passing);
        Ok(())
    }

    /// Runs the plugin's own code: with several mounts aside, where it keeps no other waiting.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> T {
        let are_many = self.lock().are_many();
        match are_many {
            true => aside::run(work).await,
            false => work.await,
        }
    }

    fn check_room(&self, id: &str) -> Result<(), PluginError> {
        let known = self.lock();
        if known.by_id.len() >= INSTANCES_MAX && !known.by_id.contains_key(id) {
            return Err(PluginError::unknown(format!(
                "this process serves {INSTANCES_MAX} mounts already, and no more"
            )));
        }
        Ok(())
    }

    async fn link(&self, broker_id: u32) -> Result<Arc<Link>, PluginError> {
        let failed = |fault: &dyn std::fmt::Display| PluginError::unknown(fault.to_string());
        let address = self.broker.address_of(broker_id).await;
        let address = address.map_err(|fault| failed(&fault))?;
        let channel = channel::dial(address, Arc::clone(&self.tls)).await;
        Ok(Arc::new(Link::new(
            channel.map_err(|fault| failed(&fault))?,
        )))
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One that is being set up or cleaned up, and counts as there.
pub(crate) struct Passing<'a>(&'a Instances);

impl<'a> Passing<'a> {
    fn announced(instances: &'a Instances) -> Self {
        instances.lock().passing += 1;
        Self(instances)
    }
}

impl Drop for Passing<'_> {
    fn drop(&mut self) {
        self.0.lock().passing -= 1;
    }
}
