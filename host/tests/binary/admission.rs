//! What a component wants, before it gets it: `plugin inspect`, dry runs and the ceiling of grants, with the real binary.

use std::fs;
use std::process::Command;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::server::{BINARY, Installation, Server};

const SECTION: &str = r#"(@custom "palisade:plugin" "{\22contract\22:\220.1.0\22,\22type\22:\22secret\22,\22version\22:\22v1.0.0\22}")"#;

/// A component that can be registered, with these imports besides. Nothing of it would run.
fn component(imports: &str) -> Vec<u8> {
    let text = format!(
        r#"(component
            (core module {SECTION} (@producers (language "Rust" "2024")) (memory 2 16) (func))
            (import "palisade:plugin/types@0.1.0" (instance $i))
            {imports}
            (export "palisade:plugin/backend@0.1.0" (instance $i)))"#
    );
    wat::parse_str(text).unwrap()
}

fn inspect(file: &std::path::Path, flags: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(BINARY)
        .args(["plugin", "inspect"])
        .args(flags)
        .arg(file)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[test]
fn a_component_is_inspected_without_a_server() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("it.wasm");
    let bytes = component(r#"(import "wasi:sockets/tcp@0.2.6" (instance))"#);
    fs::write(&file, &bytes).unwrap();
    let (code, text, _) = inspect(&file, &[]);
    assert_eq!(code, Some(0), "{text}");
    for line in [
        "World             palisade:plugin/secrets@0.1.0\n",
        "Version           v1.0.0\n",
        "Language          Rust\n",
        "Memory Pages      2..16\n",
        "palisade:plugin/types@0.1.0    granted\n",
        "wasi:sockets/tcp@0.2.6         stubbed\n",
    ] {
        assert!(text.contains(line), "{line:?} is not in\n{text}");
    }
    let (_, json, _) = inspect(&file, &["-format=json"]);
    let found: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(found["sha256"], hex::encode(Sha256::digest(&bytes)));
    assert_eq!(found["imports"][1]["verdict"], "stubbed");
    assert_eq!(found["refusal"], Value::Null);
}

#[test]
fn what_would_be_refused_is_shown_with_its_reason_and_exits_with_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("it.wasm");
    fs::write(
        &file,
        component(r#"(import "wasi:http/types@0.2.6" (instance))"#),
    )
    .unwrap();
    let (code, text, fault) = inspect(&file, &[]);
    assert_eq!(code, Some(1));
    assert!(
        text.contains("wasi:http/types@0.2.6          refused\n"),
        "{text}"
    );
    assert!(
        fault.contains("wasi:http/types@0.2.6") && fault.contains("Error code: import-refused"),
        "{fault}"
    );
    // One that cannot be read has a digest all the same.
    fs::write(&file, &component("")[..100]).unwrap();
    let (code, text, fault) = inspect(&file, &["-format=json"]);
    assert_eq!(code, Some(1));
    let found: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(found["refusal"]["code"], "component-invalid", "{found}");
    assert!(fault.contains("component-invalid"), "{fault}");
    let (code, _, fault) = inspect(&folder.path().join("nothing"), &[]);
    assert_eq!(code, Some(1));
    assert!(fault.contains("artifact-unusable"), "{fault}");
}

fn register<'a>(digest: &'a str, flags: &[&'a str]) -> Vec<&'a str> {
    let words = ["plugin", "register", digest, "-command=it.wasm"];
    [&words, flags, &["secret", "it"]].concat()
}

#[test]
fn a_dry_run_shows_the_difference_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let flag = format!("-dev-plugin-dir={}", folder.path().display());
    let server = Server::development(&[&flag]);
    let file = folder.path().join("it.wasm");
    let place = |imports: &str| {
        let bytes = component(imports);
        fs::write(&file, &bytes).unwrap();
        format!("-sha256={}", hex::encode(Sha256::digest(&bytes)))
    };
    let first = place("");
    let text = server.ok(&register(&first, &["-dry-run"]));
    assert!(text.contains("There is no entry of that name."), "{text}");
    assert_eq!(
        server
            .run(&["plugin", "info", "secret", "it"])
            .status
            .code(),
        Some(2)
    );
    server.ok(&register(&first, &[]));
    assert!(
        server
            .ok(&register(&first, &["-dry-run"]))
            .contains("the same as the current"),
    );
    let second = place(r#"(import "wasi:sockets/tcp@0.2.6" (instance))"#);
    let line = register(
        &second,
        &["-dry-run", "-format=json", "-limit=fuel=5000000"],
    );
    let found: Value = serde_json::from_str(&server.ok(&line)).unwrap();
    let difference = &found["difference"];
    assert_eq!(difference["limits.fuel"]["to"], 5_000_000, "{found}");
    assert_eq!(difference["sha256"]["to"], second["-sha256=".len()..]);
    assert!(difference.get("command").is_none(), "{found}");
    assert_eq!(
        found["candidate"]["imports"]["wasi:sockets/tcp@0.2.6"],
        "stubbed"
    );
    // With a variable to read, the environment has something behind it.
    let third = place(r#"(import "wasi:cli/environment@0.2.6" (instance))"#);
    for (flags, verdict) in [
        (&["-dry-run", "-format=json"][..], "stubbed"),
        (
            &["-dry-run", "-format=json", "-env=REGION=north"],
            "granted",
        ),
    ] {
        let found: Value = serde_json::from_str(&server.ok(&register(&third, flags))).unwrap();
        let imports = &found["candidate"]["imports"];
        assert_eq!(imports["wasi:cli/environment@0.2.6"], verdict, "{found}");
    }
    // Nothing has changed.
    let info = server.ok(&["plugin", "info", "-field=sha256", "secret", "it"]);
    assert_eq!(info, first["-sha256=".len()..]);
    let state = server.ok(&["plugin", "info", "-field=compilation", "secret", "it"]);
    assert!(state.contains("idle"), "{state}");
}

#[test]
fn a_grant_over_the_ceiling_is_refused() {
    let installation = Installation::new();
    installation.append("plugin_grants_ceiling = []\n");
    let plugins = installation.path("plugins");
    fs::create_dir_all(&plugins).unwrap();
    fs::copy("/bin/true", plugins.join("process")).unwrap();
    let bytes = fs::read(plugins.join("process")).unwrap();
    let digest = format!("-sha256={}", hex::encode(Sha256::digest(bytes)));
    installation.append(&format!("plugin_directory = \"{}\"\n", plugins.display()));
    let mut server = installation.start();
    server.token = installation.token();
    let line = ["plugin", "register", &digest, "-command=process"];
    let with = [&line[..], &["-grant=network", "secret", "p"]].concat();
    let refused = server.run(&with);
    let text = String::from_utf8(refused.stderr).unwrap();
    assert!(
        text.contains("Error code: grant-refused") && text.contains("plugin_grants_ceiling"),
        "{text}"
    );
    server.ok(&[&line[..], &["secret", "p"]].concat());
}
