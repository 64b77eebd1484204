//! The plugin that the tests of the native driver start: this very test executable, in another role.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "what is printed is what is tested"
)]

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use palisade_native_shim::serve;
use palisade_protocol::cert::Identity;
use palisade_protocol::handshake::{Address, Handshake};
use palisade_runtime::contract::{
    Backend, Description, Existence, Host, Json, LogLevel, LogRecord, Operation, Plugin,
    PluginError, PluginType, Request, Response, SetupConfig, StorageEntry, Transaction,
    TransactionMode,
};
use rustix::process::set_parent_process_death_signal;
use serde_json::json;

use super::attack::{self, Victim};

/// Set for a process of this executable that plays a part; by the protocol, and again for what a plugin starts, because
/// a plugin forgets the variables of its launch.
pub(crate) const PLUGIN_VARIABLE: &str = "VAULT_BACKEND_PLUGIN";

/// Plays the part that the first argument names.
pub(crate) fn run() -> ExitCode {
    let part = std::env::args().nth(1).unwrap_or_default();
    match part.as_str() {
        "serve" => serve(Arc::new(TestPlugin(PluginType::Secret))),
        "serve-auth" => serve(Arc::new(TestPlugin(PluginType::Auth))),
        "serve-late" => {
            std::thread::sleep(Duration::from_millis(500));
            serve(Arc::new(TestPlugin(PluginType::Secret)))
        }
        "serve-on" => {
            // Of this thread, which was the whole process when its parent made it.
            set_parent_process_death_signal(None).expect("everybody may");
            serve(Arc::new(TestPlugin(PluginType::Secret)))
        }
        "serve-as-a-child" => have_it_served(),
        "serve-orphaned" => have_it_served_and_go(),
        "hang" => park(),
        "drip" => drip(),
        "garbage" => say_and_park(b"hello, I am a plugin\x1b[31m\n"),
        "endless" => say_and_park(&vec![b'x'; 70_000]),
        "exit" => {
            eprintln!("bad luck");
            ExitCode::from(3)
        }
        "no-certificate" => greet(own_socket(), None),
        "elsewhere" => greet(elsewhere(&argument(2)), Some(&identity())),
        "held-by-a-child" => have_it_held("hold"),
        "held-elsewhere" => have_it_held("hold-alone"),
        "hold" => hold(),
        "hold-alone" => {
            rustix::process::setsid().expect("it leads no group yet");
            hold()
        }
        "silent" => greet(own_socket(), Some(&identity())),
        "line" => say_and_park(format!("{}\n", argument(2)).as_bytes()),
        "token" => want_a_token(),
        "fake" => super::fake::run(&argument(2)),
        "child" => {
            rustix::process::setsid().expect("it leads no group yet");
            park()
        }
        "hold-memory" => {
            let held = std::hint::black_box(vec![1_u8; 16 << 20]);
            say_and_wait(b"!");
            drop(held);
            ExitCode::SUCCESS
        }
        "itself" => {
            println!("the same executable");
            ExitCode::SUCCESS
        }
        other => panic!("no part {other:?}"),
    }
}

fn argument(number: usize) -> String {
    std::env::args().nth(number).unwrap_or_default()
}

/// Ends as a plugin of old without a wrapping token, after it could be seen.
fn want_a_token() -> ExitCode {
    std::thread::sleep(Duration::from_millis(200));
    let words = r#"{"@level":"error","@message":"plugin tls init","error":"no token"}"#;
    eprintln!("{words}");
    ExitCode::SUCCESS
}

fn park() -> ! {
    loop {
        std::thread::park();
    }
}

