//! Handshakes in memory, between every pair of identities that meet in practice and some that must not.

use std::io::{Read, Write};

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, ProtocolVersion, ServerConnection, SupportedProtocolVersion};

use super::*;

/// Runs both ends until neither has more to say, and then passes a byte each way.
fn handshake(client: ClientConfig, server: ServerConfig) -> Result<ProtocolVersion, rustls::Error> {
    let name = ServerName::try_from(SERVER_NAME).expect("a DNS name");
    let mut client = ClientConnection::new(Arc::new(client), name).expect("a client");
    let mut server = ServerConnection::new(Arc::new(server)).expect("a server");
    while client.is_handshaking() || server.is_handshaking() {
        transfer(&mut client, &mut server)?;
        transfer(&mut server, &mut client)?;
    }
    client.writer().write_all(b"!").expect("room");
    transfer(&mut client, &mut server)?;
    server.reader().read_exact(&mut [0]).expect("the byte");
    assert_eq!(client.alpn_protocol(), Some(&b"h2"[..]));
    Ok(client.protocol_version().expect("a version"))
}

fn transfer<A, B, C, D>(from: &mut A, to: &mut B) -> Result<(), rustls::Error>
where
    A: std::ops::DerefMut<Target = rustls::ConnectionCommon<C>>,
    B: std::ops::DerefMut<Target = rustls::ConnectionCommon<D>>,
{
    let mut wire = Vec::new();
    while from.wants_write() {
        from.write_tls(&mut wire).expect("a vector takes all");
    }
    let mut rest = wire.as_slice();
    while !rest.is_empty() {
        to.read_tls(&mut rest).expect("a slice gives all");
        to.process_new_packets()?;
    }
    Ok(())
}

fn ours() -> Identity {
    Identity::generate().expect("a P-256 identity")
}

fn gos() -> Identity {
    Identity::generate_like_go().expect("a P-521 identity")
}

#[test]
fn two_peers_that_pin_each_other_speak_tls_1_3_over_h2_whatever_their_kind() {
    for (a, b) in [
        (ours(), ours()),
        (ours(), gos()),
        (gos(), ours()),
        (gos(), gos()),
    ] {
        let client = client_config(&a, b.certificate()).expect("a client");
        let server = server_config(&b, a.certificate()).expect("a server");
        assert_eq!(handshake(client, server), Ok(ProtocolVersion::TLSv1_3));
    }
}

#[test]
fn tls_1_2_is_verified_as_well() {
    static ONLY: &[&SupportedProtocolVersion] = &[&rustls::version::TLS12];
    let (a, b) = (ours(), gos());
    let provider = provider();
    let verifier = PinnedPeer::new(b.certificate().clone(), &provider);
    let mut client = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(ONLY)
        .expect("a version")
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_client_auth_cert(a.chain(), a.private_key())
        .expect("a key");
    client.alpn_protocols = alpn();
    let server = server_config(&b, a.certificate()).expect("a server");
    assert_eq!(handshake(client, server), Ok(ProtocolVersion::TLSv1_2));
}

#[test]
fn a_server_with_another_key_and_the_same_name_is_refused() {
    let (a, b, impostor) = (ours(), gos(), gos());
    let client = client_config(&a, b.certificate()).expect("a client");
    let server = server_config(&impostor, a.certificate()).expect("a server");
    assert!(handshake(client, server).is_err());
}

#[test]
fn a_client_with_another_key_and_the_same_name_is_refused() {
    let (a, b, impostor) = (ours(), ours(), ours());
    let client = client_config(&impostor, b.certificate()).expect("a client");
    let server = server_config(&b, a.certificate()).expect("a server");
    assert!(handshake(client, server).is_err());
}

#[test]
fn a_client_without_a_certificate_is_refused() {
    let (a, b) = (ours(), ours());
    let provider = provider();
    let verifier = PinnedPeer::new(b.certificate().clone(), &provider);
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    let server = server_config(&b, a.certificate()).expect("a server");
    assert!(handshake(client, server).is_err());
}

/// Presents a certificate that is not its own: the pinned bytes, somebody else's key.
#[derive(Debug)]
struct Stolen(Arc<rustls::sign::CertifiedKey>);

