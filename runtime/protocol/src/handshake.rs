//! The one line that a plugin prints on its standard output to say where it listens.
//!
//! `1|5|unix|/tmp/plugin123|grpc|<base64 of the certificate>`, and a seventh field only where the host asked for it.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::cert::{CertError, PeerCertificate};

/// The version of go-plugin's own protocol. There is only one.
pub const CORE_PROTOCOL_VERSION: u32 = 1;

/// The longest line read: go-plugin's own limit.
pub const LINE_BYTES_MAX: usize = 64 * 1024;

/// The longest path of a Unix socket on Linux, without its terminating zero.
pub const SOCKET_PATH_BYTES_MAX: usize = 107;

/// go-plugin takes the sixth field for a certificate only when it is longer than this.
const CERTIFICATE_FIELD_MIN: usize = 51;

/// How much of a line that is no handshake an error shows.
const SHOWN_CHARS_MAX: usize = 200;

/// Written without padding, as Go's decoder demands; padding is forgiven when reading.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What the line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handshake {
    /// The version of the application's protocol that the plugin chose.
    pub protocol_version: u32,
    /// Where it listens.
    pub address: Address,
    /// The certificate to pin; absent when the plugin was not given the host's.
    pub certificate: Option<PeerCertificate>,
    /// Whether brokered connections share the main one; absent unless the host asked.
    pub multiplex: Option<bool>,
}

/// Where a plugin, or a brokered service, listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A Unix stream socket, by its absolute path.
    Unix(PathBuf),
    /// A loopback address.
    Tcp(SocketAddr),
}

impl Address {
    /// Reads network and address as the line and the broker carry them.
    ///
    /// # Errors
    ///
    /// [`HandshakeError::Network`] and [`HandshakeError::Address`].
    pub fn parse(network: &str, address: &str) -> Result<Self, HandshakeError> {
        match network {
            "unix" => unix(address),
            "tcp" => loopback(address),
            other => Err(HandshakeError::Network(shown(other))),
        }
    }

    /// The word for the kind of address.
    pub fn network(&self) -> &'static str {
        match self {
            Self::Unix(_) => "unix",
            Self::Tcp(_) => "tcp",
        }
    }
}

fn unix(address: &str) -> Result<Address, HandshakeError> {
    let fault = |reason| HandshakeError::Address {
        address: shown(address),
        reason,
    };
    if !Path::new(address).is_absolute() {
        return Err(fault("the path is not absolute"));
    }
    if address.len() > SOCKET_PATH_BYTES_MAX {
        return Err(fault("the path is longer than the 107 bytes of a socket's"));
    }
    if address.contains('\0') {
        return Err(fault("the path contains a zero byte"));
    }
    Ok(Address::Unix(PathBuf::from(address)))
}

fn loopback(address: &str) -> Result<Address, HandshakeError> {
    let fault = |reason| HandshakeError::Address {
        address: shown(address),
        reason,
    };
    let socket: SocketAddr = address
        .parse()
        .map_err(|_| fault("it is not an IP address and a port"))?;
    if !socket.ip().is_loopback() {
        return Err(fault("it is not a loopback address"));
    }
    Ok(Address::Tcp(socket))
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "{}", path.display()),
            Self::Tcp(address) => write!(f, "{address}"),
        }
    }
}

impl Handshake {
    /// Reads the line, which is untrusted, with or without its line break.
    ///
    /// # Errors
    ///
    /// A [`HandshakeError`] for the first field that is wrong.
    pub fn parse(line: &[u8]) -> Result<Self, HandshakeError> {
        if line.len() > LINE_BYTES_MAX {
            return Err(HandshakeError::TooLong { bytes: line.len() });
        }
        let text = str::from_utf8(line).map_err(|_| not_one(&String::from_utf8_lossy(line)))?;
        let fields: Vec<&str> = text.trim().split('|').collect();
        let [core, version, network, address, rest @ ..] = fields.as_slice() else {
            return Err(not_one(text));
        };
        check_core(core)?;
        let protocol_version = version
            .parse()
            .map_err(|_| HandshakeError::ProtocolVersion(shown(version)))?;
        let address = Address::parse(network, address)?;
        check_protocol(rest.first().copied())?;
        Ok(Self {
            protocol_version,
            address,
            certificate: certificate(rest.get(1).copied().unwrap_or_default())?,
            multiplex: rest.get(2).and_then(|word| go_bool(word)),
        })
    }
}

