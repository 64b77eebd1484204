//! A plugin that does on request what the cases look at.

use std::time::Duration;

use async_trait::async_trait;
use palisade_contract::{
    Backend, Description, Existence, Host, Json, LogLevel, LogRecord, Operation, Plugin,
    PluginError, PluginErrorKind, PluginType, Request, Response, SetupConfig, StorageEntry,
    TransactionMode,
};
use palisade_protocol::env::OF_ONE_LAUNCH;
use serde_json::{Value, json};

pub(crate) const VERSION: &str = "v1.2.3";

pub(crate) struct TestPlugin;

#[async_trait]
impl Plugin for TestPlugin {
    fn describe(&self) -> Description {
        let mut description = Description::new(PluginType::Secret, VERSION);
        description.special_paths.root = vec!["root/*".to_owned()];
        description
    }

    async fn setup(
        &self,
        config: SetupConfig,
        host: &dyn Host,
    ) -> Result<Box<dyn Backend>, PluginError> {
        match config.options.get("setup").map(String::as_str) {
            Some("fail") => Err(PluginError::unknown("this mount is refused")),
            Some("panic") => panic!("in setup"),
            Some("write") => {
                host.storage().put(StorageEntry::new("a", "b")).await?;
                Ok(Box::new(TestBackend(config)))
            }
            _ => Ok(Box::new(TestBackend(config))),
        }
    }
}

struct TestBackend(SetupConfig);

#[async_trait]
impl Backend for TestBackend {
    async fn initialize(&self, host: &dyn Host) -> Result<(), PluginError> {
        host.storage()
            .put(StorageEntry::new("initialized", "yes"))
            .await?;
        Ok(())
    }

    async fn handle_request(
        &self,
        request: Request,
        host: &dyn Host,
    ) -> Result<Option<Response>, PluginError> {
        let (verb, rest) = request.path.split_once('/').unwrap_or((&request.path, ""));
        match verb {
            "kv" => keep(request.operation, rest, &request.data, host).await,
            "txn" => transact(rest, host).await,
            "echo" => Ok(Some(Response::with_data(request.data))),
            "uuid" => answer(json!({ "uuid": self.0.backend_uuid })),
            "env" => answer(json!({ "left": left_of_launch() })),
            "time-left" => {
                answer(json!({ "ms": host.time_left().map(|left| left.as_millis() as u64) }))
            }
            "system" => system(host).await,
            "print" => print(&request.data),
            "log" => log(host),
            "random" => random(host),
            "error" => Err(error(rest)),
            "panic" => panic!("as asked"),
            "sleep" => {
                tokio::time::sleep(Duration::from_secs(60)).await;
                Ok(None)
            }
            _ => Err(PluginError::unsupported_path()),
        }
    }

    async fn check_existence(
        &self,
        request: Request,
        host: &dyn Host,
    ) -> Result<Existence, PluginError> {
        match host.storage().get(&request.path).await? {
            Some(_) => Ok(Existence::Present),
            None => Ok(Existence::Absent),
        }
    }

    async fn invalidate_key(&self, key: &str, host: &dyn Host) {
        assert!(key != "panic", "as asked");
        let _ = host
            .storage()
            .put(StorageEntry::new("invalidated", key))
            .await;
    }

    async fn cleanup(&self, host: &dyn Host) {
        let _ = host
            .storage()
            .put(StorageEntry::new("cleaned", "yes"))
            .await;
    }
}

fn answer(value: Value) -> Result<Option<Response>, PluginError> {
    Ok(Some(Response::with_data(Json::of(&value)?)))
}

async fn keep(
    operation: Operation,
    key: &str,
    data: &Json,
    host: &dyn Host,
) -> Result<Option<Response>, PluginError> {
    let storage = host.storage();
    match operation {
        Operation::Update => {
            storage.put(StorageEntry::new(key, data.as_str())).await?;
            Ok(None)
        }
        Operation::Read => match storage.get(key).await? {
            Some(entry) => {
                let text = String::from_utf8(entry.value).expect("it was text");
                Ok(Some(Response::with_data(Json::from_text(text))))
            }
            None => Ok(None),
        },
        Operation::Delete => {
            storage.delete(key).await?;
            Ok(None)
        }
        Operation::List => answer(json!({
            "all": storage.list(key).await?,
            "page": storage.list_page(key, "a", 2).await?,
        })),
        _ => Err(PluginError::unsupported_operation()),
    }
}

async fn transact(how: &str, host: &dyn Host) -> Result<Option<Response>, PluginError> {
    let mode = match how {
        "read-only" => TransactionMode::ReadOnly,
        _ => TransactionMode::ReadWrite,
    };
    let transaction = host.storage().begin(mode).await?;
    transaction.put(StorageEntry::new("t", "1")).await?;
    let inside = transaction.get("t").await?.is_some();
    let outside = host.storage().get("t").await?.is_some();
    match how {
        "commit" => transaction.commit().await?,
        "rollback" => transaction.rollback().await?,
        "conflict" => {
            host.storage().put(StorageEntry::new("t", "2")).await?;
            transaction.commit().await?;
        }
        _ => drop(transaction),
    }
    answer(json!({ "inside": inside, "outside": outside }))
}

async fn system(host: &dyn Host) -> Result<Option<Response>, PluginError> {
    let system = host.system();
    answer(json!({
        "default": system.default_lease_ttl().await?.as_secs(),
        "max": system.max_lease_ttl().await?.as_secs(),
        "tainted": system.tainted().await?,
        "caching_disabled": system.caching_disabled().await?,
        "replication": system.replication_state().await?.0,
        "mlock": system.mlock_enabled().await?,
        "local": system.local_mount().await?,
        "version": system.plugin_environment().await?.version,
        "entity": system.entity("e").await?.map(|entity| entity.name),
        "nobody": system.entity("nobody").await?.map(|entity| entity.name),
        "groups": system.groups_for_entity("e").await?.len(),
        "password": system.generate_password("p").await?,
        "cluster": system.cluster_id().await?,
        "wrapped": system.wrap_response(Json::from_text("{}"), Duration::from_secs(9)).await?.token,
    }))
}

fn left_of_launch() -> Vec<&'static str> {
    OF_ONE_LAUNCH
        .into_iter()
        .filter(|name| std::env::var_os(name).is_some())
        .collect()
}

/// As much as asked, in one go, on the thread that serves.
#[expect(
    clippy::print_stdout,
    reason = "what is printed is what the case looks at"
)]
fn print(data: &Json) -> Result<Option<Response>, PluginError> {
    let count: usize = data.parse::<Value>()?["bytes"].as_u64().unwrap_or(0) as usize;
    println!("{}", "x".repeat(count));
    Ok(None)
}

fn log(host: &dyn Host) -> Result<Option<Response>, PluginError> {
    host.log(LogRecord {
        level: LogLevel::Warn,
        message: "two\nlines",
        fields: &[("key", "value")],
    });
    Ok(None)
}

fn random(host: &dyn Host) -> Result<Option<Response>, PluginError> {
    let mut bytes = [0; 16];
    host.random(&mut bytes);
    answer(json!({ "bytes": bytes, "now": host.now().seconds }))
}

fn error(kind: &str) -> PluginError {
    let kind = match kind {
        "coded" => PluginErrorKind::Coded(418),
        "denied" => PluginErrorKind::PermissionDenied,
        _ => PluginErrorKind::Unknown,
    };
    PluginError::new(kind, "as asked")
}
