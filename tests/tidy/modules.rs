//! Which module of the runtime may name which: knowledge points downwards only.

use crate::source::first_steps;
use crate::tree::{Faults, Tree, within};

/// A module, and what it does not know.
const KNOWS_NOTHING_OF: &[(&str, &[&str])] = &[
    (
        "runtime/src/catalog",
        &["driver", "lifecycle", "runtime", "services"],
    ),
    ("runtime/src/driver", &["lifecycle", "runtime"]),
    (
        "runtime/src/services",
        &["driver", "lifecycle", "catalog", "runtime"],
    ),
    (
        "runtime/src/store",
        &["driver", "lifecycle", "catalog", "services", "runtime"],
    ),
    ("runtime/src/driver/native", &["wasm"]),
    ("runtime/src/driver/wasm", &["native"]),
];

/// No file names a module that its own must not know.
pub(crate) fn arrows(tree: &Tree) -> Faults {
    let mut faults = Vec::new();
    for file in tree.files_with(".rs") {
        for (module, unknown) in KNOWS_NOTHING_OF {
            if !within(file, module) {
                continue;
            }
            let steps = first_steps(&tree.text(file));
            let named = unknown
                .iter()
                .filter(|name| steps.iter().any(|s| s == *name));
            faults.extend(named.map(|name| format!("{file} must not know `{name}`")));
        }
    }
    faults
}
