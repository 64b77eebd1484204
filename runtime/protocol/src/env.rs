//! The environment through which a host starts a plugin: names, what the host sets, what the plugin reads.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::cert::{CertError, PeerCertificate};
use crate::version;

/// The cookie of secrets and auth plugins, by which a plugin knows that a host started it. It protects nothing.
pub const COOKIE_NAME: &str = "VAULT_BACKEND_PLUGIN";
/// The cookie's value, the same for OpenBao and Vault.
pub const COOKIE_VALUE: &str = "6669da05-b1c8-4f49-97d9-c8e5bed98e20";

/// The cookie of database plugins.
pub const DATABASE_COOKIE_NAME: &str = "VAULT_DATABASE_PLUGIN";
/// Its value.
pub const DATABASE_COOKIE_VALUE: &str = "926a0820-aea2-be28-51d6-83cdf00e8edb";

/// The versions of the application's protocol that the host speaks.
pub const PROTOCOL_VERSIONS: &str = "PLUGIN_PROTOCOL_VERSIONS";
/// The host's certificate, PEM.
pub const CLIENT_CERT: &str = "PLUGIN_CLIENT_CERT";
/// The lowest TCP port; unused on Unix, but malformed values stop a Go plugin.
pub const MIN_PORT: &str = "PLUGIN_MIN_PORT";
/// The highest TCP port.
pub const MAX_PORT: &str = "PLUGIN_MAX_PORT";
/// Set where brokered connections should share the main one.
pub const MULTIPLEX_GRPC: &str = "PLUGIN_MULTIPLEX_GRPC";
/// Where the plugin makes its sockets.
pub const UNIX_SOCKET_DIR: &str = "PLUGIN_UNIX_SOCKET_DIR";
/// Which group may connect to them.
pub const UNIX_SOCKET_GROUP: &str = "PLUGIN_UNIX_SOCKET_GROUP";

/// What is meant for this launch alone. A host does not pass these on, and a plugin removes them once read, or a
/// grandchild would take them for its own.
pub const OF_ONE_LAUNCH: [&str; 9] = [
    COOKIE_NAME,
    DATABASE_COOKIE_NAME,
    PROTOCOL_VERSIONS,
    CLIENT_CERT,
    MIN_PORT,
    MAX_PORT,
    MULTIPLEX_GRPC,
    UNIX_SOCKET_DIR,
    UNIX_SOCKET_GROUP,
];

/// OpenBao's SDK reads the first prefix and then the second, Vault's only the second: hosts set both.
const PREFIXES: [&str; 2] = ["BAO_", "VAULT_"];
const VERSION: &str = "VERSION";
const METADATA_MODE: &str = "PLUGIN_METADATA_MODE";
const AUTOMTLS_ENABLED: &str = "PLUGIN_AUTOMTLS_ENABLED";

/// The longest `PLUGIN_CLIENT_CERT` that is parsed.
const PEM_BYTES_MAX: usize = 32 * 1024;

/// What a plugin is for, as far as go-plugin tells its kinds apart: by their cookies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Application {
    /// Secrets and auth plugins.
    Backend,
    /// Database plugins.
    Database,
}

impl Application {
    fn cookie(self) -> (&'static str, &'static str) {
        match self {
            Self::Backend => (COOKIE_NAME, COOKIE_VALUE),
            Self::Database => (DATABASE_COOKIE_NAME, DATABASE_COOKIE_VALUE),
        }
    }
}

/// What a host sets to start a plugin.
#[derive(Clone, Copy, Debug)]
pub struct LaunchEnv<'a> {
    /// What it is started as.
    pub application: Application,
    /// The server's version, which plugins may show.
    pub server_version: &'a str,
    /// The versions of the application's protocol that the host speaks.
    pub protocol_versions: &'a [u32],
    /// What the plugin has to pin; without one there is no TLS.
    pub certificate: Option<&'a PeerCertificate>,
    /// Where the plugin makes its sockets; the plugin's temporary directory unless stated.
    pub socket_dir: Option<&'a Path>,
    /// Whether the plugin is only asked about itself.
    pub metadata_mode: bool,
}

