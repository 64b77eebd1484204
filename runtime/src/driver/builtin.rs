//! Runs plugins that are linked into the server.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use palisade_contract::{
    Backend, Description, Existence, Plugin, PluginError, Request, Response, SetupConfig,
};

use super::{Driver, Exit, Instance, LaunchPlan};
use crate::catalog::Program;
use crate::services::{Changes, Deadline, MountServices, News, Scope, Untold};
use crate::{CallError, LaunchError, Limits, Timeouts};

/// Starts builtins. They are trusted code of the server's own: nothing limits their memory or their time on a thread,
/// but a deadline ends the wait for them and a panic ends the one call.
pub struct BuiltinDriver {
    setup_timeout: Duration,
}

impl BuiltinDriver {
    /// A driver that waits for `setup` as long as `timeouts` say.
    pub fn new(timeouts: &Timeouts) -> Self {
        Self {
            setup_timeout: timeouts.startup_call,
        }
    }
}

#[async_trait]
impl Driver for BuiltinDriver {
    async fn launch(&self, plan: LaunchPlan) -> Result<Arc<dyn Instance>, LaunchError> {
        let Program::Builtin(plugin) = plan.program else {
            return Err(LaunchError::Failed {
                plugin: plan.label,
                fault: "its program is no builtin".to_owned(),
            });
        };
        let description = plugin.describe();
        if description.plugin_type != plan.plugin_type {
            return Err(LaunchError::Type {
                plugin: plan.label,
                expected: plan.plugin_type,
                found: description.plugin_type,
            });
        }
        let maker = Maker {
            plugin,
            config: plan.config,
            services: plan.services,
            label: plan.label,
        };
        // Joined before setup reads anything, so that no change to what it read is missed.
        let news = News::join(maker.services.changes());
        let backend = maker.make(Deadline::after(self.setup_timeout)).await?;
        Ok(Arc::new(BuiltinInstance {
            description,
            maker,
            limits: plan.limits,
            made: RwLock::new(Arc::new(Made { backend, news })),
        }))
    }
}

/// Makes the backend of one mount, at the launch and whenever its memory has to be forgotten.
struct Maker {
    plugin: Arc<dyn Plugin>,
    config: Arc<SetupConfig>,
    services: Arc<MountServices>,
    label: String,
}

impl Maker {
    async fn make(&self, deadline: Deadline) -> Result<Arc<dyn Backend>, LaunchError> {
        let scope = self.services.setup_scope(deadline);
        let setup = self.plugin.setup(SetupConfig::clone(&self.config), &scope);
        match guard(&self.label, deadline, setup).await {
            Ok(Ok(backend)) => Ok(Arc::from(backend)),
            Ok(Err(error)) => Err(LaunchError::Setup {
                plugin: self.label.clone(),
                error,
            }),
            Err(CallError::Timeout { plugin, limit }) => Err(LaunchError::Timeout {
                plugin,
                step: "setup",
                limit,
            }),
            Err(source) => Err(LaunchError::Call {
                plugin: self.label.clone(),
                source: Box::new(source),
            }),
        }
    }
}

/// A builtin set up for one mount.
struct BuiltinInstance {
    description: Description,
    maker: Maker,
    limits: Arc<Limits>,
    made: RwLock<Arc<Made>>,
}

/// A backend, and what it has heard of others' commits: a request tells the very one that it then uses.
struct Made {
    backend: Arc<dyn Backend>,
    news: News,
}

impl BuiltinInstance {
    fn made(&self) -> Arc<Made> {
        let made = self.made.read();
        Arc::clone(&made.unwrap_or_else(PoisonError::into_inner))
    }

    /// Of two that were made at once, the one that knows more stays.
    fn replace(&self, fresh: &Arc<Made>) {
        let mut made = self.made.write().unwrap_or_else(PoisonError::into_inner);
        if fresh.news.heard() > made.news.heard() {
            *made = Arc::clone(fresh);
        }
    }

    fn scope(&self, deadline: Deadline) -> Scope {
        let scope = self.maker.services.direct_scope(deadline);
        scope.from_store(self.made().news.store())
    }

