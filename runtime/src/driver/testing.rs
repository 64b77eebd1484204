//! What the tests of more than one driver start from.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};

use async_trait::async_trait;
use palisade_contract::{Backend, Description, Host, Plugin, PluginError, PluginType, SetupConfig};

use super::LaunchPlan;
use crate::catalog::Program;
use crate::services::{MountPrefix, MountServices, ServicesConfig};
use crate::store::{MemoryStore, Store};
use crate::{Grants, Limits, ProcessOptions};

/// Services over an empty store.
pub(crate) fn services(limits: &Limits) -> Arc<MountServices> {
    services_over(Arc::new(MemoryStore::new()), limits)
}

/// Services over that store.
pub(crate) fn services_over(store: Arc<dyn Store>, limits: &Limits) -> Arc<MountServices> {
    let prefix = MountPrefix::new(PluginType::Secret, "0a").unwrap();
    MountServices::new(ServicesConfig::new(store, prefix, "guest v1.0.0", limits))
}

/// How a driver is asked to start a guest that it has at hand already.
pub(crate) fn plan(limits: Limits, services: Arc<MountServices>) -> LaunchPlan {
    LaunchPlan {
        program: Program::Builtin(Arc::new(Unused)),
        label: "guest v1.0.0".to_owned(),
        plugin_type: PluginType::Secret,
        limits: Arc::new(limits),
        grants: Grants::default(),
        started_after: None,
        process: ProcessOptions::default(),
        config: Arc::default(),
        services,
    }
}

/// Counts, among others how often it is woken.
#[derive(Default)]
pub(crate) struct Count(AtomicUsize);

impl Count {
    pub(crate) fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    pub(crate) fn increase(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    /// A waker that only counts.
    pub(crate) fn waker(self: &Arc<Self>) -> Waker {
        Waker::from(Arc::clone(self))
    }
}

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.increase();
    }
}

/// Stands where a launch has its artifact; what uses it runs something else.
struct Unused;

#[async_trait]
impl Plugin for Unused {
    fn describe(&self) -> Description {
        unreachable!("no test asks it anything")
    }

    async fn setup(&self, _: SetupConfig, _: &dyn Host) -> Result<Box<dyn Backend>, PluginError> {
        unreachable!("no test asks it anything")
    }
}