impl LaunchEnv<'_> {
    /// Names and values, to be set over whatever else the plugin is given.
    pub fn variables(&self) -> Vec<(String, OsString)> {
        let mut variables = self.of_the_application();
        let mut set = |name: &str, value: OsString| variables.push((name.to_owned(), value));
        let (cookie, value) = self.application.cookie();
        set(cookie, value.into());
        set(MIN_PORT, "10000".into());
        set(MAX_PORT, "25000".into());
        set(
            PROTOCOL_VERSIONS,
            version::offer(self.protocol_versions).into(),
        );
        if let Some(certificate) = self.certificate {
            set(CLIENT_CERT, certificate.to_pem().into());
        }
        if let Some(dir) = self.socket_dir {
            set(UNIX_SOCKET_DIR, dir.into());
        }
        variables
    }

    fn of_the_application(&self) -> Vec<(String, OsString)> {
        let metadata_mode = self.metadata_mode.to_string();
        // Without it a Go plugin looks for a token to fetch its certificate with.
        let automtls = self.certificate.is_some().to_string();
        let facts = [
            (VERSION, self.server_version),
            (METADATA_MODE, &metadata_mode),
            (AUTOMTLS_ENABLED, &automtls),
        ];
        PREFIXES
            .iter()
            .flat_map(|prefix| facts.map(|(name, value)| (format!("{prefix}{name}"), value.into())))
            .collect()
    }
}

/// What a plugin reads at its start.
pub struct PluginEnv {
    /// The host's versions, for [`version::choose`].
    pub protocol_versions: String,
    /// What to pin; `None` where the host wants no TLS.
    pub host_certificate: Option<PeerCertificate>,
    /// Where to make sockets.
    pub socket_dir: Option<PathBuf>,
    /// Which group may connect, by name or number.
    pub socket_group: Option<String>,
    /// Whether the host asked for shared connections, so that the handshake has to answer.
    pub multiplex_asked: bool,
}

impl PluginEnv {
    /// Reads the environment through `get`, for example [`std::env::var_os`].
    ///
    /// # Errors
    ///
    /// [`EnvError::Cookie`] when no host started this process, and what is malformed.
    pub fn read(get: impl Fn(&str) -> Option<OsString>) -> Result<Self, EnvError> {
        if get(COOKIE_NAME).is_none_or(|value| value != COOKIE_VALUE) {
            return Err(EnvError::Cookie);
        }
        let text = |name| get(name).map(|value| value.to_string_lossy().into_owned());
        let present = |name| text(name).filter(|value| !value.is_empty());
        Ok(Self {
            protocol_versions: text(PROTOCOL_VERSIONS).unwrap_or_default(),
            host_certificate: present(CLIENT_CERT)
                .map(|pem| certificate(&pem))
                .transpose()?,
            socket_dir: get(UNIX_SOCKET_DIR)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from),
            socket_group: present(UNIX_SOCKET_GROUP),
            multiplex_asked: present(MULTIPLEX_GRPC).is_some(),
        })
    }
}

fn certificate(pem: &str) -> Result<PeerCertificate, EnvError> {
    if pem.len() > PEM_BYTES_MAX {
        return Err(EnvError::Certificate(CertError::TooLarge {
            bytes: pem.len(),
        }));
    }
    PeerCertificate::from_pem(pem).map_err(EnvError::Certificate)
}

impl fmt::Debug for PluginEnv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PluginEnv")
            .field("protocol_versions", &self.protocol_versions)
            .field("socket_dir", &self.socket_dir)
            .finish_non_exhaustive()
    }
}

