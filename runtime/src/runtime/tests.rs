//! The runtime as a whole, over a store in memory and a driver whose plugins do what a test says.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use palisade_contract::{Existence, Json, Operation, PluginType, Request, Response, SpecialPaths};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{MountInfo, NewMount, Runtime};
use crate::catalog::testing::{COMPONENT, Says, manifest};
use crate::catalog::{Manifest, PluginDirectory};
use crate::lifecycle::testing::{FakeDriver, Start};
use crate::store::{Commit, MemoryStore, Store, Write};
use crate::{CallError, ErrorKind, MountError, MountPath, RuntimeKind, Timeouts};

struct Fixture {
    folder: tempfile::TempDir,
    store: Arc<MemoryStore>,
    driver: Arc<FakeDriver>,
    runtime: Runtime,
}

impl Fixture {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("p"), executable()).unwrap();
        let store = Arc::new(MemoryStore::new());
        let driver = FakeDriver::new();
        let runtime = open(&folder, &store, &driver).await;
        Self {
            folder,
            store,
            driver,
            runtime,
        }
    }

    /// A fixture with the process `p` enabled at `p/`.
    async fn mounted() -> Self {
        let fixture = Self::new().await;
        fixture.register(executable()).await;
        fixture.enable("p").await.unwrap();
        fixture
    }

    /// The same after two crashes in a row: what is started next is on trial.
    async fn mounted_and_twice_dead() -> Self {
        let fixture = Self::mounted().await;
        for _ in 0..2 {
            fixture.write("p/die").await.unwrap_err();
        }
        fixture
    }

    /// The request that tries has got in.
    async fn trial_begun(&self) {
        eventually("one request gets in", || self.driver.calls() > 2).await;
    }

    /// Twenty requests that come while one tries, which alone has got in when it is let go.
    async fn ask_during_a_trial(&self) -> Vec<Result<Value, CallError>> {
        self.trial_begun().await;
        let others = (0..20).map(|_| self.ask("p/x"));
        let let_go = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            // Those of the two crashes, and the one that tries.
            assert_eq!(self.driver.calls(), 3);
            self.driver.latest().let_go();
        };
        tokio::join!(futures_util::future::join_all(others), let_go).0
    }

    async fn register(&self, bytes: Vec<u8>) {
        std::fs::write(self.folder.path().join("p"), &bytes).unwrap();
        let manifest = Manifest {
            sha256: hex::encode(Sha256::digest(&bytes)),
            ..manifest("p")
        };
        self.runtime.register(manifest).await.unwrap();
    }

    async fn enable(&self, at: &str) -> Result<MountInfo, MountError> {
        let mount = NewMount {
            plugin: "p".to_owned(),
            ..NewMount::default()
        };
        self.runtime.enable(path(at), mount).await
    }

    /// The runtime as it is after the server started again over the same store.
    async fn restarted(self) -> Self {
        self.runtime.shutdown().await;
        let driver = FakeDriver::new();
        let runtime = open(&self.folder, &self.store, &driver).await;
        Self {
            driver,
            runtime,
            ..self
        }
    }

    async fn ask(&self, at: &str) -> Result<Value, CallError> {
        ask(&self.runtime, Operation::Read, at).await
    }

    async fn write(&self, at: &str) -> Result<Value, CallError> {
        ask(&self.runtime, Operation::Update, at).await
    }

    /// Which start answers.
    async fn start(&self) -> u64 {
        self.ask("p/x").await.unwrap()["start"].as_u64().unwrap()
    }

    fn info(&self) -> MountInfo {
        self.runtime.mounts().remove(0)
    }
}

async fn open(
    folder: &tempfile::TempDir,
    store: &Arc<MemoryStore>,
    driver: &Arc<FakeDriver>,
) -> Runtime {
    let timeouts = Timeouts {
        drain: Duration::from_secs(5),
        ..Timeouts::default()
    };
    Runtime::builder()
        .store(store.clone())
        .plugin_directory(PluginDirectory::open(folder.path()).unwrap())
        .driver(RuntimeKind::Builtin, driver.clone())
        .driver(RuntimeKind::Native, driver.clone())
        .driver(RuntimeKind::Wasm, driver.clone())
        .inspector(Arc::new(Says::secret("")))
        .timeouts(timeouts)
        .build()
        .await
        .unwrap()
}