/// A line that is never done, of which something always comes.
fn drip() -> ! {
    let mut stdout = std::io::stdout();
    loop {
        // It goes on when nobody listens any more: it has to be ended.
        let _ = stdout.write_all(b"1").and_then(|()| stdout.flush());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Until standard input ends.
fn say_and_wait(bytes: &[u8]) {
    let mut stdout = std::io::stdout();
    let said = stdout.write_all(bytes).and_then(|()| stdout.flush());
    said.expect("somebody reads");
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}

fn say_and_park(bytes: &[u8]) -> ! {
    let mut stdout = std::io::stdout();
    stdout
        .write_all(bytes)
        .and_then(|()| stdout.flush())
        .expect("the host reads");
    park()
}

/// Prints a handshake and then does nothing.
fn greet(address: Address, identity: Option<&Identity>) -> ExitCode {
    let handshake = Handshake {
        protocol_version: 5,
        address,
        certificate: identity.map(|identity| identity.certificate().clone()),
        multiplex: None,
    };
    say_and_park(format!("{handshake}\n").as_bytes())
}

fn identity() -> Identity {
    Identity::generate().expect("an identity can be made")
}

/// A socket where it should be, on which nobody ever answers.
fn own_socket() -> Address {
    let folder = std::env::var("PLUGIN_UNIX_SOCKET_DIR").expect("the host sets it");
    let path = std::path::Path::new(&folder).join("plugin1");
    std::mem::forget(std::os::unix::net::UnixListener::bind(&path).expect("the folder is ours"));
    Address::Unix(path)
}

/// A socket where it should be, which another process holds; the handshake is this one's.
fn have_it_held(part: &str) -> ExitCode {
    let mut holder = Command::new("/proc/self/exe")
        .arg(part)
        .stdout(Stdio::piped())
        .spawn()
        .expect("it can start itself");
    let mut held = holder.stdout.take().expect("it was asked for");
    held.read_exact(&mut [0]).expect("it says when it is there");
    let folder = std::env::var("PLUGIN_UNIX_SOCKET_DIR").expect("the host sets it");
    let path = std::path::Path::new(&folder).join("plugin1");
    greet(Address::Unix(path), Some(&identity()));
    // Not before both are ended.
    drop(holder.wait());
    ExitCode::FAILURE
}

fn hold() -> ! {
    own_socket();
    say_and_park(b"!")
}

/// A place that is no socket in its own folder, though it may lead to the one that the test listens on.
fn elsewhere(kind: &str) -> Address {
    let decoy = PathBuf::from(std::env::var("DECOY").expect("the test sets it"));
    let folder = PathBuf::from(std::env::var("PLUGIN_UNIX_SOCKET_DIR").expect("the host sets it"));
    let own = folder.join("plugin1");
    Address::Unix(match kind {
        "decoy" => decoy,
        "link" => {
            symlink(decoy, &own).expect("the folder is ours");
            own
        }
        "file" => {
            std::fs::write(&own, "").expect("the folder is ours");
            own
        }
        "beneath" => {
            let deeper = folder.join("deeper");
            std::fs::create_dir(&deeper).expect("the folder is ours");
            let path = deeper.join("plugin1");
            std::mem::forget(UnixListener::bind(&path).expect("the folder is ours"));
            path
        }
        "dots" => folder
            .join("..")
            .join(decoy.strip_prefix("/").expect("it is absolute")),
        "missing" => own,
        "relative" => "plugin1".into(),
        "abstract" => "@plugin1".into(),
        "long" => format!("/{}", "x".repeat(199)).into(),
        other => panic!("no place {other:?}"),
    })
}

/// A child that serves on this process's output, for which this one waits.
fn have_it_served() -> ExitCode {
    let mut child = serving_child("serve");
    let _ = child.wait();
    ExitCode::FAILURE
}

/// A child that serves a moment after this process has ended.
fn have_it_served_and_go() -> ExitCode {
    drop(serving_child("serve-late"));
    ExitCode::SUCCESS
}

fn serving_child(part: &str) -> Child {
    let mut child = Command::new("/proc/self/exe");
    child.arg(part).spawn().expect("it can start itself")
}

struct TestPlugin(PluginType);

#[async_trait]
impl Plugin for TestPlugin {
    fn describe(&self) -> Description {
        let mut description = Description::new(self.0, "v1.2.3");
        description.special_paths.root = vec!["root/*".to_owned()];
        description
    }

    async fn setup(
        &self,
        config: SetupConfig,
        host: &dyn Host,
    ) -> Result<Box<dyn Backend>, PluginError> {
        if let Some(text) = config.options.get("fail_setup") {
            return Err(PluginError::unknown(text));
        }
        if let Some(key) = config.options.get("write_in_setup") {
            host.storage().put(StorageEntry::new(key, "x")).await?;
        }
        if config.options.contains_key("hang_setup") {
            std::future::pending::<()>().await;
        }
        let spin_in_cleanup = config.options.get("spin_in_cleanup");
        let spin_in_cleanup = spin_in_cleanup.map(|text| text.parse().expect("a number"));
        BACKENDS.fetch_add(1, Ordering::SeqCst);
        Ok(Box::new(TestBackend {
            uuid: config.backend_uuid,
            cache: Mutex::default(),
            spin_in_cleanup: spin_in_cleanup.map(Duration::from_millis),
        }))
    }
}

/// How many mounts this process knows.
static BACKENDS: AtomicUsize = AtomicUsize::new(0);

impl Drop for TestBackend {
    fn drop(&mut self) {
        BACKENDS.fetch_sub(1, Ordering::SeqCst);
    }
}

struct TestBackend {
    uuid: String,
    cache: Mutex<HashMap<String, Option<String>>>,
    spin_in_cleanup: Option<Duration>,
}

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
        let (first, rest) = request.path.split_once('/').unwrap_or((&request.path, ""));
        match first {
            "echo" => answer(json!({
                "operation": request.operation.as_str(),
                "data": request.data.as_str(),
                "mount_point": request.mount_point,
                "uuid": self.uuid,
            })),
            "store" => store(&request, rest, host).await,
            "cached" => answer(json!(self.cached(rest, host).await?)),
            "transaction" => transaction(rest, host).await,
            "begin-many" => begin_many(host).await,
            "environment" => answer(json!(environment())),
            "descriptors" => answer(json!(descriptors())),
            "process" => answer(json!({
                "directory": std::env::current_dir().expect("there is one"),
                "arguments": std::env::args().collect::<Vec<_>>(),
                "limits": std::fs::read_to_string("/proc/self/limits").expect("it is there"),
            })),
            "fail" => Err(PluginError::invalid_request("as asked")),
            "backends" => answer(json!(BACKENDS.load(Ordering::SeqCst))),
            "none" => Ok(None),
            "abort" => std::process::abort(),
            "wait" => {
                tokio::time::sleep(Duration::from_millis(rest.parse().unwrap_or(0))).await;
                answer(json!({ "left": host.time_left().map(|left| left.as_millis()) }))
            }
            "late-store" => {
                tokio::time::sleep(Duration::from_millis(rest.parse().unwrap_or(0))).await;
                host.storage().put(StorageEntry::new("late", "x")).await?;
                Ok(None)
            }
            "big" => answer(json!({ "x": "x".repeat(rest.parse().unwrap_or(0)) })),
            "print" => {
                println!("printed {rest}");
                host.log(LogRecord {
                    level: LogLevel::Warn,
                    message: rest,
                    fields: &[("a", "b")],
                });
                Ok(None)
            }
            "system" => system(host).await,
            "child" => answer(json!(child())),
            "attack" => answer(json!(attack::successes(&told::<Victim>(&request)?))),
            "privileges" => answer(json!(attack::privileges())),
            "hog" => answer(json!(hog(rest.parse().unwrap_or(0)))),
            "multiply" => answer(json!(attack::multiply(rest.parse().unwrap_or(0)))),
            "write" => answer(json!(
                std::fs::write(told::<String>(&request)?, "x").is_ok()
            )),
            "fill" => answer(json!(fill_temporary_folder())),
            "write-beside-sockets" => answer(json!(attack::largest_file("large".as_ref()))),
            "descriptors-at-most" => answer(json!(attack::descriptors(rest.parse().unwrap_or(0)))),
            "sockets-at-most" => answer(json!(attack::sockets(rest.parse().unwrap_or(0)))),
            "hog-with-children" => answer(json!(hog_with_children(rest.parse().unwrap_or(0)))),
            "spin" => answer(json!(spin(rest.parse().unwrap_or(0)))),
            "change-itself" => answer(json!(changed_itself())),
            "execute-itself" => answer(json!(executed_itself())),
            _ => Err(PluginError::unsupported_path()),
        }
    }

    async fn check_existence(
        &self,
        request: Request,
        host: &dyn Host,
    ) -> Result<Existence, PluginError> {
        let Some(key) = request.path.strip_prefix("store/") else {
            return Ok(Existence::Unchecked);
        };
        let found = host.storage().get(key).await?;
        Ok(if found.is_some() {
            Existence::Present
        } else {
            Existence::Absent
        })
    }

    async fn invalidate_key(&self, key: &str, _: &dyn Host) {
        self.cache.lock().expect("nobody panics").remove(key);
    }

    async fn cleanup(&self, host: &dyn Host) {
        // Without a point at which others could have the thread.
        if let Some(time) = self.spin_in_cleanup {
            std::thread::sleep(time);
        }
        let _ = host
            .storage()
            .put(StorageEntry::new("cleaned", "yes"))
            .await;
    }
}