/// What is wrong with a plugin's environment.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnvError {
    /// Somebody started the plugin by hand.
    #[error(
        "this program is a plugin: a secrets server starts it, and it does nothing by itself. Register it in the \
         server's plugin catalog and enable it there"
    )]
    Cookie,
    /// The host's certificate.
    #[error("{CLIENT_CERT} is unusable: {0}")]
    Certificate(#[source] CertError),
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::cert::Identity;

    fn launch(socket_dir: Option<&Path>) -> (Identity, BTreeMap<String, OsString>) {
        let identity = Identity::generate().expect("an identity");
        let env = LaunchEnv {
            socket_dir,
            certificate: Some(identity.certificate()),
            ..BARE
        };
        let variables = env.variables().into_iter().collect();
        (identity, variables)
    }

    const BARE: LaunchEnv<'_> = LaunchEnv {
        application: Application::Backend,
        server_version: "0.1.0",
        protocol_versions: &[5],
        certificate: None,
        socket_dir: None,
        metadata_mode: false,
    };

    #[test]
    fn a_plugin_reads_what_its_host_set() {
        let (identity, variables) = launch(Some(Path::new("/run/x")));
        let env = PluginEnv::read(|name| variables.get(name).cloned()).expect("an environment");
        assert_eq!(env.protocol_versions, "5");
        assert_eq!(env.host_certificate.as_ref(), Some(identity.certificate()));
        assert_eq!(env.socket_dir.as_deref(), Some(Path::new("/run/x")));
        assert!(!env.multiplex_asked);
    }

    #[test]
    fn both_prefixes_are_set_and_shared_connections_are_not_asked_for() {
        let (_, variables) = launch(None);
        for name in ["BAO_VERSION", "VAULT_VERSION"] {
            assert_eq!(variables.get(name), Some(&"0.1.0".into()));
        }
        for name in [
            "BAO_PLUGIN_AUTOMTLS_ENABLED",
            "VAULT_PLUGIN_AUTOMTLS_ENABLED",
        ] {
            assert_eq!(variables.get(name), Some(&"true".into()));
        }
        assert!(!variables.contains_key(MULTIPLEX_GRPC));
        assert!(!variables.contains_key(UNIX_SOCKET_DIR));
    }

    #[test]
    fn metadata_mode_is_told_under_both_prefixes_and_has_no_certificate() {
        let env = LaunchEnv {
            metadata_mode: true,
            protocol_versions: &[3, 4],
            ..BARE
        };
        let variables: BTreeMap<_, _> = env.variables().into_iter().collect();
        for prefix in ["BAO_", "VAULT_"] {
            let told = |name: &str| variables.get(&format!("{prefix}{name}"));
            assert_eq!(told("PLUGIN_METADATA_MODE"), Some(&"true".into()));
            assert_eq!(told("PLUGIN_AUTOMTLS_ENABLED"), Some(&"false".into()));
        }
        assert_eq!(variables.get(PROTOCOL_VERSIONS), Some(&"3,4".into()));
        assert!(!variables.contains_key(CLIENT_CERT));
    }

    #[test]
    fn a_database_plugin_gets_its_own_cookie_and_no_other() {
        let env = LaunchEnv {
            application: Application::Database,
            ..BARE
        };
        let variables: BTreeMap<_, _> = env.variables().into_iter().collect();
        let cookie = variables.get(DATABASE_COOKIE_NAME);
        assert_eq!(cookie, Some(&DATABASE_COOKIE_VALUE.into()));
        assert!(!variables.contains_key(COOKIE_NAME));
    }

    #[test]
    fn without_the_cookie_or_with_another_nothing_else_is_read() {
        assert!(matches!(PluginEnv::read(|_| None), Err(EnvError::Cookie)));
        assert!(matches!(
            PluginEnv::read(|_| Some("x".into())),
            Err(EnvError::Cookie)
        ));
    }

    #[test]
    fn a_malformed_certificate_is_refused_and_an_empty_one_means_none() {
        let with = |pem: &'static str| {
            PluginEnv::read(move |name| match name {
                COOKIE_NAME => Some(COOKIE_VALUE.into()),
                CLIENT_CERT => Some(pem.into()),
                _ => None,
            })
        };
        assert!(matches!(with("garbage"), Err(EnvError::Certificate(_))));
        assert!(with("").expect("no certificate").host_certificate.is_none());
    }
}
