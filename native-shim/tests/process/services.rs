//! What the host of the cases serves its plugin: a store in memory and a few facts.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use palisade_protocol::pb::storage_server::Storage;
use palisade_protocol::pb::system_view_server::SystemView;
use palisade_protocol::{MISSING_STORAGE, logical, pb};
use tonic::{Request, Response, Status};

type Values = BTreeMap<String, pb::StorageEntry>;

/// Which host is played.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Everything.
    OpenBao,
    /// No pages, no transactions.
    Vault,
    /// Before the mount has storage.
    Missing,
}

/// The store, and what happened to it.
#[derive(Clone)]
pub(crate) struct Store {
    kind: Kind,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    values: Values,
    transactions: BTreeMap<String, (Values, Values)>,
    begun: usize,
    questions: usize,
}

impl Store {
    pub(crate) fn new(kind: Kind) -> Self {
        Self {
            kind,
            state: Arc::default(),
        }
    }

    pub(crate) fn value(&self, key: &str) -> Option<Vec<u8>> {
        self.lock().values.get(key).map(|entry| entry.value.clone())
    }

    pub(crate) fn open_transactions(&self) -> usize {
        self.lock().transactions.len()
    }

    pub(crate) fn begun(&self) -> usize {
        self.lock().begun
    }

    /// How often the plugin asked whether there are transactions.
    pub(crate) fn questions(&self) -> usize {
        self.lock().questions
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn present(&self) -> Result<(), Status> {
        match self.kind {
            Kind::Missing => Err(Status::unknown(MISSING_STORAGE)),
            _ => Ok(()),
        }
    }

    fn has_transactions(&self) -> Result<(), Status> {
        self.present()?;
        match self.kind {
            Kind::Vault => Err(Status::unimplemented("unknown method")),
            _ => Ok(()),
        }
    }

    fn with<T>(&self, txn: &str, work: impl FnOnce(&mut Values) -> T) -> T {
        let mut state = self.lock();
        match state.transactions.get_mut(txn) {
            Some((_, buffer)) => work(buffer),
            None => work(&mut state.values),
        }
    }

    fn children(&self, prefix: &str, txn: &str) -> Vec<String> {
        let mut names: Vec<String> = self.with(txn, |values| {
            values
                .keys()
                .filter_map(|key| key.strip_prefix(prefix))
                .map(|rest| match rest.split_once('/') {
                    Some((folder, _)) => format!("{folder}/"),
                    None => rest.to_owned(),
                })
                .collect()
        });
        names.dedup();
        names
    }

    fn begin(&self) -> Result<Response<pb::BeginTxReply>, Status> {
        self.has_transactions()?;
        let mut state = self.lock();
        state.begun += 1;
        let txn = format!("txn-{}", state.begun);
        let snapshot = (state.values.clone(), state.values.clone());
        state.transactions.insert(txn.clone(), snapshot);
        Ok(Response::new(pb::BeginTxReply {
            txn,
            err: String::new(),
        }))
    }
}

#[tonic::async_trait]
impl Storage for Store {
    async fn list(
        &self,
        request: Request<pb::StorageListArgs>,
    ) -> Result<Response<pb::StorageListReply>, Status> {
        self.present()?;
        let args = request.into_inner();
        let keys = self.children(&args.prefix, &args.txn);
        Ok(Response::new(pb::StorageListReply {
            keys,
            err: String::new(),
        }))
    }

    async fn list_page(
        &self,
        request: Request<pb::StorageListPageArgs>,
    ) -> Result<Response<pb::StorageListReply>, Status> {
        self.has_transactions()?;
        let args = request.into_inner();
        let limit = usize::try_from(args.limit).ok().filter(|limit| *limit > 0);
        let keys = self
            .children(&args.prefix, &args.txn)
            .into_iter()
            .filter(|key| *key > args.after)
            .take(limit.unwrap_or(usize::MAX))
            .collect();
        Ok(Response::new(pb::StorageListReply {
            keys,
            err: String::new(),
        }))
    }

    async fn get(
        &self,
        request: Request<pb::StorageGetArgs>,
    ) -> Result<Response<pb::StorageGetReply>, Status> {
        self.present()?;
        let args = request.into_inner();
        let entry = self.with(&args.txn, |values| values.get(&args.key).cloned());
        Ok(Response::new(pb::StorageGetReply {
            entry,
            err: String::new(),
        }))
    }

    async fn put(
        &self,
        request: Request<pb::StoragePutArgs>,
    ) -> Result<Response<pb::StoragePutReply>, Status> {
        self.present()?;
        let args = request.into_inner();
        let entry = args.entry.unwrap();
        if entry.key == "forbidden" {
            return Ok(Response::new(pb::StoragePutReply {
                err: "cannot write to readonly storage".to_owned(),
            }));
        }
        self.with(&args.txn, |values| values.insert(entry.key.clone(), entry));
        Ok(Response::new(pb::StoragePutReply::default()))
    }

    async fn delete(
        &self,
        request: Request<pb::StorageDeleteArgs>,
    ) -> Result<Response<pb::StorageDeleteReply>, Status> {
        self.present()?;
        let args = request.into_inner();
        self.with(&args.txn, |values| values.remove(&args.key));
        Ok(Response::new(pb::StorageDeleteReply::default()))
    }

    async fn is_transactional(
        &self,
        _: Request<pb::Empty>,
    ) -> Result<Response<pb::IsTransactionalReply>, Status> {
        self.lock().questions += 1;
        self.has_transactions()?;
        Ok(Response::new(pb::IsTransactionalReply {
            transactional: true,
        }))
    }

    async fn begin_read_only_tx(
        &self,
        _: Request<pb::Empty>,
    ) -> Result<Response<pb::BeginTxReply>, Status> {
        self.begin()
    }