async fn ask(runtime: &Runtime, operation: Operation, at: &str) -> Result<Value, CallError> {
    let request = Request::new(operation, at, Json::null());
    let response = runtime
        .handle(request, Some(Duration::from_secs(20)))
        .await?;
    let response = response.expect("fakes say something");
    Ok(response.data.parse().expect("fakes speak JSON"))
}

/// Bytes that are an executable by their header. Nobody runs them.
fn executable() -> Vec<u8> {
    let mut header = vec![0; 64];
    let mut me = std::fs::File::open("/proc/self/exe").unwrap();
    std::io::Read::read_exact(&mut me, &mut header).unwrap();
    header
}

fn other_executable() -> Vec<u8> {
    [executable(), vec![1]].concat()
}

fn path(text: &str) -> MountPath {
    text.parse().unwrap()
}

async fn keys(store: &MemoryStore, prefix: &str) -> Vec<String> {
    let snapshot = store.snapshot().await.unwrap();
    snapshot.list_page(prefix, "", 100).await.unwrap()
}

async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(10), "never: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn a_request_reaches_its_mount_with_its_prefix_taken_off() {
    let fixture = Fixture::mounted().await;
    let said = fixture.ask("p/a/b").await.unwrap();
    assert_eq!(
        (&said["path"], &said["mount_point"]),
        (&"a/b".into(), &"p/".into())
    );
    let accessor = said["mount_accessor"].as_str().unwrap();
    assert_eq!(accessor, fixture.info().accessor);
    assert!(accessor.starts_with("p_"));
    assert_eq!(fixture.ask("p").await.unwrap()["path"], "");
    for elsewhere in ["q/a", "pp/a", "/p/a", ""] {
        let refused = fixture.ask(elsewhere).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::MountNotFound, "{elsewhere}");
    }
}

#[tokio::test]
async fn a_login_from_a_secrets_mount_is_dropped() {
    let fixture = Fixture::mounted().await;
    let request = Request::new(Operation::Read, "p/x", Json::null());
    let response: Response = fixture
        .runtime
        .handle(request, None)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(response.auth, None);
}

#[tokio::test]
async fn what_a_plugin_says_of_special_paths_is_clipped_and_kept() {
    let fixture = Fixture::mounted().await;
    let expected = SpecialPaths {
        root: vec!["config".to_owned()],
        unauthenticated: vec!["login".to_owned()],
        safe_reads: vec!["safe/*".to_owned()],
        ..SpecialPaths::default()
    };
    assert_eq!(fixture.info().special_paths, expected);
    let fixture = fixture.restarted().await;
    assert!(!fixture.info().running);
    assert_eq!(fixture.info().special_paths, expected);
}

#[tokio::test]
async fn a_body_over_the_limit_reaches_no_plugin() {
    let fixture = Fixture::mounted().await;
    let body = format!("{{\"k\":\"{}\"}}", "x".repeat(32 << 20));
    let request = Request::new(Operation::Update, "p/x", Json::from_text(body));
    let refused = fixture.runtime.handle(request, None).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::TooLarge);
    assert_eq!(fixture.driver.calls(), 0);
}

#[tokio::test]
async fn the_shorter_of_the_two_time_limits_holds() {
    let fixture = Fixture::mounted().await;
    let request = Request::new(Operation::Read, "p/hang", Json::null());
    let begun = Instant::now();
    let limit = Some(Duration::from_millis(50));
    let late = fixture.runtime.handle(request, limit).await.unwrap_err();
    assert_eq!(late.kind(), ErrorKind::Timeout);
    assert!(begun.elapsed() < Duration::from_secs(5));
    let request = Request::new(Operation::Read, "p/x", Json::null());
    let day = Some(Duration::from_secs(86_400));
    let response = fixture.runtime.handle(request, day).await.unwrap().unwrap();
    let said: Value = response.data.parse().unwrap();
    assert!(said["time_left_ms"].as_u64().unwrap() <= 90_000);
}

