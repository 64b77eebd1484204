//! The keys that values are encrypted with, by number: the newest encrypts, every one decrypts.

use std::collections::BTreeMap;

use aws_lc_rs::rand;
use palisade_runtime::driver::CodeKey;
use zeroize::Zeroizing;

use super::code_key;
use super::envelope::{self, CipherFault, Key};

/// Bytes of a key of AES-256.
pub(super) const KEY_BYTES: usize = 32;

/// The version of the keyring's encoding.
const ENCODING: u8 = 1;

/// Bytes of one key with its number.
const ENTRY_BYTES: usize = size_of::<u32>() + KEY_BYTES;

/// The number of a new keyring's only key.
const FIRST_TERM: u32 = 1;

/// The keys by number, never empty.
pub(super) struct Keyring {
    keys: BTreeMap<u32, Key>,
    code_key: CodeKey,
}

impl Keyring {
    /// A keyring with one new key, and its encoding.
    pub(super) fn generate() -> Result<(Self, Zeroizing<Vec<u8>>), CipherFault> {
        let key = random_key()?;
        // Made in its full size, so that no copy is left behind by growing.
        let mut encoded = Zeroizing::new(Vec::with_capacity(1 + ENTRY_BYTES));
        encoded.push(ENCODING);
        encoded.extend(FIRST_TERM.to_be_bytes());
        encoded.extend(*key);
        let keys = BTreeMap::from([(FIRST_TERM, Key::new(&key))]);
        let code_key = code_key::derive(&key)?;
        Ok((Self { keys, code_key }, encoded))
    }

    /// Reads what [`generate`](Self::generate) encoded: the version, then each number with its key.
    pub(super) fn parse(encoded: &[u8]) -> Option<Self> {
        let (&ENCODING, entries) = encoded.split_first()? else {
            return None;
        };
        let (entries, rest) = entries.as_chunks::<ENTRY_BYTES>();
        let keys: BTreeMap<_, _> = entries.iter().filter_map(parse_entry).collect();
        let whole = rest.is_empty() && !keys.is_empty() && keys.len() == entries.len();
        let (_, newest) = entries
            .iter()
            .filter_map(bytes_of)
            .max_by_key(|(term, _)| *term)?;
        let code_key = code_key::derive(newest).ok()?;
        whole.then_some(Self { keys, code_key })
    }

    /// What compiled components are authenticated with.
    pub(super) fn code_key(&self) -> CodeKey {
        self.code_key.clone()
    }

    /// Encrypts with the newest key.
    pub(super) fn encrypt(&self, path: &str, plain: &[u8]) -> Result<Vec<u8>, CipherFault> {
        let (term, key) = self.keys.last_key_value().ok_or(CipherFault)?;
        key.encrypt(*term, path, plain)
    }

    /// Decrypts with the key that the value names; `None` when it is not one of that key and path, unchanged.
    pub(super) fn decrypt(&self, path: &str, sealed: Vec<u8>) -> Option<Vec<u8>> {
        let key = self.keys.get(&envelope::term(&sealed)?)?;
        key.decrypt(path, sealed)
    }
}

fn parse_entry(entry: &[u8; ENTRY_BYTES]) -> Option<(u32, Key)> {
    let (term, key) = bytes_of(entry)?;
    Some((term, Key::new(key)))
}

/// A key's number and the key.
fn bytes_of(entry: &[u8; ENTRY_BYTES]) -> Option<(u32, &[u8; KEY_BYTES])> {
    let (term, key) = entry.split_first_chunk()?;
    Some((u32::from_be_bytes(*term), key.try_into().ok()?))
}

/// A new key.
pub(super) fn random_key() -> Result<Zeroizing<[u8; KEY_BYTES]>, CipherFault> {
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    rand::fill(key.as_mut_slice()).map_err(|_| CipherFault)?;
    Ok(key)
}
