//! Plugins that are asked for what never ends, again and again.

use std::net::SocketAddr;

use http::Method;
use tokio::task::JoinHandle;

use palisade_demo::http::Client;

/// The name of a plugin that spins, and where it is mounted.
pub(super) fn name(number: usize) -> String {
    format!("spinner-{number}")
}

/// One client for each of them.
pub(super) struct Spinners(Vec<JoinHandle<()>>);

impl Spinners {
    /// Has so many plugins spin, until it is stopped. Each request is ended by a limit, and the next one follows.
    pub(super) async fn start(
        server: SocketAddr,
        count: usize,
        path: &'static str,
    ) -> anyhow::Result<Self> {
        let mut spinning = Vec::new();
        for number in 0..count {
            let mut client = Client::connect(server).await?;
            let path = format!("{}/{path}", name(number));
            spinning.push(tokio::spawn(async move {
                // What becomes of each is not the question here.
                while client.send(Method::PUT, &path, "{}").await.is_ok() {}
            }));
        }
        Ok(Self(spinning))
    }

    /// Asks no more. Dropping a connection ends its request.
    pub(super) async fn stop(self) {
        for spinning in self.0 {
            spinning.abort();
            let _ = spinning.await;
        }
    }
}