#[tokio::test]
async fn overlapping_paths_are_refused_by_name() {
    let fixture = Fixture::mounted().await;
    for taken in ["p", "p/inside"] {
        let refused = fixture.enable(taken).await.unwrap_err();
        assert_eq!(refused.to_string(), "path is already in use at p/");
        assert_eq!(refused.kind(), ErrorKind::MountExists);
    }
    fixture.enable("a/b").await.unwrap();
    assert!(fixture.enable("a").await.is_err());
    fixture.enable("ppp").await.unwrap();
    fixture.enable("a/c").await.unwrap();
}

#[tokio::test]
async fn what_fails_to_start_leaves_nothing_behind() {
    let fixture = Fixture::new().await;
    fixture.register(executable()).await;
    for (start, kind) in [
        (Start::Badly, ErrorKind::LaunchFailed),
        (Start::BadlyInitialized, ErrorKind::Crashed),
    ] {
        fixture.driver.next_starts([start]);
        assert_eq!(fixture.enable("p").await.unwrap_err().kind(), kind);
        assert!(fixture.runtime.mounts().is_empty());
        assert!(keys(&fixture.store, "core/mounts/").await.is_empty());
        assert_eq!(fixture.driver.alive(), 0);
    }
    fixture.enable("p").await.unwrap();
}

#[tokio::test]
async fn an_unknown_plugin_cannot_be_enabled() {
    let fixture = Fixture::new().await;
    let refused = fixture.enable("p").await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::EntryNotFound);
}

#[tokio::test]
async fn fifty_requests_after_a_crash_cause_one_start_and_all_are_answered() {
    let fixture = Fixture::mounted().await;
    fixture.driver.latest().kill();
    fixture.driver.next_starts([Start::Hanging]);
    let asked = (0..50).map(|_| fixture.ask("p/x"));
    let answers = futures_util::future::join_all(asked);
    let released = async {
        eventually("the start begins", || fixture.driver.launched() == 2).await;
        fixture.driver.release();
    };
    let (answers, ()) = tokio::join!(answers, released);
    for answer in answers {
        assert_eq!(answer.unwrap()["start"], 2);
    }
    assert_eq!(
        (fixture.driver.launched(), fixture.driver.initialized()),
        (2, 2)
    );
}

#[tokio::test]
async fn after_crashes_in_a_row_one_request_tries_the_new_start_before_the_others() {
    let fixture = Fixture::mounted_and_twice_dead().await;
    let (first, others) = tokio::join!(fixture.ask("p/hold"), fixture.ask_during_a_trial());
    assert_eq!(first.unwrap()["start"], 3);
    for answer in others {
        assert_eq!(answer.unwrap()["start"], 3);
    }
}

#[tokio::test]
async fn a_question_of_existence_leaves_the_trial_to_the_request_after_it() {
    let fixture = Fixture::mounted_and_twice_dead().await;
    let question = Request::new(Operation::Create, "p/x", Json::null());
    fixture.runtime.exists(question, None).await.unwrap();
    let (first, others) = tokio::join!(fixture.ask("p/hold"), fixture.ask_during_a_trial());
    assert_eq!(first.unwrap()["start"], 3);
    assert!(others.iter().all(Result::is_ok));
}

#[tokio::test]
async fn a_request_that_fails_its_trial_takes_no_other_with_it() {
    let fixture = Fixture::mounted_and_twice_dead().await;
    let (died, others) = tokio::join!(
        fixture.write("p/hold-and-die"),
        fixture.ask_during_a_trial()
    );
    assert_eq!(died.unwrap_err().kind(), ErrorKind::Crashed);
    for answer in others {
        assert_eq!(answer.unwrap()["start"], 4);
    }
}

