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
    by_id: Mutex<BTreeMap<String, Arc<Instance>>>,
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
            by_id: Mutex::default(),
        }
    }

    pub(crate) fn description(&self) -> Description {
        self.plugin.describe()
    }

    pub(crate) fn get(&self, id: &str) -> Option<Arc<Instance>> {
        self.lock().get(id).cloned()
    }

    /// Takes the instance out, so that no further call finds it.
    pub(crate) fn remove(&self, id: &str) -> Option<Arc<Instance>> {
        self.lock().remove(id)
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
        // Whoever is there already is not to wait for a setup that hangs.
        let is_first = self.lock().is_empty();
        let backend = match is_first {
            true => setting_up.await?,
            false => aside::run(setting_up).await?,
        };
        self.lock().insert(id, Arc::new(Instance { backend, link }));
        Ok(())
    }

    /// Runs the plugin's own code for a call: with several mounts aside, where it keeps no other waiting.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> T {
        match self.are_many() {
            true => aside::run(work).await,
            false => work.await,
        }
    }

    fn are_many(&self) -> bool {
        self.lock().len() > 1
    }

    fn check_room(&self, id: &str) -> Result<(), PluginError> {
        let by_id = self.lock();
        if by_id.len() >= INSTANCES_MAX && !by_id.contains_key(id) {
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

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Instance>>> {
        self.by_id.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
