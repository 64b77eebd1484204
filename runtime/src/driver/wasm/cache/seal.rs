//! The form of a compiled component on disk: a header that says what it is, the code, and a seal over both.
//!
//! ```text
//! header    lines of text: format, maker, artifact, entry, length of the body; then an empty line
//! body      the compile worker's answer
//! seal      HMAC-SHA256 over header and body, 32 bytes
//! ```
//!
//! Nothing of a header is parsed: what it must be is known, and compared.

use std::hash::{Hash, Hasher};

use aws_lc_rs::hmac;
use sha2::{Digest as _, Sha256};
use wasmtime::Engine;

use crate::Digest;
use crate::driver::CodeKey;

/// The version of this form.
const FORMAT: u32 = 1;

/// Bytes of the seal.
const SEAL_BYTES: usize = 32;

/// Whose code it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::driver::wasm) struct Identity {
    /// Type, name and version of the entry.
    pub(in crate::driver::wasm) entry: String,
    /// What it was compiled from.
    pub(in crate::driver::wasm) artifact: Digest,
}

impl Identity {
    /// The name of its file.
    pub(super) fn file_name(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(self.artifact.to_string());
        hash.update(&self.entry);
        format!("{}.compiled", hex::encode(hash.finalize()))
    }
}

/// Bytes that this server wrote under its key, unchanged. Nobody else makes one.
pub(in crate::driver::wasm) struct Authentic(Vec<u8>);

impl Authentic {
    pub(in crate::driver::wasm) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// Why a file is not used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Misfit {
    /// It cannot be read, or is no file of ours.
    #[error("{0}")]
    Unreadable(String),
    /// It is shorter than a header and a seal.
    #[error("it is cut short: it has {0} bytes")]
    Short(usize),
    /// Its seal is not that of its content under this key.
    #[error("its seal is broken: it was changed, or sealed with another key")]
    Broken,
    /// It was written for something else: another entry or artifact, another engine, another processor.
    #[error("it was made for another entry, by another version, or for another processor")]
    Foreign,
}

/// What makes code fit to be run here: the engine with its version and settings, and the processor.
pub(super) fn maker(engine: &Engine) -> String {
    let mut hash = Sha(Sha256::new());
    engine.precompile_compatibility_hash().hash(&mut hash);
    format!(
        "engine {}\nprocessor {}{}",
        hex::encode(hash.0.finalize()),
        std::env::consts::ARCH,
        features()
    )
}

/// Hashes with SHA-256, whose result the standard interface has no room for.
struct Sha(Sha256);

impl Hasher for Sha {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        0
    }
}

/// Extensions of the processor that the compiler makes use of, where it has them.
#[cfg(target_arch = "x86_64")]
fn features() -> String {
    let found = [
        ("sse3", is_x86_feature_detected!("sse3")),
        ("ssse3", is_x86_feature_detected!("ssse3")),
        ("sse4.1", is_x86_feature_detected!("sse4.1")),
        ("sse4.2", is_x86_feature_detected!("sse4.2")),
        ("popcnt", is_x86_feature_detected!("popcnt")),
        ("avx", is_x86_feature_detected!("avx")),
        ("avx2", is_x86_feature_detected!("avx2")),
        ("fma", is_x86_feature_detected!("fma")),
        ("bmi1", is_x86_feature_detected!("bmi1")),
        ("bmi2", is_x86_feature_detected!("bmi2")),
        ("lzcnt", is_x86_feature_detected!("lzcnt")),
        ("avx512f", is_x86_feature_detected!("avx512f")),
    ];
    let names = found.iter().filter(|(_, has)| *has);
    names.map(|(name, _)| format!(" {name}")).collect()
}
#[cfg(not(target_arch = "x86_64"))]
fn features() -> String {
    // They are in the engine's hash.
    String::new()
}

fn header(maker: &str, identity: &Identity, body: usize) -> Vec<u8> {
    let Identity { entry, artifact } = identity;
    format!(
        "palisade compiled component\nformat {FORMAT}\n{maker}\nartifact {artifact}\nentry {entry}\nlength {body:020}\n\n"
    )
    .into_bytes()
}

fn mac_key(key: &CodeKey) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, key.as_slice())
}