#[tokio::test]
async fn a_trial_that_takes_long_refuses_the_others_meanwhile() {
    let fixture = Fixture::mounted_and_twice_dead().await;
    let refused = async {
        fixture.trial_begun().await;
        let refused = fixture.ask("p/x").await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unavailable);
        assert!(
            refused.to_string().contains("2 times in a row"),
            "{refused}"
        );
        fixture.driver.latest().let_go();
    };
    let (tried, ()) = tokio::join!(fixture.ask("p/hold"), refused);
    tried.unwrap();
    assert_eq!(fixture.start().await, 3);
}

#[tokio::test]
async fn a_crash_starts_nothing_until_somebody_asks() {
    let fixture = Fixture::mounted().await;
    fixture.driver.latest().kill();
    eventually("the crash is seen", || !fixture.info().running).await;
    assert_eq!(fixture.driver.launched(), 1);
    assert_eq!(fixture.start().await, 2);
}

#[tokio::test]
async fn a_write_that_may_have_had_an_effect_is_not_sent_twice() {
    let fixture = Fixture::mounted().await;
    let lost = fixture.write("p/die").await.unwrap_err();
    assert!(matches!(lost, CallError::Crashed { sent: true, .. }));
    assert_eq!(fixture.driver.calls(), 1);
    assert_eq!(fixture.start().await, 2);
}

#[tokio::test]
async fn a_read_that_may_have_had_an_effect_is_not_sent_twice() {
    for operation in [Operation::Read, Operation::List] {
        let fixture = Fixture::mounted().await;
        let request = Request::new(operation, "p/die", Json::null());
        let lost = fixture.runtime.handle(request, None).await.unwrap_err();
        assert!(matches!(lost, CallError::Crashed { sent: true, .. }));
        assert_eq!(fixture.driver.calls(), 1);
    }
}

#[tokio::test]
async fn what_the_plugin_says_is_a_safe_read_is_sent_again_once_and_its_own_failure_is_told() {
    for (operation, calls) in [
        (Operation::Read, 2),
        (Operation::List, 2),
        (Operation::Update, 1),
    ] {
        let fixture = Fixture::mounted().await;
        let request = Request::new(operation, "p/safe/die", Json::null());
        let lost = fixture.runtime.handle(request, None).await.unwrap_err();
        assert_eq!(lost.kind(), ErrorKind::Crashed);
        assert_eq!(fixture.driver.calls(), calls, "{operation}");
    }
}

#[tokio::test]
async fn a_write_that_never_left_is_sent_to_the_next_generation() {
    let fixture = Fixture::mounted().await;
    // Nobody but the request notices: the instance itself does not say that it is gone.
    fixture.driver.latest().cut_off();
    assert_eq!(fixture.write("p/x").await.unwrap()["start"], 2);
    eventually("the one cut off is ended", || fixture.driver.alive() == 1).await;
}

#[tokio::test]
async fn a_write_creates_or_updates_and_has_one_requests_time_for_both() {
    let fixture = Fixture::mounted().await;
    for (at, operation) in [("p/new", "create"), ("p/x", "update")] {
        let request = Request::new(Operation::Update, at, Json::null());
        let limit = Duration::from_secs(5);
        let answer = fixture.runtime.write(request, Some(limit)).await.unwrap();
        let said: Value = answer.unwrap().data.parse().unwrap();
        assert_eq!(said["operation"], operation);
        // The question alone takes the fake a tenth of a second.
        assert!(said["time_left_ms"].as_u64().unwrap() <= 4900, "{said}");
    }
}

#[tokio::test]
async fn an_entrys_limits_hold_at_the_entrance_after_a_restart() {
    let fixture = Fixture::new().await;
    let stated = Manifest {
        sha256: hex::encode(Sha256::digest(executable())),
        limits: [("message_bytes".to_owned(), "1024".to_owned())].into(),
        ..manifest("p")
    };
    fixture.runtime.register(stated).await.unwrap();
    fixture.enable("p").await.unwrap();
    let fixture = fixture.restarted().await;
    let large = Request::new(
        Operation::Update,
        "p/x",
        Json::from_text(format!("\"{}\"", "x".repeat(2000))),
    );
    let refused = fixture.runtime.handle(large, None).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::TooLarge);
    assert_eq!(fixture.driver.launched(), 0);
}

