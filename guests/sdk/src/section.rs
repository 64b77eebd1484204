//! The custom section of a component, written at compile time.

use palisade_contract::CONTRACT_VERSION;

/// The parts of the section's JSON text.
const fn parts<'a>(plugin_type: &'a str, version: &'a str) -> [&'a str; 7] {
    [
        r#"{"contract":""#,
        CONTRACT_VERSION,
        r#"","type":""#,
        plugin_type,
        r#"","version":""#,
        version,
        r#""}"#,
    ]
}

/// How many bytes [`section`] takes.
pub const fn section_len(plugin_type: &str, version: &str) -> usize {
    let parts = parts(plugin_type, version);
    let (mut len, mut part) = (0, 0);
    while part < parts.len() {
        len += parts[part].len();
        part += 1;
    }
    len
}

/// The section's bytes: the JSON of [`SectionFacts`](palisade_contract::SectionFacts).
///
/// # Panics
///
/// At compile time, when the version has a character that JSON would escape.
pub const fn section<const LEN: usize>(plugin_type: &str, version: &str) -> [u8; LEN] {
    assert!(
        is_plain(version),
        "a plugin's version is empty or semver with a leading v"
    );
    let parts = parts(plugin_type, version);
    let mut bytes = [0; LEN];
    let (mut at, mut part) = (0, 0);
    while part < parts.len() {
        let text = parts[part].as_bytes();
        let mut index = 0;
        while index < text.len() {
            bytes[at] = text[index];
            at += 1;
            index += 1;
        }
        part += 1;
    }
    bytes
}

const fn is_plain(text: &str) -> bool {
    let bytes = text.as_bytes();
    let mut index = 0;
    while index < bytes.len() {
        if !bytes[index].is_ascii_graphic() || matches!(bytes[index], b'"' | b'\\') {
            return false;
        }
        index += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use palisade_contract::{Description, PluginType, SectionFacts};

    use super::*;

    #[test]
    fn the_section_agrees_with_the_description() {
        const LEN: usize = section_len("secret", "v1.2.3-rc.1");
        const BYTES: [u8; LEN] = section("secret", "v1.2.3-rc.1");
        let facts = SectionFacts::parse(&BYTES).unwrap();
        assert!(facts.agrees_with(&Description::new(PluginType::Secret, "v1.2.3-rc.1")));
    }
}