    async fn begin_tx(&self, _: Request<pb::Empty>) -> Result<Response<pb::BeginTxReply>, Status> {
        self.begin()
    }

    async fn commit(
        &self,
        request: Request<pb::CommitTxArgs>,
    ) -> Result<Response<pb::CommitTxReply>, Status> {
        let txn = request.into_inner().txn;
        let mut state = self.lock();
        let Some((before, after)) = state.transactions.remove(&txn) else {
            return Err(Status::unknown(MISSING_STORAGE));
        };
        if before != state.values {
            return Ok(Response::new(pb::CommitTxReply {
                err: "transaction commit failed: t has changed".to_owned(),
            }));
        }
        state.values = after;
        Ok(Response::new(pb::CommitTxReply::default()))
    }

    async fn rollback(
        &self,
        request: Request<pb::RollbackTxArgs>,
    ) -> Result<Response<pb::RollbackTxReply>, Status> {
        self.lock().transactions.remove(&request.into_inner().txn);
        Ok(Response::new(pb::RollbackTxReply::default()))
    }
}

/// A few facts.
pub(crate) struct Facts;

fn reply<T>(value: T) -> Result<Response<T>, Status> {
    Ok(Response::new(value))
}

#[tonic::async_trait]
impl SystemView for Facts {
    async fn default_lease_ttl(
        &self,
        _: Request<pb::Empty>,
    ) -> Result<Response<pb::TtlReply>, Status> {
        reply(pb::TtlReply { ttl: 5_000_000_000 })
    }
    async fn max_lease_ttl(&self, _: Request<pb::Empty>) -> Result<Response<pb::TtlReply>, Status> {
        reply(pb::TtlReply { ttl: -1 })
    }
    async fn tainted(&self, _: Request<pb::Empty>) -> Result<Response<pb::TaintedReply>, Status> {
        reply(pb::TaintedReply { tainted: true })
    }
    async fn caching_disabled(
        &self,
        _: Request<pb::Empty>,
    ) -> Result<Response<pb::CachingDisabledReply>, Status> {
        reply(pb::CachingDisabledReply { disabled: true })
    }
    async fn replication_state(
        &self,
        _: Request<pb::Empty>,
    ) -> Result<Response<pb::ReplicationStateReply>, Status> {
        reply(pb::ReplicationStateReply { state: 8224 })
    }
    async fn response_wrap_data(
        &self,
        request: Request<pb::ResponseWrapDataArgs>,
    ) -> Result<Response<pb::ResponseWrapDataReply>, Status> {
        let args = request.into_inner();
        let token = format!("{} for {}", args.data, args.ttl);
        let wrap_info = Some(pb::ResponseWrapInfo {
            token,
            ..Default::default()
        });
        reply(pb::ResponseWrapDataReply {
            wrap_info,
            err: String::new(),
        })
    }
    async fn mlock_enabled(
        &self,
        _: Request<pb::Empty>,
    ) -> Result<Response<pb::MlockEnabledReply>, Status> {
        reply(pb::MlockEnabledReply { enabled: false })
    }
    async fn local_mount(
        &self,
        _: Request<pb::Empty>,
    ) -> Result<Response<pb::LocalMountReply>, Status> {
        reply(pb::LocalMountReply { local: true })
    }
    async fn entity_info(
        &self,
        request: Request<pb::EntityInfoArgs>,
    ) -> Result<Response<pb::EntityInfoReply>, Status> {
        let known = request.into_inner().entity_id == "e";
        let entity = known.then(|| logical::Entity {
            name: "Eve".to_owned(),
            ..Default::default()
        });
        reply(pb::EntityInfoReply {
            entity,
            err: String::new(),
        })
    }
    async fn plugin_env(
        &self,
        _: Request<pb::Empty>,
    ) -> Result<Response<pb::PluginEnvReply>, Status> {
        let plugin_environment = Some(logical::PluginEnvironment {
            vault_version: "9.9.9".to_owned(),
            ..Default::default()
        });
        reply(pb::PluginEnvReply {
            plugin_environment,
            err: String::new(),
        })
    }
    async fn groups_for_entity(
        &self,
        _: Request<pb::EntityInfoArgs>,
    ) -> Result<Response<pb::GroupsForEntityReply>, Status> {
        reply(pb::GroupsForEntityReply {
            groups: vec![logical::Group::default(); 2],
            err: String::new(),
        })
    }
    async fn generate_password_from_policy(
        &self,
        request: Request<pb::GeneratePasswordFromPolicyRequest>,
    ) -> Result<Response<pb::GeneratePasswordFromPolicyReply>, Status> {
        reply(pb::GeneratePasswordFromPolicyReply {
            password: request.into_inner().policy_name + "-word",
        })
    }
    async fn cluster_info(
        &self,
        _: Request<pb::Empty>,
    ) -> Result<Response<pb::ClusterInfoReply>, Status> {
        reply(pb::ClusterInfoReply {
            cluster_id: "c".to_owned(),
            ..Default::default()
        })
    }
    async fn generate_identity_token(
        &self,
        _: Request<pb::GenerateIdentityTokenRequest>,
    ) -> Result<Response<pb::GenerateIdentityTokenResponse>, Status> {
        Err(Status::unimplemented("Vault only"))
    }
    async fn register_rotation_job(
        &self,
        _: Request<pb::RegisterRotationJobRequest>,
    ) -> Result<Response<pb::RegisterRotationJobResponse>, Status> {
        Err(Status::unimplemented("Vault only"))
    }
    async fn deregister_rotation_job(
        &self,
        _: Request<pb::DeregisterRotationJobRequest>,
    ) -> Result<Response<pb::Empty>, Status> {
        Err(Status::unimplemented("Vault only"))
    }
}
