//! The custom section of the contract: what a component is for, its version and the contract's, as JSON.

use anyhow::{Result, bail, ensure};
use palisade_contract::{PluginType, SECTION_NAME, SectionFacts};
use wasm_encoder::{CustomSection, Encode, Section};
use wasmparser::{Parser, Payload};

/// What the section says.
pub(crate) struct Facts<'a> {
    pub(crate) plugin_type: PluginType,
    pub(crate) version: &'a str,
    pub(crate) contract: &'a str,
}

/// The component with a section of these facts at its end.
///
/// # Errors
///
/// When it has one already, or is no component.
pub(crate) fn added(mut component: Vec<u8>, facts: &Facts<'_>) -> Result<Vec<u8>> {
    ensure!(
        !has_section(&component)?,
        "it has a section {SECTION_NAME} already, and exactly one is allowed"
    );
    let data = text(facts)?;
    let section = CustomSection {
        name: SECTION_NAME.into(),
        data: data.as_bytes().into(),
    };
    component.push(section.id());
    section.encode(&mut component);
    Ok(component)
}

fn text(facts: &Facts<'_>) -> Result<String> {
    let text = serde_json::json!({
        "contract": facts.contract,
        "type": facts.plugin_type.as_str(),
        "version": facts.version,
    })
    .to_string();
    // What the host will do with it.
    SectionFacts::parse(text.as_bytes())?;
    Ok(text)
}

fn has_section(component: &[u8]) -> Result<bool> {
    for payload in Parser::new(0).parse_all(component) {
        if let Payload::CustomSection(section) = payload?
            && section.name() == SECTION_NAME
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A plugin's version as it is written on the command line.
pub(crate) fn version(text: &str) -> Result<String> {
    let is_version = |text: &str| semver::Version::parse(text).is_ok();
    if !text.is_empty() && !text.strip_prefix('v').is_some_and(is_version) {
        bail!("it is empty, or semver with a leading v, such as v1.2.3");
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FACTS: Facts<'_> = Facts {
        plugin_type: PluginType::Secret,
        version: "v1.2.3",
        contract: "0.1.0",
    };

    #[test]
    fn the_section_reads_back() {
        let component = wat::parse_str("(component (core module (func)))").unwrap();
        let whole = added(component, &FACTS).unwrap();
        let sections: Vec<_> = Parser::new(0)
            .parse_all(&whole)
            .filter_map(|payload| match payload.unwrap() {
                Payload::CustomSection(it) if it.name() == SECTION_NAME => Some(it.data()),
                _ => None,
            })
            .collect();
        let [section] = sections.as_slice() else {
            panic!("{} sections", sections.len());
        };
        assert_eq!(SectionFacts::parse(section).unwrap().version, "v1.2.3");
    }

    #[test]
    fn a_second_section_is_refused() {
        let once = added(wat::parse_str("(component)").unwrap(), &FACTS).unwrap();
        let fault = added(once, &FACTS).unwrap_err().to_string();
        assert!(fault.contains("already"), "{fault}");
    }

    #[test]
    fn a_version_is_empty_or_semver_with_its_v() {
        assert!(version("").is_ok());
        assert!(version("v1.0.0-beta1").is_ok());
        assert!(version("1.0.0").is_err());
        assert!(version("latest").is_err());
    }
}
