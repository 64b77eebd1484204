//! What stands where, how files begin, and which words never occur.

use crate::source;
use crate::tree::{Faults, Tree};

/// What lies at the top, all of which must be there.
const TOP_LEVEL: &[&str] = &[
    ".cargo",
    ".ci",
    ".gitignore",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "SECURITY.md",
    "benches",
    "clippy.toml",
    "deny.toml",
    "docs",
    "guests",
    "host",
    "native-shim",
    "runtime",
    "rust-toolchain.toml",
    "rustfmt.toml",
    "tests",
    "wit",
    "xtask",
];

/// The files with unsafe code; each says at every place why it is sound.
const UNSAFE_HOMES: &[&str] = &[
    "benches/src/floor/code.rs",
    "guests/sdk/src/plugin.rs",
    "native-shim/src/process.rs",
    "runtime/protocol/src/quiet.rs",
    "runtime/src/catalog/sealed.rs",
    "runtime/src/driver/wasm/load.rs",
    "runtime/src/driver/wasm/rare.rs",
    "runtime/src/worker/command.rs",
    "runtime/src/worker/fork.rs",
    "runtime/src/worker/image.rs",
    "runtime/src/worker/sandbox/seccomp/tests.rs",
    "tests/memory.rs",
];

/// Words of the workshop. They are written in two halves, so that this list is not itself a find.
const WORKSHOP_WORDS: &[&str] = &[
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("/ho", "me/"),
    concat!("issue", " #"),
    concat!("issue", " item"),
    concat!("this ses", "sion was"),
    concat!("next ses", "sion"),
    concat!("co-authored", "-by"),
];

/// Nothing is missing at the top, and nothing is there that the design does not know.
pub(crate) fn top_level(tree: &Tree) -> Faults {
    let missing = TOP_LEVEL
        .iter()
        .filter(|name| !tree.has(name))
        .map(|name| format!("{name} is missing at the top level"));
    let mut strange: Vec<_> = tree
        .files()
        .filter_map(|file| file.split('/').next())
        .filter(|name| !TOP_LEVEL.contains(name))
        .map(|name| format!("{name} has no place at the top level"))
        .collect();
    strange.dedup();
    missing.chain(strange).collect()
}

/// How source files of each language open, before they say what they are for.
const OPENINGS: &[(&str, &str)] = &[
    (".rs", "//! "),
    (".py", "\"\"\""),
    (".c", "// "),
    (".h", "// "),
    (".js", "// "),
];

/// The first line of a source file is a comment that says what it is for.
pub(crate) fn opening_lines(tree: &Tree) -> Faults {
    let faults = OPENINGS.iter().flat_map(|(ending, opening)| {
        tree.files_with(ending)
            .filter(|file| !says_its_purpose(&tree.text(file), opening))
            .map(move |file| {
                format!("{file} does not open with a `{opening}` line that says what it is for")
            })
    });
    faults.collect()
}

fn says_its_purpose(text: &str, opening: &str) -> bool {
    text.lines()
        .next()
        .and_then(|line| line.strip_prefix(opening))
        .is_some_and(|purpose| purpose.len() >= 8 && !purpose.starts_with("Placeholder"))
}

/// `foo.rs` stands beside `foo/`.
pub(crate) fn no_mod_rs(tree: &Tree) -> Faults {
    tree.files_with("/mod.rs")
        .map(|file| format!("{file} should be a file beside its folder"))
        .collect()
}

/// Unsafe code stands in listed files, which say why it is sound; the list has no leftovers.
pub(crate) fn unsafe_homes(tree: &Tree) -> Faults {
    let mut faults = Vec::new();
    for file in tree.files_with(".rs") {
        let text = tree.text(file);
        let listed = UNSAFE_HOMES.contains(&file);
        if !source::names(&text, "unsafe") && !source::names(&text, "unsafe_code") {
            if listed {
                faults.push(format!("{file} is listed for unsafe code and has none"));
            }
        } else if !listed {
            faults.push(format!("{file} has unsafe code and is not listed"));
        } else if !text.contains("SAFETY:") {
            faults.push(format!(
                "{file} has unsafe code and no SAFETY comment that says why it is sound"
            ));
        }
    }
    let absent = UNSAFE_HOMES.iter().filter(|file| !tree.has(file));
    faults.extend(absent.map(|file| format!("{file} is listed for unsafe code and absent")));
    faults
}

/// Every package takes the one lint table.
pub(crate) fn lint_tables(tree: &Tree) -> Faults {
    tree.files_with("/Cargo.toml")
        .filter(|file| !tree.text(file).contains("[lints]\nworkspace = true"))
        .map(|file| format!("{file} does not take the workspace's lints"))
        .collect()
}

/// The repository speaks of itself, not of how it came about.
pub(crate) fn workshop_words(tree: &Tree) -> Faults {
    let mut faults = Vec::new();
    for file in tree.files().filter(|file| *file != "Cargo.lock") {
        for (number, line) in tree.text(file).lines().enumerate() {
            let line = line.to_lowercase();
            if let Some(word) = WORKSHOP_WORDS.iter().find(|word| line.contains(**word)) {
                faults.push(format!("{file}:{}: {word:?}", number + 1));
            } else if numbers_an_issue(&line) {
                faults.push(format!("{file}:{}: the number of an issue", number + 1));
            }
        }
    }
    faults
}

fn numbers_an_issue(line: &str) -> bool {
    line.match_indices("issue ").any(|(at, word)| {
        let rest = &line[at + word.len()..];
        rest.starts_with(|c: char| c.is_ascii_digit())
    })
}
