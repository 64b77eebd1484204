//! Breaches to plant in a copy of the repository, at least one for each rule.

use std::fs;
use std::io;
use std::path::Path;

/// A breach of one rule.
pub(crate) struct Breach {
    /// The rule it breaks, by the name of its test.
    pub(crate) rule: &'static str,
    /// What is wrong once it is planted.
    pub(crate) what: &'static str,
    /// What the fault that is found must name.
    pub(crate) names: &'static str,
    /// Plants it beneath a root.
    pub(crate) plant: fn(&Path) -> io::Result<()>,
}

/// All of them.
pub(crate) const BREACHES: &[Breach] = &[
    Breach {
        rule: "the_top_level_holds_what_the_design_says",
        what: "there is a folder too many",
        names: "misc",
        plant: |root| write(root, "misc/notes.txt", "x"),
    },
    Breach {
        rule: "the_top_level_holds_what_the_design_says",
        what: "a document is missing",
        names: "SECURITY.md",
        plant: |root| fs::remove_file(root.join("SECURITY.md")),
    },
    Breach {
        rule: "every_source_file_opens_with_what_it_is_for",
        what: "a file begins with code",
        names: "runtime/src/odd.rs",
        plant: |root| write(root, "runtime/src/odd.rs", "use std::fmt;\n"),
    },
    Breach {
        rule: "every_source_file_opens_with_what_it_is_for",
        what: "a file begins with an empty remark",
        names: "runtime/src/odd.rs",
        plant: |root| write(root, "runtime/src/odd.rs", "//! It.\n"),
    },
    Breach {
        rule: "every_source_file_opens_with_what_it_is_for",
        what: "a file in another language begins with code",
        names: "guests/kv-c/odd.c",
        plant: |root| write(root, "guests/kv-c/odd.c", "#include \"text.h\"\n"),
    },
    Breach {
        rule: "every_source_file_opens_with_what_it_is_for",
        what: "a module in JavaScript begins with an import",
        names: "guests/kv-js/odd.js",
        plant: |root| write(root, "guests/kv-js/odd.js", "import \"./kv/json.js\";\n"),
    },
    Breach {
        rule: "no_module_is_a_mod_rs",
        what: "a module is called mod.rs",
        names: "runtime/src/odd/mod.rs",
        plant: |root| write(root, "runtime/src/odd/mod.rs", "//! Something.\n"),
    },
    Breach {
        rule: "unsafe_code_stays_in_the_files_that_are_listed",
        what: "unsafe code stands somewhere else",
        names: "runtime/src/id.rs",
        plant: |root| append(root, "runtime/src/id.rs", "unsafe fn odd() {}\n"),
    },
    Breach {
        rule: "unsafe_code_stays_in_the_files_that_are_listed",
        what: "the lint is lifted somewhere else",
        names: "runtime/src/id.rs",
        plant: |root| {
            append(
                root,
                "runtime/src/id.rs",
                "#[allow(unsafe_code)] fn odd() {}\n",
            )
        },
    },
    Breach {
        rule: "every_package_takes_the_workspace_lints",
        what: "a package has lints of its own",
        names: "host/Cargo.toml",
        plant: |root| {
            replace(
                root,
                "host/Cargo.toml",
                "[lints]\nworkspace = true",
                "[lints.rust]",
            )
        },
    },
    Breach {
        rule: "nothing_speaks_of_the_workshop_it_was_made_in",
        what: "a comment names a path of one machine",
        names: "runtime/src/id.rs",
        plant: |root| {
            append(
                root,
                "runtime/src/id.rs",
                concat!("// see /wo", "rk/notes\n"),
            )
        },
    },
    Breach {
        rule: "nothing_speaks_of_the_workshop_it_was_made_in",
        what: "a document numbers an issue",
        names: "README.md",
        plant: |root| append(root, "README.md", concat!("As asked in issue", " 12.\n")),
    },
    Breach {
        rule: "packages_depend_along_the_arrows",
        what: "the SDK depends on the runtime",
        names: "palisade-plugin must not depend on palisade-runtime",
        plant: |root| depend(root, "guests/sdk/Cargo.toml", "palisade-runtime"),
    },
    Breach {
        rule: "packages_depend_along_the_arrows",
        what: "the contract is no leaf",
        names: "palisade-contract must not depend on palisade-protocol",
        plant: |root| depend(root, "runtime/contract/Cargo.toml", "palisade-protocol"),
    },
    Breach {
        rule: "packages_depend_along_the_arrows",
        what: "the shim goes into components",
        names: "outside of WebAssembly only",
        plant: |root| depend(root, "guests/sdk/Cargo.toml", "palisade-native-shim"),
    },
    Breach {
        rule: "the_engine_and_the_rpc_stack_are_named_at_home_only",
        what: "the lifecycle names the engine",
        names: "runtime/src/lifecycle.rs must not name wasmtime",
        plant: |root| append(root, "runtime/src/lifecycle.rs", "use wasmtime::Engine;\n"),
    },
    Breach {
        rule: "the_engine_and_the_rpc_stack_are_named_at_home_only",
        what: "the WebAssembly driver names the RPC stack",
        names: "must not name tonic",
        plant: |root| {
            write(
                root,
                "runtime/src/driver/wasm/odd.rs",
                "use tonic::Status;\n",
            )
        },
    },
    Breach {
        rule: "the_engine_and_the_rpc_stack_are_named_at_home_only",
        what: "the server depends on the engine",
        names: "palisade must not depend on wasmtime",
        plant: |root| depend(root, "host/Cargo.toml", "wasmtime"),
    },
    Breach {
        rule: "a_guest_and_its_library_have_different_names",
        what: "the executable is called like the library",
        names: "palisade_kv",
        plant: |root| {
            replace(
                root,
                "guests/kv/Cargo.toml",
                "name = \"kv\"",
                "name = \"palisade_kv\"",
            )
        },
    },
    Breach {
        rule: "one_tls_stack_is_compiled_from_one_registry",
        what: "a feature brings in a second TLS stack",
        names: "ring",
        plant: |root| {
            let user = "[[package]]\nname = \"odd\"\ndependencies = [\n \"ring\",\n]\n";
            append(root, "Cargo.lock", user)
        },
    },
    Breach {
        rule: "one_tls_stack_is_compiled_from_one_registry",
        what: "OpenSSL is locked",
        names: "openssl",
        plant: |root| append(root, "Cargo.lock", "[[package]]\nname = \"openssl\"\n"),
    },
    Breach {
        rule: "one_tls_stack_is_compiled_from_one_registry",
        what: "a package comes from a repository",
        names: "elsewhere",
        plant: |root| {
            append(
                root,
                "Cargo.lock",
                "source = \"git+https://example.com/x\"\n",
            )
        },
    },
    Breach {
        rule: "modules_of_the_runtime_know_only_what_lies_below",
        what: "the catalog knows the drivers",
        names: "runtime/src/catalog/entry.rs must not know `driver`",
        plant: |root| {
            append(
                root,
                "runtime/src/catalog/entry.rs",
                "use crate::driver::Driver;\n",
            )
        },
    },
    Breach {
        rule: "modules_of_the_runtime_know_only_what_lies_below",
        what: "a driver knows the lifecycle, in a group",
        names: "runtime/src/driver.rs must not know `lifecycle`",
        plant: |root| {
            append(
                root,
                "runtime/src/driver.rs",
                "use crate::{id, lifecycle::State};\n",
            )
        },
    },
    Breach {
        rule: "modules_of_the_runtime_know_only_what_lies_below",
        what: "one driver knows the other",
        names: "must not know `native`",
        plant: |root| {
            write(
                root,
                "runtime/src/driver/wasm/odd.rs",
                "use super::super::native::x;\n",
            )
        },
    },
    Breach {
        rule: "a_released_contract_is_never_changed",
        what: "a line is added to a released contract",
        names: "wit/v0.1.0",
        plant: |root| append(root, "wit/v0.1.0/types.wit", "// one more\n"),
    },
    Breach {
        rule: "a_released_contract_is_never_changed",
        what: "there is a version that nobody listed",
        names: "wit/v9.9.9",
        plant: |root| write(root, "wit/v9.9.9/types.wit", "package a:b;\n"),
    },
    Breach {
        rule: "documents_name_files_and_tests_that_exist",
        what: "a document names a file that is gone",
        names: "runtime/src/gone.rs",
        plant: |root| append(root, "ARCHITECTURE.md", "See `runtime/src/gone.rs`.\n"),
    },
    Breach {
        rule: "documents_name_files_and_tests_that_exist",
        what: "a document names a test that is gone",
        names: "a_test_that_is_gone",
        plant: |root| append(root, "ARCHITECTURE.md", "Held by `a_test_that_is_gone`.\n"),
    },
    Breach {
        rule: "the_checklists_name_tests_in_the_files_that_have_them",
        what: "a test is said to be where it is not",
        names: "only_the_end_of_many_words_is_kept",
        plant: |root| {
            let line = "| H0 | x | holds | `runtime/tests/native.rs`: `only_the_end_of_many_words_is_kept_and_nothing_disturbs_a_terminal` |\n";
            append(root, "docs/go-plugin-host.md", line)
        },
    },
    Breach {
        rule: "the_checklists_name_tests_in_the_files_that_have_them",
        what: "an item has neither a test nor a reason",
        names: "H0",
        plant: |root| append(root, "docs/go-plugin-host.md", "| H0 | x | holds | |\n"),
    },
    Breach {
        rule: "the_checklists_name_tests_in_the_files_that_have_them",
        what: "a case of the other list has no test",
        names: "N0",
        plant: |root| append(root, "docs/native-attacks.md", "| N0 | x | |\n"),
    },
    Breach {
        rule: "documents_name_files_and_tests_that_exist",
        what: "a link leads nowhere",
        names: "docs/gone.md",
        plant: |root| append(root, "README.md", "[more](docs/gone.md)\n"),
    },
];

fn write(root: &Path, file: &str, text: &str) -> io::Result<()> {
    let path = root.join(file);
    fs::create_dir_all(path.parent().unwrap_or(root))?;
    fs::write(path, text)
}

fn append(root: &Path, file: &str, text: &str) -> io::Result<()> {
    let before = fs::read_to_string(root.join(file))?;
    fs::write(root.join(file), before + text)
}

fn replace(root: &Path, file: &str, from: &str, to: &str) -> io::Result<()> {
    let before = fs::read_to_string(root.join(file))?;
    if !before.contains(from) {
        return Err(io::Error::other(format!(
            "{file} has no {from:?} to replace"
        )));
    }
    fs::write(root.join(file), before.replacen(from, to, 1))
}

fn depend(root: &Path, manifest: &str, package: &str) -> io::Result<()> {
    let line = format!("[dependencies]\n{package}.workspace = true\n");
    replace(root, manifest, "[dependencies]\n", &line)
}
