//! One mount: what is known of it, its entrance, and its supervisor.

use std::sync::Arc;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use palisade_contract::{Existence, PluginType, Request, Response, SpecialPaths};

use super::MountInfo;
use super::record::Record;
use super::workshop::Workshop;
use crate::catalog::Choice;
use crate::driver::Instance;
use crate::lifecycle::{Admission, Prepared, Source, Started, Supervised, running_version};
use crate::services::{Deadline, MountServices};
use crate::{CallError, LaunchError, MountError};

/// An entry enabled at a path.
pub(super) struct Mount {
    facts: Arc<Facts>,
    services: Arc<MountServices>,
    supervised: Supervised,
}

/// What changes when another program runs for the mount.
struct Facts {
    record: ArcSwap<Record>,
    admission: ArcSwap<Admission>,
}

impl Facts {
    fn new(record: Record) -> Arc<Self> {
        let admission = Admission::new(record.plugin.as_str(), Arc::clone(&record.limits));
        Arc::new(Self {
            record: ArcSwap::from_pointee(record),
            admission: ArcSwap::from_pointee(admission),
        })
    }

    fn take_over(&self, prepared: &Prepared) {
        let record = self.record.load().with_running(prepared);
        self.record.store(Arc::new(record));
        let limits = &prepared.plan.limits;
        if self.admission.load().limits() != &**limits {
            let admission = Admission::new(&prepared.plan.label, Arc::clone(limits));
            self.admission.store(Arc::new(admission));
        }
    }
}

impl Mount {
    /// A mount of which nothing runs yet: the first request starts it.
    pub(super) fn idle(workshop: &Arc<Workshop>, record: Record) -> Result<Self, MountError> {
        let services = workshop.services(&record)?;
        let label = record.plugin.to_string();
        let facts = Facts::new(record);
        let source = first_start(workshop, &facts, &services);
        Ok(Self {
            supervised: Supervised::idle(&label, source, Arc::clone(&workshop.timeouts)),
            facts,
            services,
        })
    }

    /// A mount whose plugin runs already.
    pub(super) fn running(workshop: &Arc<Workshop>, record: Record, started: Started) -> Self {
        let plan = &started.prepared.plan;
        let services = Arc::clone(&plan.services);
        let facts = Facts::new(record);
        let source = first_start(workshop, &facts, &services);
        let label = plan.label.clone();
        let timeouts = Arc::clone(&workshop.timeouts);
        Self {
            supervised: Supervised::adopt(&label, source, timeouts, started),
            facts,
            services,
        }
    }

    /// What is known of it.
    pub(super) fn record(&self) -> Arc<Record> {
        self.facts.record.load_full()
    }

    /// Its entrance.
    pub(super) fn admission(&self) -> Arc<Admission> {
        self.facts.admission.load_full()
    }

    /// What the host offers it.
    pub(super) fn services(&self) -> &Arc<MountServices> {
        &self.services
    }

    /// Moves over to another program; what runs stays if that one does not start.
    pub(super) async fn reload(&self, prepared: Arc<Prepared>) -> Result<(), LaunchError> {
        self.supervised.reload(Arc::clone(&prepared)).await?;
        self.facts.take_over(&prepared);
        if let Some(generation) = self.supervised.view().serving() {
            let mut record = Record::clone(&self.record());
            record.special_paths = Arc::clone(generation.special_paths());
            record.running_version = running_version(&prepared, generation.instance());
            self.facts.record.store(Arc::new(record));
        }
        Ok(())
    }

    /// Closes its gate, drains, and stops whatever runs.
    pub(super) async fn stop(&self) {
        self.supervised.stop().await;
    }

    /// Answers a request that is addressed to it already.
    pub(super) async fn handle(
        &self,
        request: Box<Request>,
        deadline: Deadline,
    ) -> Result<Option<Box<Response>>, CallError> {
        let admission = self.admission();
        let _place = admission.enter(deadline).await?;
        self.supervised.handle(request, deadline).await
    }

