//! The calls into a plugin's process that one instance makes, each under the instance's name.

use std::time::Duration;

use palisade_contract::{
    CONTRACT_VERSION, Description, PluginError, PluginType, SetupConfig, SpecialPaths,
};
use palisade_protocol::logical::plugin_version_client::PluginVersionClient;
use palisade_protocol::multiplexing::MultiplexingSupportRequest;
use palisade_protocol::multiplexing::plugin_multiplexing_client::PluginMultiplexingClient;
use palisade_protocol::pb::backend_client::BackendClient;
use palisade_protocol::{MULTIPLEX_ID, logical, pb};
use tokio::time::timeout;
use tonic::metadata::{Ascii, MetadataValue};
use uuid::Uuid;

use super::startup::Startup;
use super::wire::Wire;
use crate::services::Deadline;
use crate::{LaunchError, Limits};

/// What a message may have on top of its body, in bytes: headers, warnings, lease data.
const ENVELOPE_BYTES: u64 = 1 << 20;

/// The length of an instance's name, as OpenBao's hosts choose it.
const MULTIPLEX_ID_CHARS: usize = 10;

/// Learns whether one process could serve many instances. The name of the instance is sent either way; what the answer
/// decides is whether a second one may use this process.
pub(super) async fn ask_multiplexing(
    wire: Wire,
    startup: &Startup<'_>,
) -> Result<bool, LaunchError> {
    let mut client = PluginMultiplexingClient::with_origin(wire, Wire::origin());
    let question = client.multiplexing_support(MultiplexingSupportRequest {});
    Ok(startup
        .optional("multiplexing probe", question)
        .await?
        .supported)
}

/// A name that tells the instances of one process apart. It proves nothing.
#[derive(Clone)]
pub(super) struct InstanceName(MetadataValue<Ascii>);

impl InstanceName {
    /// One that nobody else has.
    pub(super) fn fresh() -> Self {
        let mut name = Uuid::new_v4().simple().to_string();
        name.truncate(MULTIPLEX_ID_CHARS);
        Self(name.parse().expect("hexadecimal digits are plain ASCII"))
    }

    /// A request under this name that says until when it is waited for.
    pub(super) fn request<T>(&self, message: T, deadline: Deadline) -> tonic::Request<T> {
        let mut request = tonic::Request::new(message);
        request.metadata_mut().insert(MULTIPLEX_ID, self.0.clone());
        request.set_timeout(deadline.left());
        request
    }
}

/// The most that a message of this instance may have, in bytes.
pub(super) fn message_bytes_max(limits: &Limits) -> usize {
    let bytes_max = limits.message_bytes.saturating_add(ENVELOPE_BYTES);
    usize::try_from(bytes_max).unwrap_or(usize::MAX)
}

/// Calls of one backend.
pub(super) struct Client {
    pub(super) backend: BackendClient<Wire>,
    version: PluginVersionClient<Wire>,
    name: InstanceName,
}

/// What a plugin says of itself, its type as the number that came.
pub(super) struct Said {
    pub(super) type_number: u32,
    pub(super) version: String,
    pub(super) special_paths: SpecialPaths,
}

impl Client {
    pub(super) fn new(wire: Wire, limits: &Limits) -> Self {
        Self {
            backend: BackendClient::with_origin(wire.clone(), Wire::origin())
                .max_decoding_message_size(message_bytes_max(limits)),
            version: PluginVersionClient::with_origin(wire, Wire::origin()),
            name: InstanceName::fresh(),
        }
    }

    /// A request under this instance's name that says until when it is waited for.
    pub(super) fn request<T>(&self, message: T, deadline: Deadline) -> tonic::Request<T> {
        self.name.request(message, deadline)
    }

    pub(super) async fn set_up(
        &self,
        startup: &Startup<'_>,
        label: &str,
        config: SetupConfig,
        broker_id: u32,
    ) -> Result<(), LaunchError> {
        let args = self.request(pb::SetupArgs::new(config, broker_id), startup.deadline());
        let mut backend = self.backend.clone();
        let reply = startup.call("setup", backend.setup(args)).await?;
        match reply.err {
            err if err.is_empty() => Ok(()),
            err => Err(LaunchError::Setup {
                plugin: label.to_owned(),
                error: PluginError::unknown(err),
            }),
        }
    }

    pub(super) async fn describe(
        &self,
        startup: &Startup<'_>,
        label: &str,
        expected: PluginType,
    ) -> Result<Description, LaunchError> {
        let said = self.ask(startup).await?;
        let found = said.plugin_type(label)?;
        match found == expected {
            true => Ok(said.into_description(found)),
            false => Err(LaunchError::Type {
                plugin: label.to_owned(),
                expected,
                found,
            }),
        }
    }

    /// Has the plugin forget the mount, as far as it does so in time.
    pub(super) fn say_goodbye(&self, within: Duration) -> impl Future<Output = ()> + use<> {
        let goodbye = self.request(pb::Empty {}, Deadline::after(within));
        let mut backend = self.backend.clone();
        async move {
            let _ = timeout(within, backend.cleanup(goodbye)).await;
        }
    }

    /// Asks what it is, whatever that may be.
    pub(super) async fn ask(&self, startup: &Startup<'_>) -> Result<Said, LaunchError> {
        let (mut backend, mut version) = (self.backend.clone(), self.version.clone());
        let ask = |_: ()| self.request(pb::Empty {}, startup.deadline());
        let type_number = startup.call("type", backend.r#type(ask(()))).await?.r#type;
        let paths = startup
            .call("special paths", backend.special_paths(ask(())))
            .await?
            .paths;
        let ask = self.request(logical::Empty {}, startup.deadline());
        let version = startup
            .optional("version", version.version(ask))
            .await?
            .plugin_version;
        Ok(Said {
            type_number,
            version,
            special_paths: paths.map(Into::into).unwrap_or_default(),
        })
    }
}

impl Said {
    pub(super) fn plugin_type(&self, label: &str) -> Result<PluginType, LaunchError> {
        let number = self.type_number;
        PluginType::from_backend_number(number).ok_or_else(|| LaunchError::Mismatch {
            plugin: label.to_owned(),
            fault: format!("its type has the number {number}; 1 is secret and 2 is auth"),
        })
    }

    pub(super) fn into_description(self, plugin_type: PluginType) -> Description {
        Description {
            plugin_type,
            version: self.version,
            contract_version: CONTRACT_VERSION.to_owned(),
            special_paths: self.special_paths,
        }
    }
}