impl TestBackend {
    /// What a key holds, or held when it was read first.
    async fn cached(&self, key: &str, host: &dyn Host) -> Result<Option<String>, PluginError> {
        if let Some(found) = self.cache.lock().expect("nobody panics").get(key) {
            return Ok(found.clone());
        }
        let found = host.storage().get(key).await?;
        let value = found.map(|entry| String::from_utf8_lossy(&entry.value).into_owned());
        let mut cache = self.cache.lock().expect("nobody panics");
        cache.insert(key.to_owned(), value.clone());
        Ok(value)
    }
}

fn answer(data: serde_json::Value) -> Result<Option<Response>, PluginError> {
    let data = if data.is_object() {
        data
    } else {
        json!({ "value": data })
    };
    Ok(Some(Response::with_data(Json::of(&data)?)))
}

async fn store(
    request: &Request,
    key: &str,
    host: &dyn Host,
) -> Result<Option<Response>, PluginError> {
    let storage = host.storage();
    match request.operation {
        Operation::List => answer(json!(storage.list(key).await?)),
        Operation::Delete => {
            storage.delete(key).await?;
            Ok(None)
        }
        Operation::Read => {
            let found = storage.get(key).await?;
            answer(json!(found.map(|entry| {
                String::from_utf8_lossy(&entry.value).into_owned()
            })))
        }
        _ => {
            storage
                .put(StorageEntry::new(key, request.data.as_str()))
                .await?;
            Ok(None)
        }
    }
}