    /// Whether the thing at the request's path exists.
    pub(super) async fn exists(
        &self,
        request: Box<Request>,
        deadline: Deadline,
    ) -> Result<Existence, CallError> {
        let admission = self.admission();
        let _place = admission.enter(deadline).await?;
        self.supervised.exists(request, deadline).await
    }

    /// Sets what the server knows better than the client: where the request goes, and what plugins never see.
    pub(super) fn address(&self, request: &mut Request, prefix_length: usize) {
        let record = self.facts.record.load();
        request.path.drain(..prefix_length);
        request.mount_point = record.path.to_string();
        request.mount_type = record.plugin.to_string();
        request.mount_accessor.clone_from(&record.accessor);
        request.client_token_remaining_uses = 0;
        if record.plugin_type == PluginType::Secret {
            request.connection = None;
        }
    }

    /// Takes out of a response what a plugin of this type may not say, and sets what it may not decide.
    pub(super) fn filter(&self, response: &mut Response) {
        let record = self.facts.record.load();
        if record.plugin_type == PluginType::Secret {
            response.auth = None;
        }
        let Some(auth) = &mut response.auth else {
            return;
        };
        for alias in auth.alias.iter_mut().chain(&mut auth.group_aliases) {
            alias.mount_type = record.plugin.to_string();
            alias.mount_accessor.clone_from(&record.accessor);
        }
    }

    /// What others see of it.
    pub(super) fn info(&self) -> MountInfo {
        let record = self.record();
        let view = self.supervised.view();
        let serving = view.serving();
        let instance = serving.map(|generation| generation.instance());
        let (crashes, last_crashes) = self.services.crashes();
        MountInfo {
            path: record.path.clone(),
            plugin: record.plugin.clone(),
            plugin_type: record.plugin_type,
            accessor: record.accessor.clone(),
            uuid: record.uuid.clone(),
            description: record.description.clone(),
            options: record.options.clone(),
            config: record.config.clone(),
            local: record.local,
            seal_wrap: record.seal_wrap,
            version: record.version.clone(),
            running_version: record.running_version.clone(),
            running_sha256: record.running_sha256,
            runtime: record.runtime,
            profile: record.limits.profile,
            running: serving.is_some(),
            process_id: instance.and_then(Instance::process_id),
            memory_bytes: instance.and_then(Instance::memory_bytes),
            special_paths: SpecialPaths::clone(
                serving.map_or(&record.special_paths, |generation| {
                    generation.special_paths()
                }),
            ),
            crashes,
            last_crashes,
        }
    }
}

fn first_start(
    workshop: &Arc<Workshop>,
    facts: &Arc<Facts>,
    services: &Arc<MountServices>,
) -> Arc<dyn Source> {
    Arc::new(FirstStart {
        workshop: Arc::clone(workshop),
        facts: Arc::clone(facts),
        services: Arc::clone(services),
    })
}

/// Finds out what a mount that the store knows runs.
struct FirstStart {
    workshop: Arc<Workshop>,
    facts: Arc<Facts>,
    services: Arc<MountServices>,
}

#[async_trait]
impl Source for FirstStart {
    async fn prepare(&self) -> Result<Arc<Prepared>, LaunchError> {
        let record = self.facts.record.load_full();
        let prepared = self
            .workshop
            .prepare(&record, &self.services, Choice::Existing)
            .await
            .map_err(launch_error)?;
        self.facts.take_over(&prepared);
        self.keep(&record).await;
        Ok(Arc::new(prepared))
    }
}

impl FirstStart {
    /// Stores what this start has changed: after the next restart of the server it holds before anything runs.
    async fn keep(&self, before: &Record) {
        let record = self.facts.record.load_full();
        if *record == *before {
            return;
        }
        if let Err(error) = record.update(&*self.workshop.store).await {
            tracing::warn!(path = %record.path, %error, "what a start changed of its mount is not stored");
        }
    }
}

/// What a start says when the catalog has no answer for it.
fn launch_error(error: MountError) -> LaunchError {
    match error {
        MountError::Launch(error) => error,
        other => LaunchError::Artifact {
            kind: other.kind(),
            message: other.to_string(),
        },
    }
}
