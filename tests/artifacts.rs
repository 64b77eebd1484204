//! What the guests were built to: components that export a plugin, import no more than they may, and say what they are.

use std::collections::BTreeSet;
use std::process::Command;

use palisade_contract::{CONTRACT_VERSION, SECTION_NAME, SectionFacts};
use palisade_tests::{Guest, Language};
use wasmparser::{ComponentExternalKind, Encoding, Parser, Payload};

/// What a component may import, by name and minor track; `0.2.x` of any patch is the same interface.
const ALLOWED: &[(&str, &str)] = &[
    ("palisade:plugin/types", "0.1."),
    ("palisade:plugin/storage", "0.1."),
    ("palisade:plugin/system", "0.1."),
    ("palisade:plugin/log", "0.1."),
    ("palisade:plugin/clock", "0.1."),
    ("palisade:plugin/random", "0.1."),
    ("palisade:plugin/deadline", "0.1."),
    ("wasi:cli/environment", "0.2."),
    ("wasi:cli/exit", "0.2."),
    ("wasi:cli/stdin", "0.2."),
    ("wasi:cli/stdout", "0.2."),
    ("wasi:cli/stderr", "0.2."),
    ("wasi:cli/terminal-input", "0.2."),
    ("wasi:cli/terminal-output", "0.2."),
    ("wasi:cli/terminal-stdin", "0.2."),
    ("wasi:cli/terminal-stdout", "0.2."),
    ("wasi:cli/terminal-stderr", "0.2."),
    ("wasi:io/error", "0.2."),
    ("wasi:io/poll", "0.2."),
    ("wasi:io/streams", "0.2."),
    ("wasi:clocks/wall-clock", "0.2."),
    ("wasi:clocks/monotonic-clock", "0.2."),
    ("wasi:random/random", "0.2."),
    ("wasi:random/insecure-seed", "0.2."),
    ("wasi:filesystem/types", "0.2."),
    ("wasi:filesystem/preopens", "0.2."),
];

/// What stands in a component, as far as these tests ask.
#[derive(Default)]
struct Content {
    is_component: bool,
    imports: BTreeSet<String>,
    exports: BTreeSet<String>,
    sections: Vec<Vec<u8>>,
}

impl Content {
    fn of(bytes: &[u8]) -> Self {
        let mut content = Self::default();
        // Zero is the outer component: what a nested one imports is the outer one's affair.
        let mut depth = 0;
        for payload in Parser::new(0).parse_all(bytes) {
            content.take(payload.expect("it is well-formed"), &mut depth);
        }
        content
    }

    fn take(&mut self, payload: Payload<'_>, depth: &mut usize) {
        match payload {
            Payload::Version { encoding, .. } if *depth == 0 => {
                self.is_component = encoding == Encoding::Component;
            }
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => *depth += 1,
            Payload::End(_) => *depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(imports) if *depth == 0 => {
                let names = imports
                    .into_iter()
                    .map(|import| import.expect("it is well-formed"));
                self.imports
                    .extend(names.map(|import| import.name.name.to_owned()));
            }
            Payload::ComponentExportSection(exports) if *depth == 0 => {
                let exports = exports
                    .into_iter()
                    .map(|export| export.expect("it is well-formed"));
                let instances = exports.filter(|e| e.kind == ComponentExternalKind::Instance);
                self.exports
                    .extend(instances.map(|export| export.name.name.to_owned()));
            }
            Payload::CustomSection(section) if section.name() == SECTION_NAME => {
                self.sections.push(section.data().to_vec());
            }
            _ => {}
        }
    }
}

#[test]
fn every_component_exports_a_plugin() {
    for (guest, content) in components() {
        assert!(content.is_component, "{guest:?} is a core module");
        let export = format!("palisade:plugin/backend@{CONTRACT_VERSION}");
        assert!(
            content.exports.contains(&export),
            "{guest:?}: {:?}",
            content.exports
        );
    }
}

