//! Reads the plugin's one handshake line, before its deadline, and believes nothing of it.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use palisade_protocol::cert::PeerCertificate;
use palisade_protocol::handshake::{Address, Handshake, HandshakeError, LINE_BYTES_MAX};
use palisade_protocol::version::OLD_PROTOCOL_VERSIONS;
use tokio::io::{AsyncReadExt, BufReader};
use tokio::net::unix::pipe::Receiver;
use tokio::time::timeout;

use super::dialect::Dialect;
use super::output::LastWords;
use super::run_dir::RunDir;
use crate::LaunchError;
use crate::worker::Process;

/// How long to wait for the reason when the output ends before the line.
const REASON_TIMEOUT: Duration = Duration::from_millis(500);

/// What go-plugin says on standard error when it ends because a plugin got no token to fetch its certificate with.
const TLS_WITHOUT_TOKEN: &str = "plugin tls init";

/// The line, and the pipe that it came from, with what has been read of it after the line.
pub(super) struct Greeting {
    pub(super) handshake: Handshake,
    pub(super) stdout: BufReader<Receiver>,
}

/// Who to talk to, and where.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) socket: PathBuf,
    /// There is one exactly where both sides have to prove who they are.
    pub(super) certificate: Option<PeerCertificate>,
}

/// Waits for the line.
pub(super) async fn read(
    stdout: OwnedFd,
    process: &Process,
    words: &LastWords,
    limit: Duration,
) -> Result<Greeting, Fault> {
    let mut stdout = BufReader::new(Receiver::from_owned_fd(stdout).map_err(Fault::Read)?);
    let line = match timeout(limit, read_line(&mut stdout)).await {
        Err(_) => return Err(Fault::TimedOut),
        Ok(Err(fault)) => return Err(fault.explained(process, words).await),
        Ok(Ok(line)) => line,
    };
    let handshake = Handshake::parse(&line)?;
    Ok(Greeting { handshake, stdout })
}

async fn read_line(stdout: &mut BufReader<Receiver>) -> Result<Vec<u8>, Fault> {
    let mut line = Vec::new();
    loop {
        match stdout.read_u8().await {
            Ok(b'\n') => return Ok(line),
            Ok(byte) => line.push(byte),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(Fault::ended(line));
            }
            Err(error) => return Err(Fault::Read(error)),
        }
        if line.len() > LINE_BYTES_MAX {
            return Err(HandshakeError::TooLong { bytes: line.len() }.into());
        }
    }
}

/// Checks what the line says against what was asked for.
pub(super) fn peer(
    handshake: &Handshake,
    dialect: Dialect,
    directory: &RunDir,
) -> Result<Peer, Fault> {
    if !dialect.versions().contains(&handshake.protocol_version) {
        return Err(Fault::Version(handshake.protocol_version, dialect));
    }
    match (&handshake.certificate, dialect.has_tls()) {
        (None, true) => return Err(Fault::NoCertificate),
        (Some(_), false) => return Err(Fault::UnwantedCertificate),
        (Some(_), true) | (None, false) => {}
    }
    match &handshake.address {
        Address::Unix(path) if directory.has_socket(path) => Ok(Peer {
            socket: path.clone(),
            certificate: handshake.certificate.clone(),
        }),
        other => Err(Fault::Elsewhere {
            address: other.to_string().escape_debug().to_string(),
            is_temporary: is_temporary(other),
        }),
    }
}

/// Where Go's programs put their temporary files if nobody says otherwise.
const TEMPORARY_FOLDER: &str = "/tmp";

fn is_temporary(address: &Address) -> bool {
    matches!(address, Address::Unix(path) if path.parent() == Some(Path::new(TEMPORARY_FOLDER)))
}

/// Why there was no handshake.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// The line did not come in time.
    #[error("no handshake line came in time")]
    TimedOut,
    /// The output ended first.
    #[error("it ended before its handshake line")]
    Ended,
    /// The output ended first, and this is how the process did.
    #[error("it {0} before its handshake line{1}")]
    Exited(String, String),
    /// It could not serve without what fetches its certificate, as plugins of old do.
    #[error("it {0} before its handshake line, for want of a wrapping token{1}")]
    NoToken(String, String),
    /// The pipe could not be read.
    #[error("its output could not be read: {0}")]
    Read(io::Error),
    /// The line is none.
    #[error(transparent)]
    Line(#[from] HandshakeError),
    /// A protocol that was not offered.
    #[error("the plugin chose version {0} of the {protocol}, offered was {offered}", protocol = .1.protocol(), offered = .1.offered())]
    Version(u32, Dialect),
    /// It would talk to anybody.
    #[error("the plugin sent no certificate with its handshake, although mutual TLS was asked for")]
    NoCertificate,
    /// It would talk to nobody without one.
    #[error("the plugin sent a certificate with its handshake, although no TLS was asked for")]
    UnwantedCertificate,
    /// It listens where others could.
    #[error(
        "the plugin says that it listens at {address}, which is no socket in its own folder (PLUGIN_UNIX_SOCKET_DIR)"
    )]
    Elsewhere {
        address: String,
        /// Whether it is among the temporary files.
        is_temporary: bool,
    },
}

