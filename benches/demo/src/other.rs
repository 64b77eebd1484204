//! The other servers: Vault's own core, and OpenBao. Both are started as `-dev` starts them: a store in memory, no audit.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::ensure;
use http::Method;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::NamedTempFile;

use crate::built::{peer, target_directory};
use crate::http::Client;
use crate::served::{TOKEN, development, free_address};

/// How long one may take until it answers.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long one may take to end when it is asked to.
const GRACE: Duration = Duration::from_secs(10);

/// A server of the same family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Other {
    /// Vault's core, behind its own HTTP handlers.
    VaultCore,
    /// OpenBao, as it is released.
    OpenBao,
}

/// One of them, while it serves. Dropping it ends it.
pub struct Running {
    child: Child,
    address: SocketAddr,
    /// What it prints.
    words: NamedTempFile,
}

impl Other {
    /// What it is called in a table.
    pub fn title(self) -> &'static str {
        match self {
            Self::VaultCore => "Vault's core",
            Self::OpenBao => "OpenBao",
        }
    }

    /// The plugins that are asked, which are peers: the mock of its own SDK, and of another that it runs.
    pub fn mocks(self) -> &'static [&'static str] {
        match self {
            Self::VaultCore => &["vault-mock"],
            Self::OpenBao => &["bao-mock", "vault-mock"],
        }
    }

    /// Starts it with this plugin directory, and waits until it answers.
    ///
    /// # Errors
    ///
    /// When it is not here, or does not start.
    pub async fn start(self, plugins: &Path) -> anyhow::Result<Running> {
        let address = free_address()?;
        let program = self.program();
        ensure!(
            program.exists(),
            "{} is not here: `cargo xtask bench {}` sees to it",
            self.title(),
            self.part()
        );
        let mut command = Command::new(program);
        command.args(self.arguments(address, plugins));
        let words = NamedTempFile::new()?;
        command.stdin(Stdio::null());
        command.stdout(words.reopen()?).stderr(words.reopen()?);
        let child = command.spawn()?;
        let mut running = Running {
            child,
            address,
            words,
        };
        running.wait_until_it_answers().await?;
        Ok(running)
    }

    /// The part of the benchmark that is about it.
    fn part(self) -> &'static str {
        match self {
            Self::VaultCore => "vault",
            Self::OpenBao => "openbao",
        }
    }

    /// Where its executable is, once it is here.
    pub fn program(self) -> PathBuf {
        match self {
            Self::VaultCore => peer("vault-core"),
            Self::OpenBao => target_directory().join("openbao/bin/bao"),
        }
    }

    fn arguments(self, address: SocketAddr, plugins: &Path) -> Vec<String> {
        match self {
            Self::VaultCore => vec![
                format!("-listen={address}"),
                format!("-plugins={}", plugins.display()),
                format!("-token={TOKEN}"),
            ],
            Self::OpenBao => {
                let mut words = development(address, plugins);
                words.push("-dev-no-store-token".to_owned());
                words
            }
        }
    }
}

impl Running {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// It does when its root token is good for something.
    async fn wait_until_it_answers(&mut self) -> anyhow::Result<()> {
        let patience = Instant::now() + PATIENCE;
        while !self.answers().await {
            let has_ended = self.child.try_wait()?.is_some();
            ensure!(
                !has_ended && Instant::now() < patience,
                "{} did not answer within {PATIENCE:?}: {}",
                self.address,
                std::fs::read_to_string(&self.words)?
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    async fn answers(&self) -> bool {
        match Client::connect(self.address).await {
            Ok(mut client) => client.expect(Method::GET, "sys/mounts", "").await.is_ok(),
            Err(_) => false,
        }
    }
}

impl Drop for Running {
    /// Asks it to end, since the plugins of OpenBao would outlive it if it were killed.
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let until = Instant::now() + GRACE;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
