//! Reads the plugin's one handshake line, before its deadline, and believes nothing of it.

use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use palisade_protocol::cert::PeerCertificate;
use palisade_protocol::handshake::{Address, Handshake, HandshakeError, LINE_BYTES_MAX};
use palisade_protocol::version::BACKEND_PROTOCOL_VERSION;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;
use tokio::time::timeout;

use super::output::LastWords;
use super::run_dir::RunDir;
use crate::LaunchError;
use crate::worker::Process;

/// How long to wait for the reason when the output ends before the line.
const REASON_TIMEOUT: Duration = Duration::from_millis(500);

/// The line, and the pipe that it came from.
pub(super) struct Greeting {
    pub(super) handshake: Handshake,
    pub(super) stdout: Receiver,
}

/// Who to talk to, and where.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) socket: PathBuf,
    pub(super) certificate: PeerCertificate,
}

/// Waits for the line.
pub(super) async fn read(
    stdout: OwnedFd,
    process: &Process,
    words: &LastWords,
    limit: Duration,
) -> Result<Greeting, Fault> {
    let mut stdout = Receiver::from_owned_fd(stdout).map_err(Fault::Read)?;
    let line = match timeout(limit, read_line(&mut stdout)).await {
        Err(_) => return Err(Fault::TimedOut),
        Ok(Err(fault)) => return Err(fault.explained(process, words).await),
        Ok(Ok(line)) => line,
    };
    let handshake = Handshake::parse(&line)?;
    Ok(Greeting { handshake, stdout })
}

/// Byte by byte, because what follows the line is not part of it, and a pipe cannot be given anything back.
async fn read_line(stdout: &mut Receiver) -> Result<Vec<u8>, Fault> {
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
pub(super) fn peer(handshake: &Handshake, directory: &RunDir) -> Result<Peer, Fault> {
    if handshake.protocol_version != BACKEND_PROTOCOL_VERSION {
        return Err(Fault::Version(handshake.protocol_version));
    }
    let certificate = handshake.certificate.clone().ok_or(Fault::NoCertificate)?;
    match &handshake.address {
        Address::Unix(path) if directory.has_socket(path) => Ok(Peer {
            socket: path.clone(),
            certificate,
        }),
        other => Err(Fault::Elsewhere(
            other.to_string().escape_debug().to_string(),
        )),
    }
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
    /// The pipe could not be read.
    #[error("its output could not be read: {0}")]
    Read(io::Error),
    /// The line is none.
    #[error(transparent)]
    Line(#[from] HandshakeError),
    /// A protocol that was not offered.
    #[error(
        "the plugin chose version {0} of the backend protocol, only {BACKEND_PROTOCOL_VERSION} was offered"
    )]
    Version(u32),
    /// It would talk to anybody.
    #[error("the plugin sent no certificate with its handshake, although mutual TLS was asked for")]
    NoCertificate,
    /// It listens where others could.
    #[error(
        "the plugin says that it listens at {0}, which is no socket in its own folder (PLUGIN_UNIX_SOCKET_DIR)"
    )]
    Elsewhere(String),
}

impl Fault {
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
                    Self::Exited(was(&exit.to_string()), words.clause())
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
        assert_eq!(peer(&good, &directory).expect("it is a peer").socket, path);

        let bare = Handshake {
            certificate: None,
            ..good.clone()
        };
        assert!(matches!(peer(&bare, &directory), Err(Fault::NoCertificate)));
        let old = Handshake {
            protocol_version: 4,
            ..good
        };
        assert!(matches!(peer(&old, &directory), Err(Fault::Version(4))));
        let away = handshake(Address::Tcp("127.0.0.1:22".parse().expect("an address")));
        assert!(matches!(peer(&away, &directory), Err(Fault::Elsewhere(_))));
        let docker = handshake(Address::Unix("/var/run/docker.sock".into()));
        assert!(matches!(
            peer(&docker, &directory),
            Err(Fault::Elsewhere(_))
        ));
    }
}
