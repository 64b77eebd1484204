//! A server that a test starts, and the command line to talk to it.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_palisade");

/// Long enough for a machine that does other things too.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A server that ends with the test.
pub(crate) struct Server {
    pub(crate) child: Child,
    pub(crate) address: String,
    pub(crate) token: String,
    /// Kept so that the server's log never meets a closed pipe.
    _log: Option<std::process::ChildStderr>,
}

impl Server {
    pub(crate) fn development(flags: &[&str]) -> Self {
        let mut command = Command::new(BINARY);
        command
            .args([
                "server",
                "-dev",
                "-dev-listen-address=127.0.0.1:0",
                "-log-level=error",
            ])
            .args(flags)
            .env("BAO_DEV_ROOT_TOKEN_ID", "root-of-the-test");
        let mut server = Self::start(command);
        server.token = "root-of-the-test".to_owned();
        server
    }

    /// Starts it and waits for its banner.
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = child.stderr.take();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (found, address) = mpsc::channel();
        std::thread::spawn(move || {
            let mut address = None;
            for line in lines.map_while(Result::ok) {
                if let Some(url) = line.trim().strip_prefix("Api Address: ") {
                    address = Some(url.to_owned());
                }
                if line.starts_with("==> Palisade server started!") {
                    let _ = found.send(address.take());
                }
            }
        });
        let Ok(Some(address)) = address.recv_timeout(PATIENCE) else {
            child.kill().unwrap();
            let mut text = String::new();
            let _ = log.unwrap().read_to_string(&mut text);
            panic!("the server did not start: {text}");
        };
        Self {
            child,
            address,
            token: String::new(),
            _log: log,
        }
    }

    pub(crate) fn run(&self, line: &[&str]) -> Output {
        client(&self.address, &self.token)
            .args(line)
            .output()
            .unwrap()
    }

    pub(crate) fn ok(&self, line: &[&str]) -> String {
        succeeded(line, self.run(line))
    }

    pub(crate) fn ok_with(&self, line: &[&str], stdin: &str) -> String {
        let mut child = client(&self.address, &self.token)
            .args(line)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(stdin.as_bytes())
            .unwrap();
        succeeded(line, child.wait_with_output().unwrap())
    }

    /// Asks it to end, and gives its exit status.
    pub(crate) fn stop(mut self) -> ExitStatus {
        send(&self.child, rustix::process::Signal::TERM);
        self.child.wait().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn send(child: &Child, signal: rustix::process::Signal) {
    let id = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    rustix::process::kill_process(id, signal).unwrap();
}

pub(crate) fn succeeded(line: &[&str], output: Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{line:?}: {text}");
    String::from_utf8(output.stdout).unwrap()
}

/// The command line without anything of the machine's own settings.
pub(crate) fn client(address: &str, token: &str) -> Command {
    let mut command = Command::new(BINARY);
    command
        .env_clear()
        .env("BAO_ADDR", address)
        .env("BAO_TOKEN", token)
        .stdin(Stdio::null());
    command
}

/// A configuration, a key and a storage that outlive a server.
pub(crate) struct Installation(tempfile::TempDir);

impl Installation {
    pub(crate) fn new() -> Self {
        let installation = Self(tempfile::tempdir().unwrap());
        installation.write_key(&[7; 32]);
        let folder = installation.0.path().display();
        let text = format!(
            "listener \"tcp\" {{\n  address = \"127.0.0.1:0\"\n  tls_disable = true\n}}\n\
             storage \"redb\" {{ path = \"{folder}/store.redb\" }}\n\
             seal \"static\" {{\n  current_key_id = \"1\"\n  current_key = \"file://{folder}/key\"\n}}\n"
        );
        std::fs::write(installation.path("config.hcl"), text).unwrap();
        installation
    }

    /// Adds settings to the configuration.
    pub(crate) fn append(&self, text: &str) {
        let file = self.path("config.hcl");
        let before = std::fs::read_to_string(&file).unwrap();
        std::fs::write(file, before + text).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        Path::join(self.0.path(), name)
    }

    pub(crate) fn write_key(&self, key: &[u8]) {
        std::fs::write(self.path("key"), key).unwrap();
        std::fs::set_permissions(self.path("key"), std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    pub(crate) fn token(&self) -> String {
        std::fs::read_to_string(self.path("token"))
            .unwrap()
            .trim()
            .to_owned()
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(BINARY);
        command
            .arg("server")
            .arg("-config")
            .arg(self.path("config.hcl"))
            .arg("-root-token-file")
            .arg(self.path("token"))
            .arg("-log-level=error");
        command
    }

    pub(crate) fn start(&self) -> Server {
        Server::start(self.command())
    }
}
