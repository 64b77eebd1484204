//! The list of cases as a document, made from the suite and held in step with it.

use std::path::PathBuf;

use palisade_tests::Mode;

use crate::case::Case;
use crate::{cases, catalog, differences, embedder, other_languages};

const HEAD: &str = "\
# What each mode is proven to do

Made from the suite by `cargo xtask cases`; a test holds it in step. A case is one function in `tests/conformance/` that
runs once in each mode: linked in (builtin), as a process (native), as a component with a fresh store for each request
(wasm_call) or with a pool of long-lived stores (wasm_mount).
";

/// Writes the document; gives its path.
pub(crate) fn write() -> String {
    std::fs::write(path(), text()).unwrap();
    path().display().to_string()
}

/// The document is what the suite would write.
pub(crate) fn check() {
    let found = std::fs::read_to_string(path()).unwrap_or_default();
    assert!(
        found == text(),
        "docs/conformance.md is out of step; run `cargo xtask cases`"
    );
}

fn path() -> PathBuf {
    let package = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    package.join("../docs/conformance.md")
}

fn text() -> String {
    let mut text = HEAD.to_owned();
    text.push_str(
        "\n| case | builtin | native | wasm_call | wasm_mount |\n|---|---|---|---|---|\n",
    );
    let mut notes = Vec::new();
    for case in cases() {
        text.push_str(&row(case, &mut notes));
    }
    text.push_str("\nWhy a mode is left out:\n\n");
    for (number, note) in notes.iter().enumerate() {
        text.push_str(&format!("{}. {note}\n", number + 1));
    }
    text.push_str("\nRun once, since no mode matters or the case chooses itself:\n\n");
    for case in catalog::CASES.iter().chain(embedder::CASES) {
        text.push_str(&format!("- {}\n", sentence(case)));
    }
    text.push_str(
        "\nRun with the key-value engine in Python, C and JavaScript, each with a fresh store for each request and with a pool:\n\n",
    );
    for case in other_languages::CASES {
        text.push_str(&format!("- {}\n", sentence(case)));
    }
    text
}

fn row(case: &Case, notes: &mut Vec<&'static str>) -> String {
    let cells = Mode::ALL.map(|mode| match differences::reason(case.name, mode) {
        None => "yes".to_owned(),
        Some(reason) => format!("no ({})", number_of(reason, notes)),
    });
    format!("| {} | {} |\n", sentence(case), cells.join(" | "))
}

/// The number of a note, which is added when it is new.
fn number_of(reason: &'static str, notes: &mut Vec<&'static str>) -> usize {
    let known = notes.iter().position(|note| *note == reason);
    known.unwrap_or_else(|| {
        notes.push(reason);
        notes.len() - 1
    }) + 1
}

fn sentence(case: &Case) -> String {
    case.name.replace('_', " ")
}
