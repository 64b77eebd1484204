//! The one root token: made once, never kept, compared in constant time.
//!
//! What is stored behind the barrier is a salted hash. The token has 160 bits of randomness (or is chosen by a developer),
//! so one round of SHA-256 is enough: nothing slower makes guessing harder.

use aws_lc_rs::{hmac, rand};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// What is known of the root token.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RootToken {
    #[serde(with = "hex::serde")]
    salt: [u8; 32],
    #[serde(with = "hex::serde")]
    hash: [u8; 32],
    /// A name for the token that opens nothing.
    pub(crate) accessor: String,
    /// When it was made, in seconds since the Unix epoch.
    pub(crate) created: u64,
}

impl RootToken {
    /// Keeps what is needed to know `token` again.
    pub(crate) fn of(token: &str, created: u64) -> Result<Self, RandomnessFailed> {
        let salt = random()?;
        Ok(Self {
            salt,
            hash: hash(&salt, token),
            accessor: text(24)?,
            created,
        })
    }

    /// Whether `token` is the one. Takes the same time whatever the difference.
    pub(crate) fn matches(&self, token: &str) -> bool {
        hash(&self.salt, token).ct_eq(&self.hash).into()
    }

    /// What a plugin sees in place of `token`: stable for a mount, different between mounts, useless elsewhere.
    pub(crate) fn for_mount(&self, token: &str, mount_accessor: &str) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.salt);
        let mut message =
            Zeroizing::new(Vec::with_capacity(mount_accessor.len() + token.len() + 1));
        message.extend_from_slice(mount_accessor.as_bytes());
        message.push(0);
        message.extend_from_slice(token.as_bytes());
        format!("hmac-sha256:{}", hex::encode(hmac::sign(&key, &message)))
    }
}

/// A new token in OpenBao's form.
pub(crate) fn generate() -> Result<Zeroizing<String>, RandomnessFailed> {
    Ok(Zeroizing::new(format!("s.{}", text(27)?)))
}

/// The kernel gave no randomness.
#[derive(Debug, thiserror::Error)]
#[error("the system gives no randomness")]
pub(crate) struct RandomnessFailed;

fn random<const N: usize>() -> Result<[u8; N], RandomnessFailed> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|_| RandomnessFailed)?;
    Ok(bytes)
}

/// `length` letters and digits, each as likely as the others.
fn text(length: usize) -> Result<String, RandomnessFailed> {
    const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut text = String::with_capacity(length);
    while text.len() < length {
        let bytes: [u8; 64] = random()?;
        // Taking the remainder of all 256 would favour the first letters.
        let fair = bytes.iter().filter(|byte| **byte < 248);
        text.extend(
            fair.take(length - text.len())
                .map(|byte| char::from(LETTERS[usize::from(byte % 62)])),
        );
    }
    Ok(text)
}

fn hash(salt: &[u8; 32], token: &str) -> [u8; 32] {
    Sha256::new()
        .chain_update(salt)
        .chain_update(token)
        .finalize()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_token_itself_matches() {
        let root = RootToken::of("s.right", 0).unwrap();
        assert!(root.matches("s.right"));
        for wrong in ["", "s.righ", "s.rightt", "s.Right"] {
            assert!(!root.matches(wrong), "{wrong}");
        }
    }

    #[test]
    fn what_is_stored_does_not_contain_the_token() {
        let stored = serde_json::to_string(&RootToken::of("s.right", 0).unwrap()).unwrap();
        assert!(!stored.contains("right"));
        let back: RootToken = serde_json::from_str(&stored).unwrap();
        assert!(back.matches("s.right"));
    }

    #[test]
    fn each_mount_sees_another_stable_name_for_the_token() {
        let root = RootToken::of("s.right", 0).unwrap();
        let first = root.for_mount("s.right", "kv_1");
        assert_eq!(first, root.for_mount("s.right", "kv_1"));
        assert_ne!(first, root.for_mount("s.right", "kv_2"));
        assert!(!first.contains("right"));
    }

    #[test]
    fn generated_tokens_are_long_and_differ() {
        let (one, two) = (generate().unwrap(), generate().unwrap());
        assert_eq!(one.len(), 29);
        assert_ne!(*one, *two);
    }
}
