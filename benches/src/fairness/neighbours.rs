//! Who is busy beside the plugin that is measured: plugins that are asked for what never ends, and components that are
//! compiled one after the other.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use http::Method;
use palisade_demo::http::Client;
use palisade_demo::served::Served;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio::task::JoinHandle;

/// The name of a plugin that spins, and where it is mounted.
pub(super) fn spinner(number: usize) -> String {
    format!("spinner-{number}")
}

/// One client for each of them.
pub(super) struct Neighbours(Vec<JoinHandle<()>>);

impl Neighbours {
    /// Has so many plugins spin, until it is stopped. Each request is ended by a limit, and the next one follows.
    pub(super) async fn spin(
        server: SocketAddr,
        count: usize,
        path: &'static str,
    ) -> anyhow::Result<Self> {
        let mut busy = Vec::new();
        for number in 0..count {
            let mut client = Client::connect(server).await?;
            let path = format!("{}/{path}", spinner(number));
            busy.push(tokio::spawn(async move {
                // What becomes of each is not the question here.
                while client.send(Method::PUT, &path, "{}").await.is_ok() {}
            }));
        }
        Ok(Self(busy))
    }

    /// Has so many clients register and enable components that the server has never seen, one after the other.
    pub(super) async fn compile(
        server: &Served,
        count: usize,
        component: &Path,
    ) -> anyhow::Result<Self> {
        let mut busy = Vec::new();
        for number in 0..count {
            let mut client = Client::connect(server.address()).await?;
            let mut unseen = Unseen {
                name: format!("unseen-{number}"),
                plugins: server.plugins().to_owned(),
                bytes: fs::read(component)?,
            };
            // One that is refused would leave the server idle.
            unseen.come_and_go(&mut client).await?;
            busy.push(tokio::spawn(async move {
                while unseen.come_and_go(&mut client).await.is_ok() {}
            }));
        }
        Ok(Self(busy))
    }

    /// Asks no more. Dropping a connection ends its request.
    pub(super) async fn stop(self) {
        for busy in self.0 {
            busy.abort();
            let _ = busy.await;
        }
    }
}

/// A component whose bytes are others each time.
struct Unseen {
    name: String,
    plugins: PathBuf,
    bytes: Vec<u8>,
}

impl Unseen {
    /// Registers and enables it, for which it is compiled, and forgets it again.
    async fn come_and_go(&mut self, client: &mut Client) -> anyhow::Result<()> {
        self.change();
        let Self { name, bytes, .. } = self;
        let file = format!("{name}.wasm");
        fs::write(self.plugins.join(&file), &bytes)?;
        let digest = hex::encode(Sha256::digest(&bytes));
        let entry = json!({ "sha256": digest, "command": file });
        client.register(name, &entry).await?;
        client.enable(name).await?;
        for path in [
            format!("sys/mounts/{name}"),
            format!("sys/plugins/catalog/secret/{name}"),
        ] {
            client.expect(Method::DELETE, &path, "").await?;
        }
        Ok(())
    }

    /// Adds an empty custom section, which leaves the component as it was.
    fn change(&mut self) {
        const EMPTY: [u8; 3] = [0, 1, 0]; // the section's number, its length, and the length of its name
        self.bytes.extend(EMPTY);
    }
}
