//! A driver whose plugins do what a test says, for tests of everything above the seam.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use palisade_contract::{
    Description, Existence, Json, PluginType, Request, Response, SpecialPaths,
};
use tokio::sync::{Semaphore, watch};

use super::Prepared;
use crate::driver::testing::{plan, services};
use crate::driver::{Driver, Exit, Instance, LaunchPlan};
use crate::services::Deadline;
use crate::{CallError, LaunchError, Limits, RuntimeKind};

/// What starts a fake for a mount of its own.
pub(crate) fn prepared(driver: Arc<FakeDriver>) -> Prepared {
    let limits = Limits::default();
    let services = services(&limits);
    Prepared {
        driver,
        plan: plan(limits, services),
        runtime: RuntimeKind::Builtin,
        version: None,
        running_version: String::new(),
        sha256: None,
    }
}

/// How one start goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// As it should.
    Well,
    /// It fails.
    Badly,
    /// It does not come back until [`FakeDriver::release`].
    Hanging,
    /// `initialize` fails.
    BadlyInitialized,
}

/// Starts fakes, and remembers them.
pub(crate) struct FakeDriver {
    shared: Arc<Shared>,
}

struct Shared {
    starts: Mutex<VecDeque<Start>>,
    launched: AtomicUsize,
    initialized: AtomicUsize,
    alive: AtomicUsize,
    calls: AtomicU64,
    released: Semaphore,
    instances: Mutex<Vec<Arc<FakeState>>>,
}

impl FakeDriver {
    /// A driver whose plugins all start well.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            shared: Arc::new(Shared {
                starts: Mutex::default(),
                launched: AtomicUsize::new(0),
                initialized: AtomicUsize::new(0),
                alive: AtomicUsize::new(0),
                calls: AtomicU64::new(0),
                released: Semaphore::new(0),
                instances: Mutex::default(),
            }),
        })
    }

    /// How the next starts go; later ones go well.
    pub(crate) fn next_starts(&self, starts: impl IntoIterator<Item = Start>) {
        self.shared.starts.lock().unwrap().extend(starts);
    }

    /// Lets one hanging start go on.
    pub(crate) fn release(&self) {
        self.shared.released.add_permits(1);
    }

    /// How many starts there were.
    pub(crate) fn launched(&self) -> usize {
        self.shared.launched.load(Ordering::SeqCst)
    }

    /// How often `initialize` was called.
    pub(crate) fn initialized(&self) -> usize {
        self.shared.initialized.load(Ordering::SeqCst)
    }

    /// How many fakes are neither stopped nor dropped.
    pub(crate) fn alive(&self) -> usize {
        self.shared.alive.load(Ordering::SeqCst)
    }

    /// How many requests reached a fake.
    pub(crate) fn calls(&self) -> u64 {
        self.shared.calls.load(Ordering::SeqCst)
    }

    /// The fake that was started first.
    pub(crate) fn first(&self) -> FakeHandle {
        let instances = self.shared.instances.lock().unwrap();
        FakeHandle(instances.first().expect("one was started").clone())
    }

    /// The fake that was started last.
    pub(crate) fn latest(&self) -> FakeHandle {
        let instances = self.shared.instances.lock().unwrap();
        FakeHandle(instances.last().expect("one was started").clone())
    }
}

/// A test's hand on one fake.
pub(crate) struct FakeHandle(Arc<FakeState>);

impl FakeHandle {
    /// Kills it, as a signal would.
    pub(crate) fn kill(&self) {
        self.0.die("killed by signal 9");
    }

    /// Breaks its connection, and lets nobody notice but who calls.
    pub(crate) fn cut_off(&self) {
        self.0.cut_off.store(true, Ordering::SeqCst);
    }

    /// Lets one request at `hold` finish.
    pub(crate) fn let_go(&self) {
        self.0.held.add_permits(1);
    }
}

struct FakeState {
    shared: Arc<Shared>,
    number: usize,
    cut_off: AtomicBool,
    gone: watch::Sender<Option<String>>,
    held: Semaphore,
}

impl FakeState {
    fn die(&self, reason: &str) {
        let first = self.gone.send_if_modified(|gone| {
            let first = gone.is_none();
            if first {
                *gone = Some(reason.to_owned());
            }
            first
        });
        if first {
            self.shared.alive.fetch_sub(1, Ordering::SeqCst);
        }
    }

    fn crashed(&self, sent: bool) -> CallError {
        CallError::Crashed {
            plugin: "fake".to_owned(),
            reason: "it is gone".to_owned(),
            sent,
            out_of_memory: false,
        }
    }
}

