//! The key with which compiled components are authenticated: derived from the barrier's, so that it is there exactly as
//! long as the barrier is open, and tells nothing of the key that values are encrypted with.

use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use palisade_runtime::driver::CodeKey;

use super::envelope::CipherFault;
use super::keyring::KEY_BYTES;

/// What the derived key is for. Another purpose would have another text.
const PURPOSE: &[u8] = b"palisade: seal of compiled components, version 1";

struct Length;

impl KeyType for Length {
    fn len(&self) -> usize {
        CodeKey::default().len()
    }
}

/// Derives it from the newest key of the keyring: after a rotation everything is compiled anew.
pub(super) fn derive(key: &[u8; KEY_BYTES]) -> Result<CodeKey, CipherFault> {
    let extracted = Salt::new(HKDF_SHA256, &[]).extract(key);
    let mut derived = CodeKey::default();
    extracted
        .expand(&[PURPOSE], Length)
        .and_then(|expanded| expanded.fill(derived.as_mut_slice()))
        .map_err(|_| CipherFault)?;
    Ok(derived)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_follows_from_the_key_and_is_not_that_key() {
        let derived = derive(&[1; KEY_BYTES]).unwrap();
        assert_eq!(derived, derive(&[1; KEY_BYTES]).unwrap());
        assert_ne!(derived, derive(&[2; KEY_BYTES]).unwrap());
        assert_ne!(*derived, [1; KEY_BYTES]);
    }
}
