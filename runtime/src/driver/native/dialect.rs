//! What a process is asked for at its start: as what kind of plugin it shall serve, in which version of the protocol,
//! and whether behind TLS.

use palisade_protocol::env::Application;
use palisade_protocol::version::{
    BACKEND_PROTOCOL_VERSION, DATABASE_PROTOCOL_VERSIONS, OLD_PROTOCOL_VERSIONS, offer,
};

/// How a host talks to a plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// A secrets or auth plugin, with mutual TLS.
    Backend,
    /// A secrets or auth plugin of old that shall only tell what it is. Its TLS would take a wrapping token, so what is
    /// said is in plain text: nothing is secret, and the socket is in a folder that only this user enters.
    Metadata,
    /// A database plugin, with mutual TLS.
    Database,
}

impl Dialect {
    pub(super) fn application(self) -> Application {
        match self {
            Self::Backend | Self::Metadata => Application::Backend,
            Self::Database => Application::Database,
        }
    }

    /// The versions offered, lowest first.
    pub(super) fn versions(self) -> &'static [u32] {
        match self {
            Self::Backend => &[BACKEND_PROTOCOL_VERSION],
            Self::Metadata => &OLD_PROTOCOL_VERSIONS,
            Self::Database => &DATABASE_PROTOCOL_VERSIONS,
        }
    }

    /// Whether both sides have to prove who they are.
    pub(super) fn has_tls(self) -> bool {
        self != Self::Metadata
    }

    /// The protocol by its name.
    pub(super) fn protocol(self) -> &'static str {
        match self.application() {
            Application::Backend => "backend protocol",
            Application::Database => "database protocol",
        }
    }

    /// The versions for people.
    pub(super) fn offered(self) -> String {
        offer(self.versions()).replace(',', " and ")
    }
}