    /// Waits for a call into the backend, and gives what it says.
    async fn call<T>(
        &self,
        deadline: Deadline,
        work: impl Future<Output = Result<T, PluginError>>,
    ) -> Result<T, CallError> {
        let answer = guard(&self.maker.label, deadline, work).await?;
        answer.map_err(CallError::Plugin)
    }

    /// The backend, told which keys other live stores of the mount have committed: there are others while a new
    /// generation takes over.
    async fn caught_up(&self, deadline: Deadline) -> Result<Arc<dyn Backend>, CallError> {
        let feed = self.maker.services.changes();
        let mut made = self.made();
        while let Some(Untold { changes, upto }) = made.news.untold(feed) {
            match changes {
                Changes::Keys(keys) => {
                    for key in keys {
                        self.tell(&*made.backend, &key, deadline).await?;
                    }
                    made.news.told(upto);
                }
                Changes::Lost => {
                    let backend = self.maker.make(deadline).await?;
                    let news = made.news.afresh(upto);
                    made = Arc::new(Made { backend, news });
                    self.replace(&made);
                }
            }
        }
        Ok(Arc::clone(&made.backend))
    }

    async fn tell(
        &self,
        backend: &dyn Backend,
        key: &str,
        deadline: Deadline,
    ) -> Result<(), CallError> {
        let scope = self.scope(deadline);
        let told = backend.invalidate_key(key, &scope).map(Ok);
        self.call(deadline, told).await
    }

    fn check_request(&self, request: &Request) -> Result<(), CallError> {
        check_size("request body", request.data.as_str().len(), &self.limits)
    }
}

#[async_trait]
impl Instance for BuiltinInstance {
    fn description(&self) -> &Description {
        &self.description
    }

    async fn initialize(&self, deadline: Deadline) -> Result<(), CallError> {
        let (made, scope) = (self.made(), self.scope(deadline));
        self.call(deadline, made.backend.initialize(&scope)).await
    }

    async fn handle(
        &self,
        request: Box<Request>,
        deadline: Deadline,
    ) -> Result<Option<Box<Response>>, CallError> {
        self.check_request(&request)?;
        let backend = self.caught_up(deadline).await?;
        let scope = self.scope(deadline);
        let answer = backend.handle_request(*request, &scope);
        let response = self.call(deadline, answer).await?;
        if let Some(response) = &response {
            check_size("response", response_bytes(response), &self.limits)?;
        }
        Ok(response.map(Box::new))
    }

    async fn exists(
        &self,
        request: Box<Request>,
        deadline: Deadline,
    ) -> Result<Existence, CallError> {
        self.check_request(&request)?;
        let backend = self.caught_up(deadline).await?;
        let scope = self.scope(deadline);
        self.call(deadline, backend.check_existence(*request, &scope))
            .await
    }

    async fn invalidate(&self, key: &str, deadline: Deadline) -> Result<(), CallError> {
        self.tell(&*self.made().backend, key, deadline).await
    }

    /// Never: it is part of the server.
    async fn exited(&self) -> Exit {
        std::future::pending().await
    }

    async fn stop(&self, grace: Duration) {
        let deadline = Deadline::after(grace);
        let (made, scope) = (self.made(), self.scope(deadline));
        let cleanup = made.backend.cleanup(&scope).map(Ok);
        if let Err(error) = self.call(deadline, cleanup).await {
            tracing::warn!(plugin = %self.maker.label, %error, "cleanup did not end well");
        }
    }
}

/// Waits for plugin code until the deadline, and takes a panic for the end of this one call.
async fn guard<T>(
    label: &str,
    deadline: Deadline,
    work: impl Future<Output = T>,
) -> Result<T, CallError> {
    // After a panic nothing of the call is looked at again; the backend's own state is its own to keep sound.
    let work = AssertUnwindSafe(work).catch_unwind();
    match deadline.wait_for(work).await {
        Some(Ok(done)) => Ok(done),
        // The panic's message may quote secrets, so it is not passed on; the panic hook has it.
        Some(Err(_panic)) => Err(CallError::Crashed {
            plugin: label.to_owned(),
            reason: "panicked".to_owned(),
            sent: true,
            out_of_memory: false,
        }),
        None => Err(timeout(label, deadline)),
    }
}

fn timeout(label: &str, deadline: Deadline) -> CallError {
    CallError::Timeout {
        plugin: label.to_owned(),
        limit: deadline.limit(),
    }
}

