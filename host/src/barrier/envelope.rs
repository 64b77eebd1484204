//! One value under one key: header, nonce, ciphertext, tag.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::rand;

use super::keyring::KEY_BYTES;

/// Bytes of the key's number.
const TERM_BYTES: usize = 4;

/// The layout with the storage path as associated data.
const VERSION: u8 = 2;

/// Bytes in front of the ciphertext.
const HEADER_BYTES: usize = TERM_BYTES + 1 + NONCE_LEN;

/// A key ready for use. It has no `Debug`; its memory is cleared when it is freed, by AWS-LC itself.
pub(super) struct Key(LessSafeKey);

/// The cipher or the source of randomness failed, which on a sound system they do not.
#[derive(Debug, thiserror::Error)]
#[error("the system gives no randomness, or the cipher failed")]
pub(crate) struct CipherFault;

impl Key {
    pub(super) fn new(bytes: &[u8; KEY_BYTES]) -> Self {
        let key = UnboundKey::new(&AES_256_GCM, bytes);
        Self(LessSafeKey::new(
            key.expect("a key of AES-256 has 32 bytes"),
        ))
    }

    /// Encrypts a value for its path. `term` is this key's number.
    pub(super) fn encrypt(
        &self,
        term: u32,
        path: &str,
        plain: &[u8],
    ) -> Result<Vec<u8>, CipherFault> {
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce).map_err(|_| CipherFault)?;
        let mut sealed = Vec::with_capacity(HEADER_BYTES + plain.len() + AES_256_GCM.tag_len());
        sealed.extend(term.to_be_bytes());
        sealed.push(VERSION);
        sealed.extend(nonce);
        sealed.extend(plain);
        let nonce = Nonce::assume_unique_for_key(nonce);
        let body = &mut sealed[HEADER_BYTES..];
        let tag = self
            .0
            .seal_in_place_separate_tag(nonce, Aad::from(path), body)
            .map_err(|_| CipherFault)?;
        sealed.extend(tag.as_ref());
        Ok(sealed)
    }

    /// Decrypts the value of that path; `None` when it is not one of this key and path, unchanged.
    pub(super) fn decrypt(&self, path: &str, mut sealed: Vec<u8>) -> Option<Vec<u8>> {
        let (header, _) = sealed.split_first_chunk::<HEADER_BYTES>()?;
        if header[TERM_BYTES] != VERSION {
            return None;
        }
        let nonce = Nonce::try_assume_unique_for_key(&header[TERM_BYTES + 1..]).ok()?;
        let plain = self
            .0
            .open_within(nonce, Aad::from(path), &mut sealed, HEADER_BYTES..);
        let length = plain.ok()?.len();
        // The plain text lies at the front; behind it are leftovers.
        sealed.truncate(length);
        Some(sealed)
    }
}

/// The number of the key that a value is encrypted with.
pub(super) fn term(sealed: &[u8]) -> Option<u32> {
    sealed.first_chunk().copied().map(u32::from_be_bytes)
}
