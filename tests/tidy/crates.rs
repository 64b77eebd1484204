//! Which package may depend on which, and which may name the engine and the RPC stack.

use std::process::Command;

use serde_json::Value;

use crate::source;
use crate::tree::{Faults, Tree, within};

/// Who may depend on which packages of ours.
const ARROWS: &[(&str, &[&str])] = &[
    ("palisade-contract", &[]),
    ("palisade-protocol", &["palisade-contract"]),
    (
        "palisade-runtime",
        &["palisade-contract", "palisade-protocol"],
    ),
    (
        "palisade-native-shim",
        &["palisade-contract", "palisade-protocol"],
    ),
    (
        "palisade-plugin",
        &["palisade-contract", "palisade-native-shim"],
    ),
    ("palisade-kv", &["palisade-plugin"]),
    ("palisade-hostile", &["palisade-plugin"]),
    ("palisade-mock", &["palisade-plugin"]),
    ("palisade-passcode", &["palisade-plugin"]),
    // The server links `kv` as a builtin.
    (
        "palisade",
        &[
            "palisade-runtime",
            "palisade-contract",
            "palisade-plugin",
            "palisade-kv",
        ],
    ),
    ("palisade-tests", ANY),
    ("palisade-benches", ANY),
    // It drives the server from outside, and is built beside it.
    ("palisade-demo", &[]),
    ("xtask", &[]),
    ("palisade-component", &["palisade-contract"]),
];

/// What some packages need for their own tests besides.
const TEST_ARROWS: &[(&str, &str)] = &[("palisade-runtime", "palisade-native-shim")];

/// For the packages that measure and test all others.
const ANY: &[&str] = &["*"];

/// Who may depend on a crate from outside, and the modules that may name it.
const HOMES: &[Home] = &[
    Home {
        name: "wasmtime",
        packages: &["palisade-runtime", "palisade-benches"],
        modules: &["runtime/src/driver/wasm", "benches"],
    },
    Home {
        name: "wasmtime-wasi",
        packages: &["palisade-runtime", "palisade-benches"],
        modules: &["runtime/src/driver/wasm", "benches"],
    },
    Home {
        name: "tonic",
        packages: &[
            "palisade-runtime",
            "palisade-protocol",
            "palisade-native-shim",
            "palisade-benches",
        ],
        modules: &[
            "runtime/src/driver/native",
            "runtime/tests/native",
            "runtime/protocol",
            "native-shim",
            "benches",
        ],
    },
];

/// Where a crate from outside is at home.
struct Home {
    name: &'static str,
    packages: &'static [&'static str],
    modules: &'static [&'static str],
}

/// Crates that are never compiled: there is one TLS stack, and it is not one of these. Behind each stands who lists it
/// in the lock file without having it, because nobody asks for the feature that would bring it in.
const BANNED: &[(&str, &[&str])] = &[
    ("ring", &["rustls-webpki"]),
    ("openssl", &[]),
    ("openssl-sys", &[]),
    ("native-tls", &[]),
];

/// Packages depend along the arrows, and none is unknown.
pub(crate) fn arrows(tree: &Tree) -> Faults {
    let mut faults = Vec::new();
    let packages = packages(tree);
    let names: Vec<_> = packages
        .iter()
        .map(|package| text(package, "name"))
        .collect();
    for package in &packages {
        let name = text(package, "name");
        let Some((_, allowed)) = ARROWS.iter().find(|(known, _)| *known == name) else {
            faults.push(format!("{name} is not in the table of arrows"));
            continue;
        };
        for dependency in dependencies(package) {
            let target = text(dependency, "name");
            if text(dependency, "kind") == "dev" && TEST_ARROWS.contains(&(name, target)) {
                continue;
            }
            if names.contains(&target) && !allowed.contains(&target) && *allowed != ANY {
                faults.push(format!("{name} must not depend on {target}"));
            }
        }
        faults.extend(native_shim_in_wasm(package));
    }
    faults
}

