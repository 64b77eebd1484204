//! A passcode as it is kept: salted and hashed, compared in constant time.

use palisade_plugin::Host;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// What is kept of a passcode.
///
/// The server encrypts all storage, so the hash only keeps codes from people who may read storage. One round is little
/// work: codes should be long and random.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct HashedCode {
    salt: [u8; 16],
    hash: [u8; 32],
}

impl HashedCode {
    /// Hashes a code with a fresh salt.
    pub(crate) fn of(code: &str, host: &dyn Host) -> Self {
        let mut salt = [0; 16];
        host.random(&mut salt);
        Self {
            salt,
            hash: hash(&salt, code),
        }
    }

    /// One that no code matches in practice, to compare with when there is no such user: that takes just as long.
    pub(crate) fn of_nobody() -> Self {
        Self {
            salt: [0; 16],
            hash: [0; 32],
        }
    }

    /// Whether that is the code. How long it takes does not tell how much of it is right.
    pub(crate) fn matches(&self, code: &str) -> bool {
        hash(&self.salt, code).ct_eq(&self.hash).into()
    }
}

fn hash(salt: &[u8], code: &str) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update(salt);
    hasher.update(code);
    hasher.finalize().into()
}
