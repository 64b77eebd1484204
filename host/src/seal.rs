//! The static seal: a key of 32 bytes that the operator keeps in a file or a variable.
//!
//! The settings are those of OpenBao's static seal. A key written into the configuration file itself is refused:
//! configuration is copied, shown and kept in repositories.

use std::fmt;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use base64::Engine;
use zeroize::Zeroizing;

/// A key of AES-256.
pub(crate) type SealKey = Zeroizing<[u8; 32]>;

/// As many bytes as a key file can have: 32, as they are, or in hexadecimal or base64 with an end of line.
const TEXT_BYTES_MAX: u64 = 128;

/// Where the key is and what it is called.
#[derive(Debug)]
pub(crate) struct StaticSeal {
    /// The key's name, for the operator.
    pub(crate) key_id: String,
    source: Source,
}

#[derive(Debug)]
enum Source {
    File(PathBuf),
    Variable(String),
}

impl StaticSeal {
    /// Reads a setting such as `file:///etc/palisade/key` or `env://PALISADE_SEAL_KEY`.
    ///
    /// # Errors
    ///
    /// What the setting should be. It is not quoted: it may be a key.
    pub(crate) fn parse(key_id: String, setting: &str) -> Result<Self, String> {
        let source = match setting.split_once("://") {
            Some(("file", path)) if path.starts_with('/') => Source::File(path.into()),
            Some(("env", name)) if !name.is_empty() => Source::Variable(name.to_owned()),
            _ => {
                return Err(
                    "it is neither file:///an/absolute/path nor env://VARIABLE; the key itself does not belong here"
                        .to_owned(),
                );
            }
        };
        Ok(Self { key_id, source })
    }

    /// Fetches the key.
    ///
    /// # Errors
    ///
    /// Why there is none; never a part of it.
    pub(crate) fn key(&self) -> Result<SealKey, SealError> {
        let bytes = match &self.source {
            Source::File(path) => read_file(path).map_err(|fault| self.error(fault))?,
            Source::Variable(name) => std::env::var(name)
                .map(|text| Zeroizing::new(text.into_bytes()))
                .map_err(|_| self.error("the variable is not set, or not text".to_owned()))?,
        };
        decode(&bytes).ok_or_else(|| {
            self.error("the key is not 32 bytes, nor 32 bytes in hexadecimal or base64".to_owned())
        })
    }

    fn error(&self, fault: String) -> SealError {
        SealError {
            place: self.source.to_string(),
            fault,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file://{}", path.display()),
            Self::Variable(name) => write!(f, "env://{name}"),
        }
    }
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
#[error("the seal's key at {place} cannot be used: {fault}")]
pub(crate) struct SealError {
    place: String,
    fault: String,
}

fn read_file(path: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    let nofollow = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let flags = i32::try_from(nofollow.bits()).map_err(|_| "the flags do not fit".to_owned())?;
    let file = std::fs::OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(path)
        .map_err(|fault| fault.to_string())?;
    let facts = file.metadata().map_err(|fault| fault.to_string())?;
    if !facts.is_file() {
        return Err("it is not a regular file".to_owned());
    }
    if facts.mode() & 0o077 != 0 {
        return Err(format!(
            "its mode is {:04o}, others may touch it; set it to 0600",
            facts.mode() & 0o7777
        ));
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(TEXT_BYTES_MAX as usize));
    file.take(TEXT_BYTES_MAX)
        .read_to_end(&mut bytes)
        .map_err(|fault| fault.to_string())?;
    Ok(bytes)
}

fn decode(bytes: &[u8]) -> Option<SealKey> {
    let mut key = SealKey::default();
    if bytes.len() == key.len() {
        key.copy_from_slice(bytes);
        return Some(key);
    }
    let text = bytes.trim_ascii();
    if hex::decode_to_slice(text, key.as_mut_slice()).is_ok() {
        return Some(key);
    }
    let decoded = Zeroizing::new(
        base64::engine::general_purpose::STANDARD
            .decode(text)
            .ok()?,
    );
    (decoded.len() == key.len()).then(|| {
        key.copy_from_slice(&decoded);
        key
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    fn seal(path: &Path) -> StaticSeal {
        StaticSeal::parse("1".to_owned(), &format!("file://{}", path.display())).unwrap()
    }

    fn key_file(content: &[u8], mode: u32) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        (folder, path)
    }

    #[test]
    fn a_key_is_read_raw_in_hexadecimal_and_in_base64() {
        let raw = [7_u8; 32];
        let encoded = base64::engine::general_purpose::STANDARD.encode(raw);
        let hexadecimal = format!("{}\n", hex::encode(raw));
        for content in [raw.as_slice(), hexadecimal.as_bytes(), encoded.as_bytes()] {
            let (_folder, path) = key_file(content, 0o600);
            assert_eq!(*seal(&path).key().unwrap(), raw);
        }
    }

    #[test]
    fn a_key_that_others_can_read_is_refused_with_its_mode() {
        let (_folder, path) = key_file(&[7; 32], 0o640);
        let error = seal(&path).key().unwrap_err().to_string();
        assert!(error.contains("0640") && error.contains("0600"), "{error}");
    }

    #[test]
    fn a_symlink_and_a_short_key_are_refused() {
        let (folder, path) = key_file(b"short", 0o600);
        assert!(
            seal(&path)
                .key()
                .unwrap_err()
                .to_string()
                .contains("32 bytes")
        );
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(seal(&link).key().is_err());
    }

    #[test]
    fn a_key_in_the_setting_itself_is_refused_and_not_echoed() {
        let fault = StaticSeal::parse("1".to_owned(), &"ab".repeat(32)).unwrap_err();
        assert!(!fault.contains("abab"));
    }
}
