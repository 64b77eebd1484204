//! The certificates of one launch, and TLS that trusts exactly one peer.
//!
//! Each side makes a key pair for the launch and learns the other's certificate from a place only the two can reach: the
//! plugin from its environment, the host from the handshake line. From then on a peer is whoever presents that very
//! certificate *and* signs the handshake with its key. One identity serves in both TLS roles, because the direction
//! turns round on brokered connections.

mod pinned;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P521_SHA512, SignatureAlgorithm,
};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{NoServerSessionStorage, ParsedCertificate};
use rustls::{ClientConfig, ServerConfig};
use x509_parser::oid_registry::{OID_KEY_TYPE_EC_PUBLIC_KEY, OID_SIG_ED25519};
use x509_parser::prelude::{FromDer as _, X509Certificate};

pub use pinned::PinnedPeer;

/// The name that every certificate is for, and that every client asks for.
pub const SERVER_NAME: &str = "localhost";

/// The largest certificate taken from a peer. Go's have about 600 bytes.
pub const CERTIFICATE_BYTES_MAX: usize = 16 * 1024;

/// A peer's clock may be behind ours by this much.
const BACKDATE: Duration = Duration::from_secs(5 * 60);
/// Nothing in a launch outlives this; go-plugin writes thirty years as well.
const LIFETIME: Duration = Duration::from_secs(262_980 * 60 * 60);

/// A key pair made for one launch, and the certificate that the peer pins.
pub struct Identity {
    certificate: PeerCertificate,
    key: PrivatePkcs8KeyDer<'static>,
}

impl Identity {
    /// A fresh P-256 end-entity certificate, which go-plugin's peers accept and stock verifiers do too.
    ///
    /// # Errors
    ///
    /// [`CertError::Generate`] when the cryptographic library refuses.
    pub fn generate() -> Result<Self, CertError> {
        Self::self_signed(&PKCS_ECDSA_P256_SHA256, end_entity())
    }

    /// A fresh certificate as go-plugin makes them: P-521, and marked as an authority although it certifies nobody.
    ///
    /// # Errors
    ///
    /// [`CertError::Generate`] when the cryptographic library refuses.
    pub fn generate_like_go() -> Result<Self, CertError> {
        Self::self_signed(&PKCS_ECDSA_P521_SHA512, authority())
    }

    fn self_signed(
        algorithm: &'static SignatureAlgorithm,
        params: CertificateParams,
    ) -> Result<Self, CertError> {
        let key = KeyPair::generate_for(algorithm)?;
        let certificate = params.self_signed(&key)?;
        Ok(Self {
            certificate: PeerCertificate(certificate.into()),
            key: PrivatePkcs8KeyDer::from(key.serialize_der()),
        })
    }

    /// What the peer has to pin.
    pub fn certificate(&self) -> &PeerCertificate {
        &self.certificate
    }

    fn chain(&self) -> Vec<CertificateDer<'static>> {
        vec![self.certificate.0.clone()]
    }

    fn private_key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(self.key.clone_key())
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").finish_non_exhaustive()
    }
}

fn end_entity() -> CertificateParams {
    let mut params = named();
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params
}

fn authority() -> CertificateParams {
    let mut params = named();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![
        KeyUsagePurpose::DigitalSignature,
        KeyUsagePurpose::KeyEncipherment,
        KeyUsagePurpose::KeyAgreement,
        KeyUsagePurpose::KeyCertSign,
    ];
    params
}

fn named() -> CertificateParams {
    let mut params = CertificateParams::new(vec![SERVER_NAME.to_owned()])
        .expect("localhost is a well-formed DNS name");
    params
        .distinguished_name
        .push(DnType::CommonName, SERVER_NAME);
    // Both, because the same certificate serves in both roles; Go checks it.
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ClientAuth,
        ExtendedKeyUsagePurpose::ServerAuth,
    ];
    let now = SystemTime::now();
    params.not_before = (now - BACKDATE).into();
    params.not_after = (now + LIFETIME).into();
    params
}