#[tokio::test]
async fn a_question_of_existence_survives_a_crash_as_well() {
    let fixture = Fixture::mounted().await;
    fixture.driver.latest().kill();
    let request = Request::new(Operation::Create, "p/x", Json::null());
    let answer = fixture.runtime.exists(request, None).await.unwrap();
    assert_eq!(answer, Existence::Present);
}

#[tokio::test]
async fn a_start_that_fails_is_told_to_who_waited_and_tried_again_for_who_comes_later() {
    let fixture = Fixture::mounted().await;
    fixture.driver.latest().kill();
    eventually("the crash is seen", || !fixture.info().running).await;
    fixture.driver.next_starts([Start::Badly]);
    let told = fixture.ask("p/x").await.unwrap_err();
    assert_eq!(told.kind(), ErrorKind::LaunchFailed);
    assert!(told.to_string().contains("start 2 goes badly"));
    assert_eq!(fixture.start().await, 3);
}

#[tokio::test]
async fn who_keeps_failing_is_left_alone_for_a_while() {
    let fixture = Fixture::mounted().await;
    fixture.driver.latest().kill();
    fixture.driver.next_starts([Start::Badly; 100]);
    let begun = Instant::now();
    loop {
        let told = fixture.ask("p/x").await.unwrap_err();
        if told.kind() == ErrorKind::Unavailable {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "never refused");
    }
    let launched = fixture.driver.launched();
    assert!(fixture.ask("p/x").await.is_err());
    assert_eq!(fixture.driver.launched(), launched);
    assert!(launched < 10, "{launched} starts in a row");
}

#[tokio::test]
async fn a_start_that_hangs_delays_nobody_but_its_own_callers() {
    let fixture = Fixture::mounted().await;
    fixture.enable("q").await.unwrap();
    fixture.driver.next_starts([Start::Hanging]);
    let other = fixture.runtime.enable(path("r"), new_mount());
    tokio::pin!(other);
    assert!(other.as_mut().now_or_never().is_none());
    eventually("the start hangs", || fixture.driver.launched() == 3).await;
    let begun = Instant::now();
    assert!(fixture.ask("p/x").await.is_ok());
    fixture.enable("s").await.unwrap();
    fixture.runtime.disable(&path("q")).await.unwrap();
    fixture.runtime.reload_mount(&path("p")).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(5));
    fixture.driver.release();
    other.await.unwrap();
}

fn new_mount() -> NewMount {
    NewMount {
        plugin: "p".to_owned(),
        ..NewMount::default()
    }
}

#[tokio::test]
async fn a_caller_waits_for_a_start_no_longer_than_its_deadline() {
    let fixture = Fixture::mounted().await;
    fixture.driver.latest().kill();
    eventually("the crash is seen", || !fixture.info().running).await;
    fixture.driver.next_starts([Start::Hanging]);
    let request = Request::new(Operation::Read, "p/x", Json::null());
    let limit = Some(Duration::from_millis(50));
    let late = fixture.runtime.handle(request, limit).await.unwrap_err();
    assert_eq!(late.kind(), ErrorKind::Timeout);
}

#[tokio::test]
async fn a_reload_runs_the_new_bytes_and_fails_no_request() {
    let fixture = Fixture::mounted().await;
    let old = fixture.info().running_sha256;
    fixture.register(other_executable()).await;
    assert_eq!(fixture.start().await, 1);
    assert_eq!(fixture.info().running_sha256, old);
    let held = tokio::spawn({
        let runtime = fixture.runtime.clone();
        async move { ask(&runtime, Operation::Update, "p/hold").await }
    });
    eventually("a request is inside", || fixture.driver.calls() == 2).await;
    let first = fixture.driver.latest();
    fixture.runtime.reload_mount(&path("p")).await.unwrap();
    assert_eq!(fixture.start().await, 2);
    assert_ne!(fixture.info().running_sha256, old);
    assert_eq!(fixture.driver.alive(), 2);
    first.let_go();
    assert_eq!(held.await.unwrap().unwrap()["start"], 1);
    eventually("the old one is stopped", || fixture.driver.alive() == 1).await;
}