fn check_size(what: &'static str, bytes: usize, limits: &Limits) -> Result<(), CallError> {
    let (bytes, limit) = (bytes as u64, limits.message_bytes);
    if bytes > limit {
        return Err(CallError::TooLarge { what, bytes, limit });
    }
    Ok(())
}

/// What a response would come to on a wire, without its framing.
fn response_bytes(response: &Response) -> usize {
    let secret = response.secret.as_ref().map(|s| &s.internal_data);
    let auth = response.auth.as_ref().map(|a| &a.internal_data);
    let json = [Some(&response.data), secret, auth];
    let json: usize = json.into_iter().flatten().map(|j| j.as_str().len()).sum();
    let warnings: usize = response.warnings.iter().map(String::len).sum();
    let headers = response.headers.iter().map(|(name, values)| {
        let values: usize = values.iter().map(String::len).sum();
        name.len() + values
    });
    json + warnings + headers.sum::<usize>() + response.redirect.len()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use palisade_contract::{Host, Json, Operation, PluginErrorKind, PluginType, StorageEntry};

    use super::*;
    use crate::services::{MountPrefix, ServicesConfig};
    use crate::store::{MemoryStore, Store};
    use crate::{Grants, ProcessOptions};

    /// Does what the request's path says, and counts what it was told to forget.
    struct Teapot {
        setups: Arc<AtomicUsize>,
    }

    struct Pot {
        forgotten: std::sync::Mutex<Vec<String>>,
    }

    #[async_trait]
    impl Plugin for Teapot {
        fn describe(&self) -> Description {
            Description::new(PluginType::Secret, "v1.0.0")
        }

        async fn setup(
            &self,
            config: SetupConfig,
            host: &dyn Host,
        ) -> Result<Box<dyn Backend>, PluginError> {
            self.setups.fetch_add(1, Ordering::Relaxed);
            match config.options.get("setup").map(String::as_str) {
                Some("hang") => std::future::pending().await,
                Some("panic") => panic!("setup of the test panics on purpose"),
                Some("write") => host.storage().put(StorageEntry::new("k", "v")).await?,
                _ => {}
            }
            Ok(Box::new(Pot {
                forgotten: std::sync::Mutex::default(),
            }))
        }
    }

    #[async_trait]
    impl Backend for Pot {
        async fn handle_request(
            &self,
            request: Request,
            host: &dyn Host,
        ) -> Result<Option<Response>, PluginError> {
            match request.path.as_str() {
                "write" => host.storage().put(StorageEntry::new("k", "v")).await?,
                "hang" => std::future::pending().await,
                "panic" => panic!("the test panics on purpose"),
                "large" => {
                    let data = Json::from_text("1".repeat(2000));
                    return Ok(Some(Response::with_data(data)));
                }
                "refuse" => return Err(PluginError::new(PluginErrorKind::Coded(418), "short")),
                _ => {
                    let forgotten = self.forgotten.lock().unwrap().clone();
                    let data = Json::of(&forgotten).unwrap();
                    return Ok(Some(Response::with_data(data)));
                }
            }
            Ok(None)
        }

        async fn invalidate_key(&self, key: &str, _host: &dyn Host) {
            self.forgotten.lock().unwrap().push(key.to_owned());
        }
    }

    struct Bench {
        services: Arc<MountServices>,
        setups: Arc<AtomicUsize>,
    }

    impl Bench {
        fn new() -> Self {
            let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
            let prefix = MountPrefix::new(PluginType::Secret, "0a").unwrap();
            let limits = Limits::default();
            let config = ServicesConfig::new(store, prefix, "teapot v1.0.0", &limits);
            Self {
                services: MountServices::new(config),
                setups: Arc::default(),
            }
        }

        async fn launch(&self, setup: &str) -> Result<Arc<dyn Instance>, LaunchError> {
            let mut config = SetupConfig::default();
            config.options.insert("setup".to_owned(), setup.to_owned());
            let plan = LaunchPlan {
                program: Program::Builtin(Arc::new(Teapot {
                    setups: self.setups.clone(),
                })),
                label: "teapot v1.0.0".to_owned(),
                plugin_type: PluginType::Secret,
                limits: Arc::new(Limits {
                    message_bytes: 1000,
                    ..Limits::default()
                }),
                grants: Grants::default(),
                started_after: None,
                process: ProcessOptions::default(),
                config: Arc::new(config),
                services: self.services.clone(),
            };
            let timeouts = Timeouts {
                startup_call: Duration::from_millis(50),
                ..Timeouts::default()
            };
            BuiltinDriver::new(&timeouts).launch(plan).await
        }
    }

    async fn ask(instance: &dyn Instance, path: &str) -> Result<Option<Box<Response>>, CallError> {
        let request = Box::new(Request::new(Operation::Read, path, Json::null()));
        let deadline = Deadline::after(Duration::from_secs(60));
        instance.handle(request, deadline).await
    }

    async fn forgotten(instance: &dyn Instance) -> Vec<String> {
        let response = ask(instance, "forgotten").await.unwrap().unwrap();
        response.data.parse().unwrap()
    }

    #[tokio::test]
    async fn an_error_of_the_plugin_arrives_as_it_is() {
        let instance = Bench::new().launch("").await.unwrap();
        let error = ask(&*instance, "refuse").await.unwrap_err();
        let CallError::Plugin(error) = error else {
            panic!("{error}");
        };
        assert_eq!(error.kind, PluginErrorKind::Coded(418));
        assert_eq!(error.message, "short");
    }

    #[tokio::test]
    async fn a_panic_ends_the_call_and_not_the_instance() {
        let instance = Bench::new().launch("").await.unwrap();
        let error = ask(&*instance, "panic").await.unwrap_err();
        assert_eq!(error.to_string(), "teapot v1.0.0 is gone: panicked");
        assert!(matches!(error, CallError::Crashed { sent: true, .. }));
        assert!(ask(&*instance, "write").await.is_ok());
    }

    #[tokio::test]
    async fn a_hang_ends_at_the_deadline() {
        let instance = Bench::new().launch("").await.unwrap();
        let request = Request::new(Operation::Read, "hang", Json::null());
        let deadline = Deadline::after(Duration::from_millis(20));
        let error = instance
            .handle(Box::new(request), deadline)
            .await
            .unwrap_err();
        assert!(matches!(error, CallError::Timeout { .. }));
    }

    #[tokio::test]
    async fn bodies_over_the_limit_are_refused_both_ways() {
        let instance = Bench::new().launch("").await.unwrap();
        let error = ask(&*instance, "large").await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "the response has 2000 bytes, 1000 are allowed"
        );
        let data = Json::from_text("1".repeat(1001));
        let request = Request::new(Operation::Update, "write", data);
        let deadline = Deadline::after(Duration::from_secs(60));
        let error = instance
            .handle(Box::new(request), deadline)
            .await
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "the request body has 1001 bytes, 1000 are allowed"
        );
    }

    #[tokio::test]
    async fn a_setup_that_fails_in_any_way_is_no_launch() {
        let bench = Bench::new();
        let hang = bench.launch("hang").await.err().unwrap();
        assert!(matches!(hang, LaunchError::Timeout { step: "setup", .. }));
        let panic = bench.launch("panic").await.err().unwrap();
        assert!(matches!(panic, LaunchError::Call { .. }));
        let write = bench.launch("write").await.err().unwrap();
        assert!(
            write
                .to_string()
                .ends_with("cannot write to storage during setup")
        );
    }

    #[tokio::test]
    async fn two_generations_hear_of_each_others_writes_before_their_next_request() {
        let bench = Bench::new();
        let (old, new) = (
            bench.launch("").await.unwrap(),
            bench.launch("").await.unwrap(),
        );
        ask(&*old, "write").await.unwrap();
        assert_eq!(forgotten(&*new).await, ["k"]);
        assert_eq!(forgotten(&*old).await, Vec::<String>::new());
    }

    #[tokio::test]
    async fn a_backend_that_missed_too_much_is_made_anew() {
        let bench = Bench::new();
        let (old, new) = (
            bench.launch("").await.unwrap(),
            bench.launch("").await.unwrap(),
        );
        for _ in 0..2000 {
            ask(&*old, "write").await.unwrap();
        }
        assert_eq!(forgotten(&*new).await, Vec::<String>::new());
        assert_eq!(bench.setups.load(Ordering::Relaxed), 3);
    }
}