impl Fault {
    /// Whether a plugin that was started as a backend speaks a version of old; with the version, if it said one.
    pub(super) fn speaks_old(&self) -> Option<Option<u32>> {
        match self {
            Self::Version(version, Dialect::Backend) if OLD_PROTOCOL_VERSIONS.contains(version) => {
                Some(Some(*version))
            }
            Self::NoToken(..) => Some(None),
            _ => None,
        }
    }

    /// Whether it is of a plugin that does not know which folder is for its sockets, as none on go-plugin before 1.5 does.
    pub(super) fn knows_no_folder(&self) -> bool {
        matches!(
            self,
            Self::Elsewhere {
                is_temporary: true,
                ..
            }
        )
    }

    fn ended(line: Vec<u8>) -> Self {
        match line.as_slice() {
            b"" => Self::Ended,
            // Without its line break it is still the first line.
            line => match Handshake::parse(line) {
                Ok(_) => Self::Ended,
                Err(error) => Self::Line(error),
            },
        }
    }

    /// Waits a moment for the process to end too, which is the better explanation.
    async fn explained(self, process: &Process, words: &LastWords) -> Self {
        match self {
            Self::Ended => match process.exited_within(REASON_TIMEOUT).await {
                Some(exit) => {
                    words.spoken().await;
                    let how = was(&exit.to_string());
                    match words.contain(TLS_WITHOUT_TOKEN) {
                        true => Self::NoToken(how, words.clause()),
                        false => Self::Exited(how, words.clause()),
                    }
                }
                None => Self::Ended,
            },
            other => other,
        }
    }

    pub(super) fn into_launch_error(self, plugin: &str, limit: Duration) -> LaunchError {
        let plugin = plugin.to_owned();
        match self {
            Self::TimedOut => LaunchError::Timeout {
                plugin,
                step: "handshake",
                limit,
            },
            other => LaunchError::Failed {
                plugin,
                fault: other.to_string(),
            },
        }
    }
}

fn was(exit: &str) -> String {
    if exit.starts_with("killed") {
        format!("was {exit}")
    } else {
        exit.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use palisade_protocol::cert::Identity;

    use super::super::run_dir::RunDirs;
    use super::*;

    fn handshake(address: Address) -> Handshake {
        let identity = Identity::generate().expect("an identity");
        Handshake {
            protocol_version: 5,
            address,
            certificate: Some(identity.certificate().clone()),
            multiplex: None,
        }
    }

    #[test]
    fn only_a_socket_of_its_own_folder_with_a_certificate_is_a_peer() {
        let directory = RunDirs::default()
            .create(None)
            .expect("a folder can be made");
        let path = directory.path().join("plugin1");
        let _listener = UnixListener::bind(&path).expect("the folder is ours");
        let good = handshake(Address::Unix(path.clone()));
        let of = |handshake: &Handshake| peer(handshake, Dialect::Backend, &directory);
        assert_eq!(of(&good).expect("it is a peer").socket, path);

        let bare = Handshake {
            certificate: None,
            ..good.clone()
        };
        assert!(matches!(of(&bare), Err(Fault::NoCertificate)));
        let old = Handshake {
            protocol_version: 4,
            ..good
        };
        assert!(matches!(of(&old), Err(Fault::Version(4, _))));
        let away = handshake(Address::Tcp("127.0.0.1:22".parse().expect("an address")));
        assert!(matches!(of(&away), Err(Fault::Elsewhere { .. })));
        let docker = handshake(Address::Unix("/var/run/docker.sock".into()));
        assert!(matches!(of(&docker), Err(Fault::Elsewhere { .. })));
    }

    #[test]
    fn without_tls_a_certificate_is_as_wrong_as_its_lack_with_it() {
        let directory = RunDirs::default()
            .create(None)
            .expect("a folder can be made");
        let path = directory.path().join("plugin1");
        let _listener = UnixListener::bind(&path).expect("the folder is ours");
        let of = |handshake: &Handshake| peer(handshake, Dialect::Metadata, &directory);
        let proven = Handshake {
            protocol_version: 4,
            ..handshake(Address::Unix(path))
        };
        assert!(matches!(of(&proven), Err(Fault::UnwantedCertificate)));
        let plain = Handshake {
            certificate: None,
            ..proven
        };
        assert!(of(&plain).is_ok_and(|peer| peer.certificate.is_none()));
    }

    #[test]
    fn a_version_that_was_not_offered_is_told_with_those_that_were() {
        let told = |version, dialect| Fault::Version(version, dialect).to_string();
        assert_eq!(
            told(6, Dialect::Backend),
            "the plugin chose version 6 of the backend protocol, offered was 5"
        );
        assert!(told(5, Dialect::Metadata).ends_with("offered was 3 and 4"));
    }

    #[test]
    fn only_a_backend_of_old_is_asked_once_more_what_it_is() {
        let version = |version, dialect| Fault::Version(version, dialect).speaks_old();
        assert_eq!(version(4, Dialect::Backend), Some(Some(4)));
        assert_eq!(version(6, Dialect::Backend), None);
        assert_eq!(version(2, Dialect::Metadata), None);
        let nothing = String::new;
        assert_eq!(
            Fault::NoToken(nothing(), nothing()).speaks_old(),
            Some(None)
        );
        assert_eq!(Fault::Exited(nothing(), nothing()).speaks_old(), None);
    }
}