#[async_trait]
impl Driver for FakeDriver {
    async fn launch(&self, plan: LaunchPlan) -> Result<Arc<dyn Instance>, LaunchError> {
        let number = self.shared.launched.fetch_add(1, Ordering::SeqCst) + 1;
        let start = self.shared.starts.lock().unwrap().pop_front();
        let start = start.unwrap_or(Start::Well);
        if start == Start::Hanging {
            let release = self.shared.released.acquire().await;
            release.expect("it is never closed").forget();
        }
        if start == Start::Badly {
            return Err(LaunchError::Failed {
                plugin: plan.label,
                fault: format!("start {number} goes badly"),
            });
        }
        self.shared.alive.fetch_add(1, Ordering::SeqCst);
        let state = Arc::new(FakeState {
            shared: Arc::clone(&self.shared),
            number,
            cut_off: AtomicBool::new(false),
            gone: watch::Sender::new(None),
            held: Semaphore::new(0),
        });
        self.shared
            .instances
            .lock()
            .unwrap()
            .push(Arc::clone(&state));
        Ok(Arc::new(FakeInstance {
            state,
            start,
            description: description(plan.plugin_type),
        }))
    }
}

fn description(plugin_type: PluginType) -> Description {
    Description {
        special_paths: SpecialPaths {
            root: vec!["config".to_owned()],
            unauthenticated: vec!["../odd".to_owned(), "login".to_owned()],
            safe_reads: vec!["safe/*".to_owned()],
            ..SpecialPaths::default()
        },
        ..Description::new(plugin_type, "")
    }
}

struct FakeInstance {
    state: Arc<FakeState>,
    start: Start,
    description: Description,
}

impl Drop for FakeInstance {
    fn drop(&mut self) {
        self.state.die("its handle was dropped");
    }
}

#[async_trait]
impl Instance for FakeInstance {
    fn description(&self) -> &Description {
        &self.description
    }

    async fn initialize(&self, _deadline: Deadline) -> Result<(), CallError> {
        self.state.shared.initialized.fetch_add(1, Ordering::SeqCst);
        match self.start {
            Start::BadlyInitialized => Err(self.state.crashed(true)),
            _ => Ok(()),
        }
    }

    /// At `die` and `safe/die` it dies of the request; at `hold` it answers when let go, at `hold-and-die` it dies then; at
    /// `hang` it never does either. Elsewhere it says which start it is, and echoes what it was told.
    async fn handle(
        &self,
        request: Box<Request>,
        deadline: Deadline,
    ) -> Result<Option<Box<Response>>, CallError> {
        let state = &self.state;
        if state.gone.borrow().is_some() || state.cut_off.load(Ordering::SeqCst) {
            return Err(state.crashed(false));
        }
        state.shared.calls.fetch_add(1, Ordering::SeqCst);
        match request.path.as_str() {
            "die" | "safe/die" => {
                state.die("killed by signal 11");
                return Err(state.crashed(true));
            }
            "hold-and-die" => {
                state.held.acquire().await.expect("never closed").forget();
                state.die("killed by signal 11");
                return Err(state.crashed(true));
            }
            "hold" => state.held.acquire().await.expect("never closed").forget(),
            "hang" => {
                tokio::time::sleep(deadline.left()).await;
                return Err(CallError::Timeout {
                    plugin: "fake".to_owned(),
                    limit: deadline.limit(),
                });
            }
            _ => {}
        }
        let said = serde_json::json!({
            "start": state.number,
            "path": request.path,
            "operation": request.operation.as_str(),
            "mount_point": request.mount_point,
            "mount_accessor": request.mount_accessor,
            "time_left_ms": u64::try_from(deadline.left().as_millis()).unwrap_or(u64::MAX),
        });
        let said = Response {
            auth: Some(Box::default()),
            ..Response::with_data(Json::from_text(said.to_string()))
        };
        Ok(Some(Box::new(said)))
    }

    /// Takes its time. At `new` there is nothing yet.
    async fn exists(
        &self,
        request: Box<Request>,
        _deadline: Deadline,
    ) -> Result<Existence, CallError> {
        if self.state.gone.borrow().is_some() {
            return Err(self.state.crashed(false));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        match request.path.as_str() {
            "new" => Ok(Existence::Absent),
            _ => Ok(Existence::Present),
        }
    }

    async fn invalidate(&self, _key: &str, _deadline: Deadline) -> Result<(), CallError> {
        Ok(())
    }

    async fn exited(&self) -> Exit {
        let mut gone = self.state.gone.subscribe();
        let reason = gone.wait_for(Option::is_some).await;
        let reason = reason.expect("the state holds the sender").clone();
        Exit {
            reason: reason.unwrap_or_default(),
        }
    }

    async fn stop(&self, _grace: Duration) {
        self.state.die("stopped");
    }

    fn process_id(&self) -> Option<u32> {
        u32::try_from(self.state.number).ok()
    }
}
