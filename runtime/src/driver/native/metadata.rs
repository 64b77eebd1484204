//! What a plugin of old is: asked in metadata mode, because running it in full takes a wrapping token.
//!
//! Such a plugin has its certificate only behind a token that the server would have to issue. Without TLS it tells its
//! type, version and special paths and refuses every request. Nothing of the mount is told to it, and nothing is served.

use std::time::Duration;

use palisade_contract::{Description, SetupConfig};
use palisade_protocol::pb;
use tokio::time::{Instant, timeout};

use super::client::Client;
use super::process::NativeProcess;
use super::services::Services;
use super::startup::Startup;
use crate::{LaunchError, Limits};

/// What is left of a launch that met the protocol of old.
pub(super) struct OldPlugin {
    /// The version that it announced, if it came so far.
    pub(super) version: Option<u32>,
    /// The failure of the launch as it would be told of a plugin that is not old.
    pub(super) failure: LaunchError,
}

impl OldPlugin {
    /// The error for a plugin that said this of itself in metadata mode, or did not answer there either.
    pub(super) fn explained(self, label: &str, said: Result<Told, LaunchError>) -> LaunchError {
        match (self.version, said) {
            (_, Ok(told)) => old_protocol(label, told.version, Some(told.description)),
            (Some(version), Err(error)) => {
                tracing::info!(plugin = label, %error, "it does not tell what it is");
                old_protocol(label, version, None)
            }
            // That it is old was a guess.
            (None, Err(_)) => self.failure,
        }
    }
}

fn old_protocol(label: &str, version: u32, description: Option<Description>) -> LaunchError {
    LaunchError::OldProtocol {
        plugin: label.to_owned(),
        version,
        description: description.map(Box::new),
    }
}

/// What a plugin told in metadata mode.
pub(super) struct Told {
    /// The version of the protocol.
    pub(super) version: u32,
    pub(super) description: Description,
}

/// Asks a process that runs in metadata mode what it is, and ends it.
pub(super) async fn ask(
    process: &NativeProcess,
    label: &str,
    startup: &Startup<'_>,
    grace: Duration,
) -> Result<Description, LaunchError> {
    let description = describe(process, label, startup).await;
    process.stop(Instant::now() + grace).await;
    description
}

async fn describe(
    process: &NativeProcess,
    label: &str,
    startup: &Startup<'_>,
) -> Result<Description, LaunchError> {
    // Its setup dials this, and finds every service unimplemented.
    let brokered = process.broker().serve(Services::None).await;
    let brokered = brokered.map_err(|fault| startup.failed(fault))?;
    let client = Client::new(process.wire(), &Limits::default());
    client
        .set_up(startup, label, SetupConfig::default(), brokered.id())
        .await?;
    let said = client.ask(startup).await?;
    let plugin_type = said.plugin_type(label)?;
    let cleanup = client.request(pb::Empty {}, startup.deadline());
    let mut backend = client.backend.clone();
    let _ = timeout(CLEANUP_TIMEOUT, backend.cleanup(cleanup)).await;
    Ok(said.into_description(plugin_type))
}

/// How long a plugin may take to forget what little it was told.
const CLEANUP_TIMEOUT: Duration = Duration::from_secs(1);