/// One certificate of a peer, known to be X.509, of now, and of a key that go-plugin's peers make.
#[derive(Clone, PartialEq, Eq)]
pub struct PeerCertificate(CertificateDer<'static>);

impl PeerCertificate {
    /// Takes DER bytes, which are untrusted.
    ///
    /// # Errors
    ///
    /// [`CertError::TooLarge`], [`CertError::NotX509`], [`CertError::Key`] and [`CertError::NotNow`].
    pub fn from_der(der: Vec<u8>) -> Result<Self, CertError> {
        if der.len() > CERTIFICATE_BYTES_MAX {
            return Err(CertError::TooLarge { bytes: der.len() });
        }
        let certificate = CertificateDer::from(der);
        ParsedCertificate::try_from(&certificate)
            .map_err(|fault| CertError::NotX509(fault.to_string()))?;
        check(&certificate)?;
        Ok(Self(certificate))
    }

    /// Takes the first certificate of a PEM text, which is untrusted.
    ///
    /// # Errors
    ///
    /// [`CertError::NotPem`], and what [`from_der`](Self::from_der) says.
    pub fn from_pem(text: &str) -> Result<Self, CertError> {
        let der = CertificateDer::from_pem_slice(text.as_bytes())
            .map_err(|fault| CertError::NotPem(fault.to_string()))?;
        Self::from_der(der.to_vec())
    }

    /// The bytes that are compared.
    pub fn der(&self) -> &[u8] {
        &self.0
    }

    /// As the environment carries it.
    pub fn to_pem(&self) -> String {
        use base64::Engine as _;
        let body = base64::engine::general_purpose::STANDARD.encode(&self.0);
        let lines: Vec<&str> = (0..body.len())
            .step_by(64)
            .map(|start| &body[start..body.len().min(start + 64)])
            .collect();
        format!(
            "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
            lines.join("\n")
        )
    }
}

impl fmt::Debug for PeerCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PeerCertificate({} bytes)", self.0.len())
    }
}

/// What the comparison of bytes does not need, and who makes a certificate for one launch gets right: go-plugin makes keys
/// on curves, and Go's TLS, its peers' other end, refuses what is not of now.
fn check(certificate: &CertificateDer<'_>) -> Result<(), CertError> {
    let (_, parsed) = X509Certificate::from_der(certificate)
        .map_err(|fault| CertError::NotX509(fault.to_string()))?;
    let algorithm = &parsed.public_key().algorithm.algorithm;
    if ![OID_KEY_TYPE_EC_PUBLIC_KEY, OID_SIG_ED25519].contains(algorithm) {
        return Err(CertError::Key(algorithm.to_id_string()));
    }
    let validity = parsed.validity();
    if !validity.is_valid() {
        return Err(CertError::NotNow {
            from: validity.not_before.to_string(),
            until: validity.not_after.to_string(),
        });
    }
    Ok(())
}

/// TLS for the side that dials: presents `identity`, talks to nobody but `peer`.
///
/// # Errors
///
/// [`CertError::Config`] when the cryptographic library refuses the key.
pub fn client_config(
    identity: &Identity,
    peer: &PeerCertificate,
) -> Result<ClientConfig, CertError> {
    let provider = provider();
    let verifier = PinnedPeer::new(peer.clone(), &provider);
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_client_auth_cert(identity.chain(), identity.private_key())?;
    config.alpn_protocols = alpn();
    config.resumption = rustls::client::Resumption::disabled();
    Ok(config)
}

/// TLS for the side that listens: presents `identity`, answers nobody but `peer`.
///
/// # Errors
///
/// [`CertError::Config`] when the cryptographic library refuses the key.
pub fn server_config(
    identity: &Identity,
    peer: &PeerCertificate,
) -> Result<ServerConfig, CertError> {
    let provider = provider();
    let verifier = PinnedPeer::new(peer.clone(), &provider);
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(verifier)
        .with_single_cert(identity.chain(), identity.private_key())?;
    config.alpn_protocols = alpn();
    // A resumed session would skip the proof that the peer has its key.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

/// aws-lc-rs by name: the process's default belongs to the embedder, and ring cannot verify Go's P-521.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// Go's gRPC closes connections on which ALPN chose nothing.
fn alpn() -> Vec<Vec<u8>> {
    vec![b"h2".to_vec()]
}

/// What is wrong with a certificate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CertError {
    /// The cryptographic library could not make one.
    #[error("cannot make a certificate: {0}")]
    Generate(#[from] rcgen::Error),
    /// The cryptographic library refused one of ours.
    #[error("cannot set up TLS: {0}")]
    Config(#[from] rustls::Error),
    /// Not PEM, or PEM without a certificate.
    #[error("the text is not a PEM certificate: {0}")]
    NotPem(String),
    /// Not a certificate.
    #[error("the bytes are not an X.509 certificate: {0}")]
    NotX509(String),
    /// Its key is of a kind that no go-plugin peer makes, such as RSA.
    #[error(
        "the certificate's key is of the kind {0}; it has to be on an elliptic curve, as go-plugin makes them (1.2.840.10045.2.1 or 1.3.101.112)"
    )]
    Key(String),
    /// It has expired, or is not valid yet.
    #[error("the certificate is valid from {from} until {until}, which is not now")]
    NotNow {
        /// When it begins to be.
        from: String,
        /// When it ceases to be.
        until: String,
    },
    /// Larger than any honest one.
    #[error("the certificate has {bytes} bytes, at most {CERTIFICATE_BYTES_MAX} are taken")]
    TooLarge {
        /// How large.
        bytes: usize,
    },
}

#[cfg(test)]
mod tests;
