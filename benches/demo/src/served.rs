//! A dev server on a free port, with a plugin directory of its own.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use sha2::{Digest as _, Sha256};

use crate::built::server;

/// The token that the programs here choose for themselves.
pub const TOKEN: &str = "demo-root";

/// How long the server may take to start or to stop.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running dev server. Dropping it kills it.
pub struct Served {
    child: Child,
    address: SocketAddr,
    plugins: tempfile::TempDir,
}

impl Served {
    /// Starts one with these files in its plugin directory, and waits until it answers.
    ///
    /// # Errors
    ///
    /// When a file is not built, or the server does not start.
    pub fn start(artifacts: &[PathBuf]) -> anyhow::Result<Self> {
        let plugins = tempfile::tempdir()?;
        for artifact in artifacts {
            stage(artifact, plugins.path())?;
        }
        let address = free_address()?;
        let child = Command::new(server())
            .args(development(address, plugins.path()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let server = Self {
            child,
            address,
            plugins,
        };
        server.wait_until_listening()?;
        Ok(server)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The number of its process.
    pub fn process_id(&self) -> u32 {
        self.child.id()
    }

    /// Its plugin directory.
    pub fn plugins(&self) -> &Path {
        self.plugins.path()
    }

    /// The digest of a file in its plugin directory, in hexadecimal.
    ///
    /// # Errors
    ///
    /// When there is no such file.
    pub fn sha256(&self, file: &str) -> anyhow::Result<String> {
        let bytes = fs::read(self.plugins().join(file))?;
        Ok(hex::encode(Sha256::digest(bytes)))
    }

    /// Waits until it has ended.
    ///
    /// # Errors
    ///
    /// When it does not in half a minute.
    pub fn ended(&mut self) -> anyhow::Result<ExitStatus> {
        let patience = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            ensure!(
                Instant::now() < patience,
                "it did not stop within {PATIENCE:?}"
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn wait_until_listening(&self) -> anyhow::Result<()> {
        let patience = Instant::now() + PATIENCE;
        while TcpStream::connect(self.address).is_err() {
            ensure!(
                Instant::now() < patience,
                "it did not listen within {PATIENCE:?}"
            );
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have stopped already; either way nothing is left to be done about a failure here.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An address where nobody listens.
pub(crate) fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// What OpenBao's command line takes for a dev server, and so does this server's.
pub(crate) fn development(address: SocketAddr, plugins: &Path) -> Vec<String> {
    vec![
        "server".to_owned(),
        "-dev".to_owned(),
        format!("-dev-root-token-id={TOKEN}"),
        format!("-dev-listen-address={address}"),
        format!("-dev-plugin-dir={}", plugins.display()),
    ]
}

fn stage(artifact: &Path, plugins: &Path) -> anyhow::Result<()> {
    let name = artifact.file_name().context("an artifact is a file")?;
    fs::copy(artifact, plugins.join(name)).with_context(|| {
        format!(
            "{} is not built: run `cargo xtask guests`",
            artifact.display()
        )
    })?;
    Ok(())
}