fn check_core(field: &str) -> Result<(), HandshakeError> {
    match field.parse() {
        Ok(CORE_PROTOCOL_VERSION) => Ok(()),
        Ok(other) => Err(HandshakeError::CoreVersion(other)),
        Err(_) => Err(not_one(field)),
    }
}

/// A line without the field is from the days before gRPC.
fn check_protocol(field: Option<&str>) -> Result<(), HandshakeError> {
    match field {
        Some("grpc") => Ok(()),
        other => Err(HandshakeError::Protocol(shown(other.unwrap_or("netrpc")))),
    }
}

fn certificate(field: &str) -> Result<Option<PeerCertificate>, HandshakeError> {
    if field.len() < CERTIFICATE_FIELD_MIN {
        return Ok(None);
    }
    let der = BASE64
        .decode(field)
        .map_err(|fault| HandshakeError::Base64(fault.to_string()))?;
    Ok(Some(PeerCertificate::from_der(der)?))
}

/// The words that Go's `ParseBool` knows.
pub(crate) fn go_bool(word: &str) -> Option<bool> {
    match word {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

fn not_one(line: &str) -> HandshakeError {
    HandshakeError::NotOne(shown(line))
}

/// The start of a peer's text, with what could disturb a terminal escaped.
fn shown(text: &str) -> String {
    let escaped: String = text
        .trim()
        .chars()
        .take(SHOWN_CHARS_MAX)
        .flat_map(char::escape_debug)
        .collect();
    if text.trim().chars().nth(SHOWN_CHARS_MAX).is_some() {
        escaped + "…"
    } else {
        escaped
    }
}

impl fmt::Display for Handshake {
    /// The line without its line break.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let certificate = self
            .certificate
            .as_ref()
            .map(|certificate| BASE64.encode(certificate.der()))
            .unwrap_or_default();
        write!(
            f,
            "{CORE_PROTOCOL_VERSION}|{}|{}|{}|grpc|{certificate}",
            self.protocol_version,
            self.address.network(),
            self.address,
        )?;
        match self.multiplex {
            Some(answer) => write!(f, "|{answer}"),
            None => Ok(()),
        }
    }
}

/// What is wrong with a handshake line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// Longer than any handshake.
    #[error("the first line of output has {bytes} bytes, a handshake has at most {LINE_BYTES_MAX}")]
    TooLong {
        /// How long, as far as it was read.
        bytes: usize,
    },
    /// Something else was printed.
    #[error(
        "the first line of output is no handshake: {0:?}. Is it a plugin, built for this machine, and does it print \
         nothing before it serves?"
    )]
    NotOne(String),
    /// Another go-plugin.
    #[error("the plugin speaks go-plugin's core protocol {0}, this is {CORE_PROTOCOL_VERSION}")]
    CoreVersion(u32),
    /// The second field.
    #[error("the protocol version {0:?} is not a number")]
    ProtocolVersion(String),
    /// The third field.
    #[error("the network {0:?} is neither unix nor tcp")]
    Network(String),
    /// The fourth field.
    #[error("cannot use the address {address:?}: {reason}")]
    Address {
        /// What it says.
        address: String,
        /// Why not.
        reason: &'static str,
    },
    /// The fifth field.
    #[error("the plugin speaks {0:?}, only grpc is supported")]
    Protocol(String),
    /// The sixth field's encoding.
    #[error("the certificate is not base64: {0}")]
    Base64(String),
    /// The sixth field's content.
    #[error(transparent)]
    Certificate(#[from] CertError),
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cert::Identity;

    fn plain(line: &str) -> Handshake {
        Handshake::parse(line.as_bytes()).expect("a handshake")
    }

    #[test]
    fn a_go_plugins_line_without_tls_ends_in_a_bar() {
        let line = "1|3|unix|/tmp/plugin1813595111|grpc|";
        let parsed = plain(line);
        assert_eq!(parsed.certificate, None);
        assert_eq!(parsed.to_string(), line);
    }

    #[test]
    fn five_fields_blanks_and_a_carriage_return_are_fine() {
        let parsed = plain("  1|5|unix|/tmp/p|grpc\r\n");
        assert_eq!(parsed.address, Address::Unix("/tmp/p".into()));
        assert_eq!(parsed.multiplex, None);
    }

    #[test]
    fn a_certificate_crosses_without_padding_and_is_read_with_it() {
        let identity = Identity::generate_like_go().expect("an identity");
        let handshake = Handshake {
            protocol_version: 5,
            address: Address::Unix("/tmp/p".into()),
            certificate: Some(identity.certificate().clone()),
            multiplex: None,
        };
        let line = handshake.to_string();
        assert!(!line.contains('='));
        assert_eq!(plain(&line), handshake);
        let padding = ["", "", "==", "="][line.rsplit('|').next().expect("a field").len() % 4];
        assert_eq!(plain(&(line + padding)), handshake);
    }

    #[test]
    fn the_seventh_field_is_read_as_go_reads_a_bool() {
        assert_eq!(plain("1|5|unix|/p|grpc||true").multiplex, Some(true));
        assert_eq!(plain("1|5|unix|/p|grpc||F").multiplex, Some(false));
        assert_eq!(plain("1|5|unix|/p|grpc||perhaps").multiplex, None);
    }

    #[test]
    fn each_wrong_field_has_its_own_error() {
        let fault = |line: &str| Handshake::parse(line.as_bytes()).expect_err("a wrong line");
        assert!(matches!(fault(""), HandshakeError::NotOne(_)));
        assert!(matches!(fault("hello"), HandshakeError::NotOne(_)));
        assert!(matches!(
            fault("x|5|unix|/p|grpc"),
            HandshakeError::NotOne(_)
        ));
        assert!(matches!(
            fault("2|5|unix|/p|grpc"),
            HandshakeError::CoreVersion(2)
        ));
        assert!(matches!(
            fault("1|v|unix|/p|grpc"),
            HandshakeError::ProtocolVersion(_)
        ));
        assert!(matches!(
            fault("1|5|udp|/p|grpc"),
            HandshakeError::Network(_)
        ));
        assert!(matches!(
            fault("1|5|unix|p|grpc"),
            HandshakeError::Address { .. }
        ));
        assert!(matches!(
            fault("1|5|tcp|10.0.0.1:1|grpc"),
            HandshakeError::Address { .. }
        ));
        assert!(matches!(
            fault("1|5|tcp|localhost:1|grpc"),
            HandshakeError::Address { .. }
        ));
        assert!(matches!(fault("1|5|unix|/p"), HandshakeError::Protocol(_)));
        assert!(matches!(
            fault("1|5|unix|/p|netrpc"),
            HandshakeError::Protocol(_)
        ));
        let junk = "!".repeat(60);
        assert!(matches!(
            fault(&format!("1|5|unix|/p|grpc|{junk}")),
            HandshakeError::Base64(_)
        ));
        let zeros = "A".repeat(60);
        assert!(matches!(
            fault(&format!("1|5|unix|/p|grpc|{zeros}")),
            HandshakeError::Certificate(_)
        ));
    }

    #[test]
    fn a_line_over_the_limit_is_not_looked_at() {
        let line = vec![b'|'; LINE_BYTES_MAX + 1];
        assert!(matches!(
            Handshake::parse(&line),
            Err(HandshakeError::TooLong { .. })
        ));
    }

    #[test]
    fn an_error_shows_the_line_clipped_and_without_control_characters() {
        let line = format!("\u{1b}[2J{}", "x".repeat(1000));
        let text = Handshake::parse(line.as_bytes())
            .expect_err("no handshake")
            .to_string();
        assert!(!text.contains('\u{1b}'));
        assert!(text.len() < 600);
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered_without_a_panic(line in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = Handshake::parse(&line);
        }

        #[test]
        fn bytes_around_the_bars_are_answered_without_a_panic(fields in prop::collection::vec("[ -~]{0,80}", 0..9)) {
            let _ = Handshake::parse(fields.join("|").as_bytes());
            let _ = Handshake::parse(format!("1|5|unix|/p|grpc|{}", fields.join("|")).as_bytes());
        }

        #[test]
        fn what_was_written_reads_back(version in any::<u32>(), path in "/[a-z0-9/]{0,90}") {
            let handshake = Handshake {
                protocol_version: version,
                address: Address::Unix(path.into()),
                certificate: None,
                multiplex: None,
            };
            prop_assert_eq!(Handshake::parse(handshake.to_string().as_bytes()).expect("a line"), handshake);
        }
    }
}
