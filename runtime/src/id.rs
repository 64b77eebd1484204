//! Names that are checked once and then trusted: of plugins, versions, digests and mount paths.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use subtle::ConstantTimeEq;

/// The longest name or mount path, in bytes.
const NAME_BYTES_MAX: usize = 255;

/// The longest segment of a name or mount path, in bytes.
const SEGMENT_BYTES_MAX: usize = 64;

/// The name of a plugin: segments of `[A-Za-z0-9][A-Za-z0-9._-]{0,63}` joined by `/`, at most 255 bytes, the last
/// of them not a version.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PluginName(String);

impl PluginName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PluginName {
    type Err = GrammarError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        check_segments("plugin name", text)?;
        let last = text.rsplit('/').next().unwrap_or(text);
        if last.parse::<PluginVersion>().is_ok() {
            return Err(GrammarError::new(
                "plugin name",
                text,
                "its last segment is a version",
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for PluginName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The version of an entry: semver, kept in the form `v1.2.3`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PluginVersion(semver::Version);

impl PluginVersion {
    /// Whether it is marked as belonging to a builtin, which no operator may register.
    pub fn is_builtin(&self) -> bool {
        self.0
            .build
            .as_str()
            .split('.')
            .any(|identifier| identifier == "builtin")
    }
}

impl FromStr for PluginVersion {
    type Err = GrammarError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = text.strip_prefix('v').unwrap_or(text);
        semver::Version::parse(number)
            .map(Self)
            .map_err(|fault| GrammarError {
                what: "version",
                value: clip(text),
                fault: fault.to_string(),
            })
    }
}

impl fmt::Display for PluginVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}", self.0)
    }
}

/// A SHA-256 digest. Comparison takes the same time wherever the difference lies.
#[derive(Clone, Copy, Eq)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Takes the 32 bytes of a hash.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl PartialEq for Digest {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl std::hash::Hash for Digest {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl FromStr for Digest {
    type Err = GrammarError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fault = |fault: String| GrammarError {
            what: "sha256",
            value: clip(text),
            fault,
        };
        if text.len() != 64 {
            return Err(fault(format!(
                "it has {} characters, 64 are needed",
                text.len()
            )));
        }
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes)
            .map_err(|_| fault("it is not hexadecimal".to_owned()))?;
        Ok(Self(bytes))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

/// Where a mount is enabled: segments like a plugin name's, always shown with a trailing `/`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MountPath(Arc<str>);

impl MountPath {
    /// The path with its trailing slash.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for MountPath {
    type Err = GrammarError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bare = text.trim_end_matches('/');
        check_segments("mount path", bare)?;
        Ok(Self(format!("{bare}/").into()))
    }
}

impl Borrow<str> for MountPath {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MountPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A name, path, version or digest that is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid {what} {value:?}: {fault}")]
pub struct GrammarError {
    /// Which sort of thing it was meant to be.
    pub what: &'static str,
    /// The value seen, clipped.
    pub value: String,
    /// What is wrong with it.
    pub fault: String,
}

impl GrammarError {
    pub(crate) fn new(what: &'static str, value: &str, fault: &str) -> Self {
        Self {
            what,
            value: clip(value),
            fault: fault.to_owned(),
        }
    }
}

pub(crate) fn check_segments(what: &'static str, text: &str) -> Result<(), GrammarError> {
    if text.is_empty() {
        return Err(GrammarError::new(what, text, "it is empty"));
    }
    if text.len() > NAME_BYTES_MAX {
        let fault = format!("it has {} bytes, {NAME_BYTES_MAX} are allowed", text.len());
        return Err(GrammarError::new(what, text, &fault));
    }
    text.split('/').try_for_each(|segment| {
        check_segment(segment).map_err(|fault| GrammarError::new(what, text, &fault))
    })
}

fn check_segment(segment: &str) -> Result<(), String> {
    if segment == ".." {
        return Err("path cannot contain parent references".to_owned());
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if segment.len() > SEGMENT_BYTES_MAX {
        return Err(format!(
            "the segment {:?} has {} bytes, {SEGMENT_BYTES_MAX} are allowed",
            clip(segment),
            segment.len()
        ));
    }
    match segment.chars().next() {
        None => Err("it has an empty segment".to_owned()),
        Some(first) if !first.is_ascii_alphanumeric() => Err(format!(
            "the segment {segment:?} must start with a letter or digit"
        )),
        Some(_) => match segment.chars().find(|c| !allowed(*c)) {
            Some(odd) => Err(format!(
                "{odd:?} is not allowed; letters, digits, '.', '_' and '-' are"
            )),
            None => Ok(()),
        },
    }
}

/// Enough of a value to recognise it in an error.
fn clip(text: &str) -> String {
    const SHOWN: usize = 80;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Result<PluginName, GrammarError> {
        text.parse()
    }

    #[test]
    fn names_of_the_grammar_are_taken() {
        for good in ["kv", "my-plugin", "a/b.c/D_1", &"x".repeat(64)] {
            assert!(name(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn names_outside_of_the_grammar_are_refused() {
        let long = vec!["x".repeat(64); 4].join("/");
        let bad = [
            "", "/", "a//b", "../a", "a/..", "-a", ".a", "a b", "a/v1.0.0", "a/1.0.0", "ä", &long,
        ];
        for bad in bad {
            assert!(name(bad).is_err(), "{bad}");
        }
        assert!(name(&"x".repeat(65)).is_err());
    }

    #[test]
    fn two_dots_are_forbidden_as_a_segment_only() {
        assert!(name("a..b").is_ok());
        assert!(
            name("a/../b")
                .unwrap_err()
                .fault
                .contains("parent references")
        );
    }

    #[test]
    fn a_version_is_shown_with_its_v() {
        let version: PluginVersion = "1.2.3".parse().expect("it is semver");
        assert_eq!(version.to_string(), "v1.2.3");
        assert!("1.2".parse::<PluginVersion>().is_err());
    }

    #[test]
    fn a_digest_says_what_is_wrong_with_it() {
        assert!(
            "ab".parse::<Digest>()
                .unwrap_err()
                .fault
                .contains("2 characters")
        );
        assert!(
            "zz".repeat(32)
                .parse::<Digest>()
                .unwrap_err()
                .fault
                .contains("hexadecimal")
        );
        assert!("AB".repeat(32).parse::<Digest>().is_ok());
    }

    #[test]
    fn a_mount_path_always_ends_in_a_slash() {
        for text in ["kv", "kv/"] {
            assert_eq!(
                text.parse::<MountPath>().expect("well-formed").as_str(),
                "kv/"
            );
        }
    }
}