async fn transaction(how: &str, host: &dyn Host) -> Result<Option<Response>, PluginError> {
    let storage = host.storage();
    let open = storage.begin(TransactionMode::ReadWrite).await?;
    open.get("t/a").await?;
    open.put(StorageEntry::new("t/a", "inside")).await?;
    open.put(StorageEntry::new("t/b", "inside")).await?;
    let seen = storage.get("t/a").await?.is_some();
    end(how, open, host).await?;
    let after = storage.list("t/").await?;
    answer(json!({ "seen_outside": seen, "after": after }))
}

async fn end(how: &str, open: Box<dyn Transaction>, host: &dyn Host) -> Result<(), PluginError> {
    match how {
        "commit" => open.commit().await?,
        "rollback" => open.rollback().await?,
        "race" => {
            host.storage()
                .put(StorageEntry::new("t/a", "outside"))
                .await?;
            open.commit().await?;
        }
        "die" => std::process::abort(),
        _ => std::mem::forget(open),
    }
    Ok(())
}

async fn begin_many(host: &dyn Host) -> Result<Option<Response>, PluginError> {
    let mut open = Vec::new();
    loop {
        match host.storage().begin(TransactionMode::ReadOnly).await {
            Ok(one) => open.push(one),
            Err(error) => return answer(json!({ "open": open.len(), "error": error.message })),
        }
    }
}

async fn system(host: &dyn Host) -> Result<Option<Response>, PluginError> {
    let system = host.system();
    answer(json!({
        "default_lease_ttl": system.default_lease_ttl().await?.as_secs(),
        "max_lease_ttl": system.max_lease_ttl().await?.as_secs(),
        "tainted": system.tainted().await?,
        "version": system.plugin_environment().await?.version,
        "password": system.generate_password("").await.map_err(|error| error.message),
        "entity": system.entity("none").await?.is_some(),
    }))
}