/// Makes the content of a file.
pub(super) fn seal(work: &[u8], key: &CodeKey, maker: &str, identity: &Identity) -> Vec<u8> {
    let mut file = header(maker, identity, work.len());
    file.reserve_exact(work.len() + SEAL_BYTES);
    file.extend(work);
    let seal = hmac::sign(&mac_key(key), &file);
    file.extend(seal.as_ref());
    file
}

/// Takes the code out of a file, if it is what was sealed under that key for that identity by the same maker.
pub(super) fn open(
    mut file: Vec<u8>,
    key: &CodeKey,
    maker: &str,
    identity: &Identity,
) -> Result<Authentic, Misfit> {
    let header_bytes = header(maker, identity, 0).len();
    let body_end = file.len().checked_sub(SEAL_BYTES);
    let Some(body_end) = body_end.filter(|end| *end > 0) else {
        return Err(Misfit::Short(file.len()));
    };
    let (sealed, seal) = file.split_at(body_end);
    hmac::verify(&mac_key(key), sealed, seal).map_err(|_| Misfit::Broken)?;
    let body_bytes = body_end.checked_sub(header_bytes).ok_or(Misfit::Foreign)?;
    if !sealed.starts_with(&header(maker, identity, body_bytes)) {
        return Err(Misfit::Foreign);
    }
    file.truncate(body_end);
    file.drain(..header_bytes);
    Ok(Authentic(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 32] = [7; 32];
    const MAKER: &str = "engine 0\nprocessor here";

    fn key(byte: u8) -> CodeKey {
        let mut key = CodeKey::new(KEY);
        key[0] = byte;
        key
    }

    fn identity(entry: &str) -> Identity {
        Identity {
            entry: entry.to_owned(),
            artifact: Digest::new([1; 32]),
        }
    }

    fn sealed() -> Vec<u8> {
        seal(b"code", &key(7), MAKER, &identity("secret/kv"))
    }

    fn opened(file: Vec<u8>) -> Result<Vec<u8>, Misfit> {
        open(file, &key(7), MAKER, &identity("secret/kv")).map(Authentic::into_bytes)
    }

    #[test]
    fn what_was_sealed_is_opened() {
        assert_eq!(opened(sealed()).unwrap(), b"code");
    }

    #[test]
    fn no_bit_can_be_flipped() {
        let whole = sealed();
        for bit in 0..whole.len() * 8 {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(opened(flipped), Err(Misfit::Broken), "bit {bit}");
        }
    }

    #[test]
    fn no_byte_can_be_cut_off_or_added() {
        let whole = sealed();
        for length in 0..whole.len() {
            assert!(opened(whole[..length].to_vec()).is_err(), "{length} bytes");
            assert!(
                opened(whole[whole.len() - length..].to_vec()).is_err(),
                "{length} bytes"
            );
        }
        assert_eq!(opened([&whole[..], b"x"].concat()), Err(Misfit::Broken));
    }

    #[test]
    fn another_key_opens_nothing() {
        let other = open(sealed(), &key(8), MAKER, &identity("secret/kv"));
        assert_eq!(other.map(Authentic::into_bytes), Err(Misfit::Broken));
    }

    #[test]
    fn what_is_sealed_for_something_else_is_not_used() {
        let others = [
            seal(b"code", &key(7), MAKER, &identity("secret/other")),
            seal(
                b"code",
                &key(7),
                "engine 1\nprocessor here",
                &identity("secret/kv"),
            ),
            seal(
                b"code",
                &key(7),
                "engine 0\nprocessor there",
                &identity("secret/kv"),
            ),
            seal(
                b"code",
                &key(7),
                MAKER,
                &Identity {
                    artifact: Digest::new([2; 32]),
                    ..identity("secret/kv")
                },
            ),
        ];
        for other in others {
            assert_eq!(opened(other), Err(Misfit::Foreign));
        }
    }

    #[test]
    fn each_entry_and_artifact_has_a_file_of_its_own() {
        let other = Identity {
            artifact: Digest::new([2; 32]),
            ..identity("secret/kv")
        };
        let names = [identity("secret/kv"), identity("secret/kv v1"), other];
        let names: std::collections::BTreeSet<_> = names.iter().map(Identity::file_name).collect();
        assert_eq!(names.len(), 3);
    }
}