#[tokio::test]
async fn bytes_that_were_replaced_run_no_sooner_than_a_reload_not_even_after_a_crash() {
    let fixture = Fixture::mounted().await;
    let old = fixture.info().running_sha256;
    fixture.register(other_executable()).await;
    fixture.driver.latest().kill();
    assert_eq!(fixture.start().await, 2);
    assert_eq!(fixture.info().running_sha256, old);
}

#[tokio::test]
async fn when_the_new_generation_fails_the_old_one_goes_on() {
    let fixture = Fixture::mounted().await;
    for start in [Start::Badly, Start::BadlyInitialized] {
        fixture.driver.next_starts([start]);
        assert!(fixture.runtime.reload_mount(&path("p")).await.is_err());
        assert_eq!(fixture.start().await, 1);
    }
    std::fs::write(fixture.folder.path().join("p"), "changed").unwrap();
    let refused = fixture.runtime.reload_mount(&path("p")).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ArtifactKind);
    assert_eq!(fixture.start().await, 1);
    assert_eq!(fixture.driver.alive(), 1);
}

#[tokio::test]
async fn no_request_fails_while_reloads_go_on() {
    let fixture = Fixture::mounted().await;
    let runtime = fixture.runtime.clone();
    let asking = tokio::spawn(async move {
        for _ in 0..500 {
            ask(&runtime, Operation::Update, "p/x").await.unwrap();
            tokio::task::yield_now().await;
        }
    });
    for _ in 0..5 {
        fixture.runtime.reload_mount(&path("p")).await.unwrap();
    }
    asking.await.unwrap();
    assert_eq!(fixture.driver.initialized(), fixture.driver.launched());
}

#[tokio::test]
async fn reloading_by_name_reaches_every_mount_of_the_plugin() {
    let fixture = Fixture::mounted().await;
    fixture.enable("q").await.unwrap();
    let name = "p".parse().unwrap();
    let reloaded = fixture.runtime.reload_plugin(&name).await.unwrap();
    assert_eq!(reloaded, [path("p"), path("q")]);
    assert_eq!(fixture.driver.launched(), 4);
    let unknown = "unknown".parse().unwrap();
    let refused = fixture.runtime.reload_plugin(&unknown).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::EntryNotFound);
    let refused = fixture.runtime.reload_mount(&path("z")).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::MountNotFound);
}

#[tokio::test]
async fn what_outlasts_the_drain_is_cut_off_and_its_mount_is_gone() {
    let fixture = Fixture::mounted().await;
    let stuck = tokio::spawn({
        let runtime = fixture.runtime.clone();
        async move { ask(&runtime, Operation::Update, "p/hold").await }
    });
    eventually("a request is inside", || fixture.driver.calls() == 1).await;
    // Nobody lets it go.
    fixture.runtime.disable(&path("p")).await.unwrap();
    let cut = stuck.await.unwrap().unwrap_err();
    assert_eq!(cut.kind(), ErrorKind::Stopping);
    assert_eq!(fixture.driver.alive(), 0);
}

