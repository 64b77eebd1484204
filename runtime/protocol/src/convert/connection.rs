//! Where a login comes from.

use palisade_contract::{Connection, TlsConnectionState};

use crate::pb;

impl From<Connection> for pb::Connection {
    fn from(connection: Connection) -> Self {
        // OpenBao's plugins read the raw form, Vault's the one inside the TLS state.
        let peer_certificates_raw = connection
            .tls
            .as_ref()
            .map(|tls| tls.peer_certificates.clone())
            .unwrap_or_default();
        Self {
            remote_addr: connection.remote_addr,
            connection_state: connection.tls.map(Into::into),
            remote_port: connection.remote_port,
            proxied_certificates_raw: connection.proxied_certificates,
            peer_certificates_raw,
        }
    }
}

impl From<pb::Connection> for Connection {
    fn from(connection: pb::Connection) -> Self {
        let raw = connection.peer_certificates_raw;
        let tls = connection.connection_state.map(|state| {
            let mut tls = TlsConnectionState::from(state);
            if tls.peer_certificates.is_empty() {
                tls.peer_certificates = raw;
            }
            tls
        });
        Self {
            remote_addr: connection.remote_addr,
            remote_port: connection.remote_port,
            tls,
            proxied_certificates: connection.proxied_certificates_raw,
        }
    }
}

impl From<TlsConnectionState> for pb::ConnectionState {
    fn from(tls: TlsConnectionState) -> Self {
        let peer = tls.peer_certificates;
        Self {
            version: tls.version,
            handshake_complete: true,
            did_resume: false,
            cipher_suite: tls.cipher_suite,
            negotiated_protocol: tls.negotiated_protocol,
            negotiated_protocol_is_mutual: true,
            server_name: tls.server_name,
            peer_certificates: (!peer.is_empty()).then(|| chain_to_wire(peer)),
            verified_chains: tls.verified_chains.into_iter().map(chain_to_wire).collect(),
            signed_certificate_timestamps: Vec::new(),
            ocsp_response: Vec::new(),
            tls_unique: Vec::new(),
        }
    }
}

impl From<pb::ConnectionState> for TlsConnectionState {
    fn from(state: pb::ConnectionState) -> Self {
        Self {
            version: state.version,
            cipher_suite: state.cipher_suite,
            negotiated_protocol: state.negotiated_protocol,
            server_name: state.server_name,
            peer_certificates: state
                .peer_certificates
                .map(chain_from_wire)
                .unwrap_or_default(),
            verified_chains: state
                .verified_chains
                .into_iter()
                .map(chain_from_wire)
                .collect(),
        }
    }
}

fn chain_to_wire(chain: Vec<Vec<u8>>) -> pb::CertificateChain {
    let certificates = chain
        .into_iter()
        .map(|asn1_data| pb::Certificate { asn1_data })
        .collect();
    pb::CertificateChain { certificates }
}

fn chain_from_wire(chain: pb::CertificateChain) -> Vec<Vec<u8>> {
    chain
        .certificates
        .into_iter()
        .map(|certificate| certificate.asn1_data)
        .collect()
}
