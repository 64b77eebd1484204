//! Reads what made a component, as it says itself: a remark for people that decides nothing.

use wasmparser::{CustomSectionReader, KnownCustom, ProducersSectionReader, Result};

use super::clip;
use crate::catalog::Producer;

/// How many are remembered.
const PRODUCERS_MAX: usize = 32;

/// Adds what a custom section says of it. One that is malformed says as much as none.
pub(super) fn read(section: &CustomSectionReader<'_>, found: &mut Vec<Producer>) {
    if let KnownCustom::Producers(fields) = section.as_known() {
        // What was read before the fault counts.
        let _ = add(fields, found);
    }
}

fn add(fields: ProducersSectionReader<'_>, found: &mut Vec<Producer>) -> Result<()> {
    for field in fields {
        let field = field?;
        for value in field.values {
            let value = value?;
            let producer = Producer {
                field: clip::name(field.name),
                name: clip::name(value.name),
                version: clip::name(value.version),
            };
            if found.len() >= PRODUCERS_MAX {
                return Ok(());
            }
            if !found.contains(&producer) {
                found.push(producer);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::inspect;
    use crate::Profile;

    const SECTION: &str = r#"(@custom "palisade:plugin" "{\22contract\22:\220.1.0\22,\22type\22:\22secret\22,\22version\22:\22\22}")"#;

    fn producers(section: &str) -> Vec<String> {
        let module = format!("(core module {SECTION} {section})");
        let bytes = wat::parse_str(format!("(component {module} (core module {section}))"));
        let found = inspect::read(&bytes.unwrap(), Profile::Ordinary).unwrap();
        found.producers.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn languages_and_tools_are_told_once() {
        let section = r#"(@producers (language "Rust" "2024") (processed-by "rustc" "1.95"))"#;
        assert_eq!(producers(section), ["Rust 2024", "rustc 1.95"]);
    }

    #[test]
    fn a_malformed_section_says_nothing_and_harms_nobody() {
        assert!(producers(r#"(@custom "producers" "\ff\ff\ff\ff\ff")"#).is_empty());
    }
}