#[tokio::test]
async fn disabling_finishes_what_is_inside_and_leaves_nothing() {
    let fixture = Fixture::mounted().await;
    let place = format!("logical/{}/", fixture.info().uuid);
    let put = |key: &str| Write::Put {
        key: key.to_owned(),
        value: vec![1],
    };
    let writes = vec![put(&format!("{place}a/b")), put("logical/other/a")];
    fixture.store.commit(Commit::of(writes)).await.unwrap();
    let held = tokio::spawn({
        let runtime = fixture.runtime.clone();
        async move { ask(&runtime, Operation::Update, "p/hold").await }
    });
    eventually("a request is inside", || fixture.driver.calls() == 1).await;
    let disabling = tokio::spawn({
        let runtime = fixture.runtime.clone();
        async move { runtime.disable(&path("p")).await }
    });
    eventually("the route is closed", || {
        fixture.runtime.mounts().is_empty()
    })
    .await;
    let refused = fixture.ask("p/x").await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::MountNotFound);
    assert!(
        fixture.enable("p").await.is_err(),
        "its path is still taken"
    );
    fixture.driver.latest().let_go();
    assert!(held.await.unwrap().is_ok());
    disabling.await.unwrap().unwrap();
    assert_eq!(fixture.driver.alive(), 0);
    assert!(keys(&fixture.store, &place).await.is_empty());
    assert!(keys(&fixture.store, "core/mounts/").await.is_empty());
    assert_eq!(keys(&fixture.store, "logical/other/").await, ["a"]);
    fixture.runtime.disable(&path("p")).await.unwrap();
    fixture.enable("p").await.unwrap();
}

#[tokio::test]
async fn a_server_that_died_while_disabling_finishes_that_when_it_starts() {
    let fixture = Fixture::mounted().await;
    let mount = fixture.runtime.inner.table.get(&path("p")).unwrap();
    let record = super::record::Record {
        disabling: true,
        ..super::record::Record::clone(&mount.record())
    };
    record.update(&*fixture.store).await.unwrap();
    let fixture = fixture.restarted().await;
    assert!(fixture.runtime.mounts().is_empty());
    assert!(keys(&fixture.store, "core/mounts/").await.is_empty());
}

#[tokio::test]
async fn after_a_restart_mounts_are_listed_and_start_with_their_first_request() {
    let fixture = Fixture::mounted().await;
    let before = fixture.info();
    let fixture = fixture.restarted().await;
    let after = fixture.info();
    assert_eq!((after.uuid, after.accessor), (before.uuid, before.accessor));
    assert_eq!(after.running_sha256, before.running_sha256);
    assert_eq!((after.running, fixture.driver.launched()), (false, 0));
    assert_eq!(fixture.start().await, 1);
    assert!(fixture.info().running);
    assert_eq!(fixture.driver.initialized(), 1);
}

#[tokio::test]
async fn a_mount_that_cannot_start_after_a_restart_stays_and_is_healed_by_a_reload() {
    let fixture = Fixture::mounted().await.restarted().await;
    let file = fixture.folder.path().join("p");
    std::fs::write(&file, other_executable()).unwrap();
    let refused = fixture.ask("p/x").await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::DigestMismatch);
    assert_eq!(fixture.runtime.mounts().len(), 1);
    std::fs::write(&file, executable()).unwrap();
    fixture.runtime.reload_mount(&path("p")).await.unwrap();
    assert_eq!(fixture.start().await, 1);
}

#[tokio::test]
async fn a_new_mount_of_a_versioned_plugin_is_pinned_to_the_highest() {
    let fixture = Fixture::new().await;
    for version in ["v1.2.0", "v1.10.0"] {
        let manifest = Manifest {
            version: version.to_owned(),
            sha256: hex::encode(Sha256::digest(executable())),
            ..manifest("p")
        };
        fixture.runtime.register(manifest).await.unwrap();
    }
    let info = fixture.enable("p").await.unwrap();
    assert_eq!(info.version.unwrap().to_string(), "v1.10.0");
    assert_eq!(info.running_version, "v1.10.0");
}