#[test]
fn no_component_imports_what_it_may_not_have() {
    for (guest, content) in components() {
        let refused: Vec<_> = content
            .imports
            .iter()
            .filter(|name| !allowed(name))
            .collect();
        assert!(refused.is_empty(), "{guest:?}: {refused:?}");
        // The control: the parser does see imports.
        let storage = format!("palisade:plugin/storage@{CONTRACT_VERSION}");
        assert!(
            content.imports.contains(&storage),
            "{guest:?}: {:?}",
            content.imports
        );
    }
}

#[test]
fn a_component_that_imports_sockets_would_be_noticed() {
    let component = wat::parse_str(r#"(component (import "wasi:sockets/tcp@0.2.6" (instance)))"#);
    let content = Content::of(&component.expect("the text is well-formed"));
    assert!(content.imports.iter().any(|name| !allowed(name)));
    assert!(content.exports.is_empty());
}

#[test]
fn every_component_says_once_what_it_is() {
    for (guest, content) in components() {
        let [section] = content.sections.as_slice() else {
            panic!("{guest:?} has {} sections", content.sections.len());
        };
        let facts = SectionFacts::parse(section).expect("the section is well-formed");
        assert!(
            facts.agrees_with(&guest.plugin().describe()),
            "{guest:?}: {facts:?}"
        );
        assert_eq!(facts.contract, CONTRACT_VERSION);
    }
}

/// Where they are built; what the suite for conformance skips is skipped here too.
#[test]
fn a_component_in_another_language_imports_no_more_than_it_needs_and_says_once_what_it_is() {
    for language in Language::ALL.into_iter().filter(|it| it.is_built()) {
        let bytes = std::fs::read(language.component()).expect("it is built");
        let content = Content::of(&bytes);
        let strange: Vec<_> = content
            .imports
            .iter()
            .filter(|name| !name.starts_with("palisade:plugin/"))
            // The engine of JavaScript has a C library of its own; what that imports is granted or stubbed, or the component
            // would not be registered.
            .filter(|name| language != Language::JavaScript || !name.starts_with("wasi:"))
            .collect();
        assert!(strange.is_empty(), "{language:?}: {strange:?}");
        let [section] = content.sections.as_slice() else {
            panic!("{language:?} has {} sections", content.sections.len());
        };
        let facts = SectionFacts::parse(section).expect("the section is well-formed");
        assert!(
            facts.agrees_with(&Guest::Kv.plugin().describe()),
            "{facts:?}"
        );
    }
}

/// With one name for library and executable, the plain build leaves the executable's empty component in the place of the
/// plugin. It is run here as an author would, beside the one that the guests' own command makes.
#[test]
fn a_plain_build_for_webassembly_leaves_the_plugin_in_place() {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.args(["build", "--quiet", "--locked", "--target", "wasm32-wasip2"]);
    build.args(["--profile", "component"]);
    for guest in Guest::ALL {
        build.args(["--package", &format!("palisade-{}", guest.name())]);
    }
    let status = build
        .status()
        .expect("cargo runs these tests and can be started");
    assert!(status.success());
    every_component_exports_a_plugin();
}

#[test]
fn every_executable_is_one() {
    for guest in Guest::ALL {
        let bytes = std::fs::read(guest.executable()).expect("it is built");
        assert_eq!(&bytes[..4], b"\x7fELF", "{guest:?}");
    }
}

fn components() -> impl Iterator<Item = (Guest, Content)> {
    Guest::ALL.into_iter().map(|guest| {
        let bytes = std::fs::read(guest.component()).expect("it is built");
        (guest, Content::of(&bytes))
    })
}

fn allowed(import: &str) -> bool {
    let Some((name, version)) = import.split_once('@') else {
        return false;
    };
    ALLOWED
        .iter()
        .any(|(known, track)| *known == name && version.starts_with(track))
}