fn environment() -> Vec<String> {
    let read = std::fs::read("/proc/self/environ").expect("it is there");
    let text = String::from_utf8_lossy(&read).into_owned();
    text.split('\0')
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect()
}

fn descriptors() -> Vec<String> {
    let entries = std::fs::read_dir("/proc/self/fd").expect("it is there");
    let targets = entries
        .flatten()
        .filter_map(|entry| std::fs::read_link(entry.path()).ok());
    targets
        .map(|target| target.to_string_lossy().into_owned())
        .collect()
}

/// Keeps a thread for each processor busy for so many milliseconds.
fn spin(milliseconds: u64) {
    let until = Instant::now() + Duration::from_millis(milliseconds);
    let spin = move || while Instant::now() < until {};
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let threads: Vec<_> = (0..processors).map(|_| std::thread::spawn(spin)).collect();
    for thread in threads {
        thread.join().expect("it only looks at the clock");
    }
}

/// Starts a process in a session of its own, which no kill of a group reaches.
fn child() -> u32 {
    let mut child = Command::new("/proc/self/exe");
    let child = child.arg("child").env(PLUGIN_VARIABLE, "").spawn();
    child.expect("it can execute itself").id()
}

/// What this executable says when it is started by the path that it believes to have.
fn executed_itself() -> Option<String> {
    let path = std::env::current_exe().ok()?;
    let mut again = Command::new(path);
    let output = again.arg("itself").env(PLUGIN_VARIABLE, "").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    Some(text.trim().to_owned())
}

/// Ways in which this process changed the file that it finds itself as.
fn changed_itself() -> Vec<&'static str> {
    let Ok(path) = std::env::current_exe() else {
        return vec!["it is gone"];
    };
    let other = "/tmp/other";
    std::fs::write(other, "something else").expect("the folder is its own");
    let opened = std::fs::OpenOptions::new().write(true).open(&path);
    let deeds = [
        ("write", opened.is_ok()),
        ("replace", std::fs::rename(other, &path).is_ok()),
        ("copy over", std::fs::copy("/tmp/other", &path).is_ok()),
        ("remove", std::fs::remove_file(&path).is_ok()),
        ("make files beside it", std::fs::write("/other", "").is_ok()),
    ];
    deeds
        .into_iter()
        .filter(|(_, done)| *done)
        .map(|(deed, _)| deed)
        .collect()
}

/// How many mebibytes its temporary folder took, of 64.
fn fill_temporary_folder() -> usize {
    let mut file = std::fs::File::create("/tmp/fill").expect("the folder is its own");
    let mebibyte = vec![1; 1 << 20];
    (0..64)
        .take_while(|_| file.write_all(&mebibyte).is_ok())
        .count()
}

/// Takes and touches so many mebibytes.
fn hog(mebibytes: usize) -> usize {
    std::hint::black_box(vec![1_u8; mebibytes << 20]).len()
}

/// So many children take 16 MiB each; how many hold them at the same time.
fn hog_with_children(children: usize) -> usize {
    let start = |_| {
        let mut child = Command::new("/proc/self/exe");
        let child = child.arg("hold-memory").env(PLUGIN_VARIABLE, "");
        let child = child.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        child.expect("it can execute itself")
    };
    let mut children: Vec<_> = (0..children).map(start).collect();
    for child in &mut children {
        // It says so when it has it. Who is ended says nothing, or has said it before.
        let said = child.stdout.as_mut().expect("it was asked for");
        let _ = said.read_exact(&mut [0]);
    }
    let holds = |child: &mut Child| matches!(child.try_wait(), Ok(None));
    let holding = children
        .iter_mut()
        .filter_map(|child| holds(child).then_some(()));
    let holding = holding.count();
    for mut child in children {
        drop(child.stdin.take());
        let _ = child.wait();
    }
    holding
}

fn told<T: serde::de::DeserializeOwned>(request: &Request) -> Result<T, PluginError> {
    serde_json::from_str(request.data.as_str())
        .map_err(|fault| PluginError::invalid_request(fault.to_string()))
}