#[tokio::test]
async fn a_shutdown_drains_stops_everything_and_refuses_what_comes_later() {
    let fixture = Fixture::mounted().await;
    fixture.enable("q").await.unwrap();
    let held = tokio::spawn({
        let runtime = fixture.runtime.clone();
        async move { ask(&runtime, Operation::Update, "p/hold").await }
    });
    eventually("a request is inside", || fixture.driver.calls() == 1).await;
    let stopping = tokio::spawn({
        let runtime = fixture.runtime.clone();
        async move { runtime.shutdown().await }
    });
    eventually("the gate is closed", || fixture.runtime.inner.is_stopping()).await;
    fixture.driver.first().let_go();
    assert!(held.await.unwrap().is_ok());
    stopping.await.unwrap();
    assert_eq!(fixture.driver.alive(), 0);
    assert_eq!(
        fixture.ask("p/x").await.unwrap_err().kind(),
        ErrorKind::Stopping
    );
    assert_eq!(
        fixture.enable("r").await.unwrap_err().kind(),
        ErrorKind::Stopping
    );
    let refused = fixture.runtime.register(manifest("p")).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Stopping);
}

#[tokio::test]
async fn a_shutdown_gives_up_starts_that_hang() {
    let fixture = Fixture::mounted().await;
    fixture.driver.next_starts([Start::Hanging]);
    let enabling = tokio::spawn({
        let runtime = fixture.runtime.clone();
        async move { runtime.enable(path("q"), new_mount()).await }
    });
    eventually("the start hangs", || fixture.driver.launched() == 2).await;
    let begun = Instant::now();
    fixture.runtime.shutdown().await;
    assert!(begun.elapsed() < Duration::from_secs(4));
    let refused = enabling.await.unwrap().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Stopping);
    assert_eq!(fixture.driver.alive(), 0);
}

#[tokio::test]
async fn a_runtime_that_is_dropped_stops_its_plugins() {
    let fixture = Fixture::mounted().await;
    let driver = fixture.driver.clone();
    drop(fixture);
    eventually("everything is stopped", || driver.alive() == 0).await;
}

#[tokio::test]
async fn an_enabling_whose_caller_goes_away_is_finished_all_the_same() {
    let fixture = Fixture::mounted().await;
    fixture.driver.next_starts([Start::Hanging]);
    let caller = tokio::time::timeout(
        Duration::from_millis(50),
        fixture.runtime.enable(path("q"), new_mount()),
    );
    assert!(caller.await.is_err());
    fixture.driver.release();
    eventually("the mount is there", || fixture.runtime.mounts().len() == 2).await;
}

#[tokio::test]
async fn components_and_processes_find_their_own_drivers() {
    let fixture = Fixture::mounted().await;
    assert_eq!(fixture.info().runtime, RuntimeKind::Native);
    std::fs::write(fixture.folder.path().join("c"), COMPONENT).unwrap();
    fixture.runtime.register(manifest("c")).await.unwrap();
    let mount = NewMount {
        plugin: "c".to_owned(),
        plugin_type: Some(PluginType::Secret),
        ..NewMount::default()
    };
    let info = fixture.runtime.enable(path("c"), mount).await.unwrap();
    assert_eq!(info.runtime, RuntimeKind::Wasm);
}

#[tokio::test]
async fn a_runtime_that_lacks_parts_names_them_all() {
    let error = match Runtime::builder().build().await {
        Ok(_) => panic!("it was built of nothing"),
        Err(error) => error.to_string(),
    };
    assert!(
        error.contains("enter_worker()") && error.contains("store"),
        "{error}"
    );
}

#[tokio::test]
async fn a_start_takes_over_what_its_entry_may_log() {
    let fixture = Fixture::mounted().await;
    let mount = fixture.runtime.inner.table.all().remove(0);
    assert_eq!(mount.services().log().bytes_max(), 64 << 10);
    let manifest = Manifest {
        sha256: hex::encode(Sha256::digest(executable())),
        limits: [("log_bytes".to_owned(), "0".to_owned())].into(),
        ..manifest("p")
    };
    fixture.runtime.register(manifest).await.unwrap();
    fixture.enable("q").await.unwrap();
    let mounts = fixture.runtime.inner.table.all();
    let mut limits: Vec<_> = mounts
        .iter()
        .map(|m| m.services().log().bytes_max())
        .collect();
    limits.sort_unstable();
    assert_eq!(limits, [0, 64 << 10]);
}