/// The SDK takes the shim only where the target is not WebAssembly.
fn native_shim_in_wasm(package: &Value) -> Option<String> {
    let name = text(package, "name");
    let everywhere = dependencies(package)
        .any(|d| text(d, "name") == "palisade-native-shim" && d["target"].is_null());
    (name == "palisade-plugin" && everywhere)
        .then(|| format!("{name} must take palisade-native-shim outside of WebAssembly only"))
}

/// Only its home depends on a crate, and only its home names it.
pub(crate) fn homes(tree: &Tree) -> Faults {
    let mut faults = Vec::new();
    for package in packages(tree) {
        for home in HOMES {
            let name = text(&package, "name");
            let depends = dependencies(&package).any(|d| text(d, "name") == home.name);
            if depends && !home.packages.contains(&name) {
                faults.push(format!("{name} must not depend on {}", home.name));
            }
        }
    }
    for file in tree.files_with(".rs") {
        for home in HOMES {
            let word = home.name.replace('-', "_");
            let at_home = home.modules.iter().any(|module| within(file, module));
            if !at_home && source::names(&tree.text(file), &word) {
                faults.push(format!("{file} must not name {word}"));
            }
        }
    }
    faults
}

/// With one name, cargo writes a guest's executable over its component.
pub(crate) fn guest_names(tree: &Tree) -> Faults {
    let mut faults = Vec::new();
    for package in packages(tree) {
        let names = |kind: &str| -> Vec<String> {
            let targets = package["targets"].as_array().into_iter().flatten();
            targets
                .filter(|t| {
                    t["kind"]
                        .as_array()
                        .is_some_and(|k| k.iter().any(|k| k == kind))
                })
                .map(|t| text(t, "name").replace('-', "_"))
                .collect()
        };
        let executables = names("bin");
        let clash = names("cdylib")
            .into_iter()
            .find(|l| executables.contains(l));
        faults.extend(clash.map(|name| {
            format!(
                "{}: library and executable are both {name}",
                text(&package, "name")
            )
        }));
    }
    faults
}

/// No second TLS stack is locked for anybody, and everything comes from one registry.
pub(crate) fn supply(tree: &Tree) -> Faults {
    let lock = tree.text("Cargo.lock");
    let packages = || lock.split("[[package]]");
    let mut faults = Vec::new();
    for (banned, listed_by) in BANNED {
        let users = packages().filter(|package| package.contains(&format!("\n \"{banned}\",")));
        let users = users
            .map(package_name)
            .filter(|user| !listed_by.contains(user));
        faults.extend(users.map(|user| format!("{user} has {banned}, which is banned")));
        let present = packages().any(|package| package_name(package) == *banned);
        if present && listed_by.is_empty() {
            faults.push(format!("Cargo.lock has {banned}, which is banned"));
        }
    }
    faults.extend(foreign_sources(&lock));
    faults
}

fn package_name(package: &str) -> &str {
    let name = package
        .lines()
        .find_map(|line| line.strip_prefix("name = \""));
    name.unwrap_or_default().trim_end_matches('"')
}

fn foreign_sources(lock: &str) -> impl Iterator<Item = String> {
    const REGISTRY: &str = r#"source = "registry+https://github.com/rust-lang/crates.io-index""#;
    lock.lines()
        .filter(|line| line.starts_with("source = ") && *line != REGISTRY)
        .map(|line| format!("Cargo.lock takes something from elsewhere: {line}"))
}

/// What cargo knows of the workspace's own packages.
fn packages(tree: &Tree) -> Vec<Value> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--no-deps", "--offline"])
        .args(["--format-version", "1"])
        .current_dir(tree.root())
        .output()
        .expect("cargo runs these tests and can be started");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo metadata failed: {said}");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo writes JSON");
    metadata["packages"].as_array().cloned().unwrap_or_default()
}

fn dependencies(package: &Value) -> impl Iterator<Item = &Value> {
    package["dependencies"].as_array().into_iter().flatten()
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}