impl rustls::server::ResolvesServerCert for Stolen {
    fn resolve(
        &self,
        _: rustls::server::ClientHello<'_>,
    ) -> Option<Arc<rustls::sign::CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

#[test]
fn the_pinned_certificate_without_its_key_is_refused() {
    for (a, b, thief) in [(ours(), ours(), ours()), (ours(), gos(), gos())] {
        let provider = provider();
        let sign = |keys: &Identity| {
            let key = keys.private_key();
            let key = provider.key_provider.load_private_key(key);
            Arc::new(rustls::sign::CertifiedKey::new(
                b.chain(),
                key.expect("a key"),
            ))
        };
        let shown_with = |keys| {
            let mut server = ServerConfig::builder_with_provider(Arc::clone(&provider))
                .with_safe_default_protocol_versions()
                .expect("versions")
                .with_client_cert_verifier(PinnedPeer::new(a.certificate().clone(), &provider))
                .with_cert_resolver(Arc::new(Stolen(sign(keys))));
            server.alpn_protocols = alpn();
            let client = client_config(&a, b.certificate()).expect("a client");
            handshake(client, server)
        };
        let refused = rustls::CertificateError::BadSignature.into();
        assert_eq!(shown_with(&thief), Err(refused));
        // The control: its owner is let in.
        assert_eq!(shown_with(&b), Ok(ProtocolVersion::TLSv1_3));
    }
}

#[test]
fn a_certificate_issued_by_the_pinned_authority_is_refused() {
    let a = ours();
    let authority_key = KeyPair::generate_for(&PKCS_ECDSA_P521_SHA512).expect("a key");
    let pinned = authority()
        .self_signed(&authority_key)
        .expect("a certificate");
    let pinned = PeerCertificate::from_der(pinned.der().to_vec()).expect("X.509");
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key");
    let issuer = rcgen::Issuer::new(authority(), authority_key);
    let issued = end_entity()
        .signed_by(&key, &issuer)
        .expect("a certificate");
    let child = Identity {
        certificate: PeerCertificate(issued.into()),
        key: PrivatePkcs8KeyDer::from(key.serialize_der()),
    };
    let client = client_config(&a, &pinned).expect("a client");
    let server = server_config(&child, a.certificate()).expect("a server");
    assert!(handshake(client, server).is_err());
}

#[test]
fn a_certificate_reads_back_from_its_pem() {
    for identity in [ours(), gos()] {
        let pem = identity.certificate().to_pem();
        assert_eq!(
            PeerCertificate::from_pem(&pem).expect("PEM"),
            *identity.certificate()
        );
    }
}

#[test]
fn garbage_is_no_certificate() {
    assert!(matches!(
        PeerCertificate::from_pem("x"),
        Err(CertError::NotPem(_))
    ));
    assert!(matches!(
        PeerCertificate::from_der(vec![0; 60]),
        Err(CertError::NotX509(_))
    ));
    assert!(matches!(
        PeerCertificate::from_der(vec![0; CERTIFICATE_BYTES_MAX + 1]),
        Err(CertError::TooLarge { .. })
    ));
}

/// One that `change` differs from an honest one by.
fn announced(
    algorithm: &'static SignatureAlgorithm,
    change: impl FnOnce(&mut CertificateParams),
) -> Result<PeerCertificate, CertError> {
    let mut params = authority();
    change(&mut params);
    let identity = Identity::self_signed(algorithm, params).expect("it can be made");
    PeerCertificate::from_der(identity.certificate.der().to_vec())
}

#[test]
fn a_certificate_is_of_now() {
    let hour = Duration::from_secs(3600);
    let now = SystemTime::now();
    let cases = [(now - 2 * hour, now - hour), (now + hour, now + 2 * hour)];
    for (from, until) in cases {
        let refused = announced(&PKCS_ECDSA_P521_SHA512, |params| {
            (params.not_before, params.not_after) = (from.into(), until.into());
        });
        let error = refused.expect_err("it is not of now");
        assert!(matches!(error, CertError::NotNow { .. }), "{error}");
    }
    // The control: with an hour to each side it is.
    let taken = announced(&PKCS_ECDSA_P521_SHA512, |params| {
        (params.not_before, params.not_after) = ((now - hour).into(), (now + hour).into());
    });
    taken.expect("it is of now");
}

#[test]
fn a_certificates_key_is_on_a_curve() {
    let error = announced(&rcgen::PKCS_RSA_SHA256, |_| {}).expect_err("RSA");
    assert!(matches!(&error, CertError::Key(kind) if kind == "1.2.840.113549.1.1.1"));
    for algorithm in [
        &PKCS_ECDSA_P256_SHA256,
        &PKCS_ECDSA_P521_SHA512,
        &rcgen::PKCS_ED25519,
    ] {
        announced(algorithm, |_| {}).expect("a curve");
    }
}

#[test]
fn a_certificate_is_one_and_whole() {
    let der = gos().certificate.der().to_vec();
    PeerCertificate::from_der(der.clone()).expect("the control");
    for end in 0..der.len() {
        let cut = PeerCertificate::from_der(der[..end].to_vec());
        assert!(matches!(cut, Err(CertError::NotX509(_))), "{end}");
    }
    let ten = PeerCertificate::from_der(der.repeat(10));
    assert!(matches!(ten, Err(CertError::NotX509(_))), "{ten:?}");
}
