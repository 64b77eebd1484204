//! Registering: it reads, refuses what is wrong by name, stores nothing then, and never runs anything.

use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::Path;

use palisade_runtime::catalog::{EntryKey, Manifest, PluginDirectory};
use palisade_runtime::contract::PluginType;
use palisade_runtime::{ErrorKind, Grant, Layer, Limits, Profile, RuntimeKind};
use palisade_tests::{Guest, Harness, texts};
use serde_json::json;

use crate::case::cases;

cases! {
    a_registered_entry_is_listed_with_what_it_is,
    a_wrong_digest_is_refused,
    a_digest_that_is_none_is_refused,
    a_file_that_is_no_plugin_is_refused_by_what_it_is,
    a_file_that_is_no_file_is_refused_by_what_it_is,
    a_file_that_is_not_there_is_refused,
    a_symlink_is_not_followed,
    a_command_that_leaves_the_directory_is_refused,
    a_name_outside_the_grammar_is_refused,
    a_plugin_directory_that_is_none_is_refused,
    a_stated_runtime_that_is_wrong_is_refused,
    a_limit_out_of_bounds_is_refused_with_the_bounds,
    a_limit_that_is_none_is_refused_with_those_that_are,
    a_limit_of_components_is_refused_for_a_process,
    a_limit_is_kept_with_its_entry,
    what_a_process_is_granted_is_kept_with_its_entry,
    a_grant_that_is_none_is_refused_with_those_that_are,
    a_profile_is_kept_with_its_component_and_refused_for_a_process,
    a_component_runs_in_the_engine_of_its_profile,
    a_component_that_imports_too_much_is_refused_by_name,
    a_component_that_exports_nothing_is_refused,
    a_component_of_another_type_is_refused,
    registering_runs_nothing,
    of_two_registrations_at_once_with_other_bytes_one_wins,
    the_same_registration_twice_is_one,
    a_registered_entry_wins_over_a_builtin_and_says_so,
    versions_stand_side_by_side,
    a_deregistered_entry_is_gone_and_what_runs_goes_on,
}

async fn a_registered_entry_is_listed_with_what_it_is(h: Harness) {
    h.register(Guest::Hostile).await.unwrap();
    let entries = h.runtime.entries().await.unwrap();
    let entry = entries
        .iter()
        .find(|entry| entry.name == "hostile" && entry.sha256.is_some());
    let entry = entry.expect("it is listed");
    assert_eq!(
        (entry.runtime, entry.version.as_str()),
        (RuntimeKind::Native, "")
    );
    let stored = h.runtime.entry(&key("hostile")).await.unwrap().unwrap();
    assert_eq!(Some(stored.sha256), entry.sha256);
}

async fn a_wrong_digest_is_refused(h: Harness) {
    h.place_guest(Guest::Hostile);
    let error = refused(&h, h.manifest(Guest::Hostile, "ab".repeat(32))).await;
    assert_eq!(error.0, ErrorKind::DigestMismatch);
    assert!(error.1.contains(&"ab".repeat(32)), "{}", error.1);
}

async fn a_digest_that_is_none_is_refused(h: Harness) {
    h.place_guest(Guest::Hostile);
    for digest in ["", "abcd", &"zz".repeat(32), &"ab".repeat(33)] {
        let error = refused(&h, h.manifest(Guest::Hostile, digest.to_owned())).await;
        assert_eq!(error.0, ErrorKind::InvalidInput, "{digest:?}: {}", error.1);
    }
}

async fn a_file_that_is_no_plugin_is_refused_by_what_it_is(h: Harness) {
    let core_module = b"\0asm\x01\0\0\0";
    for (bytes, word) in [
        (&b"#!/bin/sh\nexit 0\n"[..], "script"),
        (core_module, "core"),
        (b"neither one nor the other", ""),
    ] {
        let digest = h.place("hostile", bytes);
        let error = refused(&h, h.manifest(Guest::Hostile, digest)).await;
        assert_eq!(error.0, ErrorKind::ArtifactKind, "{word}");
        assert!(error.1.contains(word), "{}", error.1);
    }
}

async fn a_file_that_is_no_file_is_refused_by_what_it_is(h: Harness) {
    let path = h.plugins().join("hostile");
    let digest = "ab".repeat(32);
    h.place("hostile", b"");
    let error = refused(&h, h.manifest(Guest::Hostile, digest.clone())).await;
    assert_eq!(error.0, ErrorKind::ArtifactUnusable);
    assert!(error.1.contains("empty"), "{}", error.1);

    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    let error = refused(&h, h.manifest(Guest::Hostile, digest.clone())).await;
    assert_eq!(error.0, ErrorKind::ArtifactUnusable);
    assert!(error.1.contains("directory"), "{}", error.1);

    std::fs::remove_dir(&path).unwrap();
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    let error = refused(&h, h.manifest(Guest::Hostile, digest)).await;
    assert_eq!(error.0, ErrorKind::ArtifactUnusable);
    assert!(error.1.to_lowercase().contains("fifo"), "{}", error.1);
}

async fn a_file_that_is_not_there_is_refused(h: Harness) {
    let error = refused(&h, h.manifest(Guest::Hostile, "ab".repeat(32))).await;
    assert_eq!(error.0, ErrorKind::ArtifactMissing);
    assert!(error.1.contains("hostile"), "{}", error.1);
}

async fn a_symlink_is_not_followed(h: Harness) {
    let elsewhere = tempfile::tempdir().unwrap();
    let digest = h.place_guest(Guest::Hostile).unwrap();
    let inside = h.plugins().join("hostile");
    let outside = elsewhere.path().join("hostile");
    std::fs::rename(&inside, &outside).unwrap_or_else(|_| {
        std::fs::copy(&inside, &outside).unwrap();
        std::fs::remove_file(&inside).unwrap();
    });
    symlink(&outside, &inside).unwrap();
    let error = refused(&h, h.manifest(Guest::Hostile, digest.clone())).await;
    assert_eq!(error.0, ErrorKind::ArtifactUnusable, "{}", error.1);

    // Nor is one on the way there.
    std::fs::remove_file(&inside).unwrap();
    symlink(elsewhere.path(), h.plugins().join("folder")).unwrap();
    let mut manifest = h.manifest(Guest::Hostile, digest);
    manifest.command = "folder/hostile".to_owned();
    let error = refused(&h, manifest).await;
    assert_ne!(error.0, ErrorKind::DigestMismatch, "{}", error.1);
}

async fn a_command_that_leaves_the_directory_is_refused(h: Harness) {
    let digest = h.place_guest(Guest::Hostile).unwrap();
    for command in ["../hostile", "a/../../hostile", "/bin/true", "./../x"] {
        let mut manifest = h.manifest(Guest::Hostile, digest.clone());
        manifest.command = command.to_owned();
        let error = refused(&h, manifest).await;
        assert_eq!(error.0, ErrorKind::InvalidInput, "{command}: {}", error.1);
    }
}

async fn a_name_outside_the_grammar_is_refused(h: Harness) {
    let digest = h.place_guest(Guest::Hostile).unwrap();
    let long = "x".repeat(256);
    for name in ["", "..", "a/../b", "a/..", "-a", "a b", "a/v1.0.0", &long] {
        let mut manifest = h.manifest(Guest::Hostile, digest.clone());
        manifest.name = name.to_owned();
        manifest.command = "hostile".to_owned();
        let error = refused(&h, manifest).await;
        assert_eq!(error.0, ErrorKind::InvalidInput, "{name:?}: {}", error.1);
    }
    // The control: two dots within a segment are fine.
    let mut manifest = h.manifest(Guest::Hostile, digest);
    manifest.name = "a..b".to_owned();
    manifest.command = "hostile".to_owned();
    h.runtime.register(manifest).await.unwrap();
}

async fn a_plugin_directory_that_is_none_is_refused(h: Harness) {
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("link");
    symlink(h.plugins(), &link).unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "x").unwrap();
    for (path, words) in [
        (folder.path().join("absent").as_path(), "absent"),
        (Path::new("relative"), "relative"),
        (link.as_path(), "symbolic link"),
        (file.as_path(), "directory"),
    ] {
        let error = PluginDirectory::open(path).err().expect("it is refused");
        assert_eq!(error.kind(), ErrorKind::PluginDirectory);
        assert!(error.to_string().contains(words), "{error}");
    }
    assert!(PluginDirectory::open(&h.plugins()).is_ok());
}

async fn a_stated_runtime_that_is_wrong_is_refused(h: Harness) {
    let digest = h.place_guest(Guest::Hostile).unwrap();
    let mut manifest = h.manifest(Guest::Hostile, digest);
    manifest.runtime = Some(RuntimeKind::Wasm);
    let error = refused(&h, manifest.clone()).await;
    assert_eq!(error.0, ErrorKind::RuntimeMismatch);
    manifest.runtime = Some(RuntimeKind::Native);
    h.runtime.register(manifest).await.unwrap();
}

async fn a_limit_out_of_bounds_is_refused_with_the_bounds(h: Harness) {
    let digest = h.place_guest(Guest::Hostile).unwrap();
    for (name, value, floor, ceiling) in [
        ("concurrency", "0", "1", "1024"),
        ("queue", "65537", "0", "65536"),
        ("request_timeout", "2h", "1ms", "1h"),
        ("message_bytes", "33554433", "1024", "33554432"),
        ("log_bytes", "-1", "0", "16777216"),
        ("fuel", "10", "1000000", "1000000000000000"),
        ("fuel_per_minute", "10", "1000000", "1000000000000000000"),
        ("memory_bytes", "1024", "2097152", "1073741824"),
        ("table_elements", "many", "1", "20000"),
    ] {
        let mut manifest = h.manifest(Guest::Hostile, digest.clone());
        manifest.limits = texts(&[(name, value)]);
        let (kind, said) = refused(&h, manifest).await;
        assert_eq!(kind, ErrorKind::InvalidInput, "{said}");
        for word in [name, value, floor, ceiling] {
            assert!(said.contains(word), "{name}: {word:?} is not in {said:?}");
        }
    }
}

async fn a_limit_that_is_none_is_refused_with_those_that_are(h: Harness) {
    let digest = h.place_guest(Guest::Hostile).unwrap();
    let mut manifest = h.manifest(Guest::Hostile, digest);
    manifest.limits = texts(&[("memory", "16777216")]);
    let (kind, said) = refused(&h, manifest).await;
    assert_eq!(kind, ErrorKind::InvalidInput, "{said}");
    assert!(said.contains("memory_bytes"), "{said}");
}

async fn a_limit_of_components_is_refused_for_a_process(h: Harness) {
    let digest = h.place_guest(Guest::Hostile).unwrap();
    for (name, value) in [("table_elements", "100"), ("fuel", "1000000000")] {
        let mut manifest = h.manifest(Guest::Hostile, digest.clone());
        manifest.limits = texts(&[(name, value)]);
        let (kind, said) = refused(&h, manifest).await;
        assert_eq!(kind, ErrorKind::InvalidInput, "{said}");
        assert!(said.contains(name) && said.contains("native"), "{said}");
    }
    // The control: the rest of them a process has as well.
    let mut manifest = h.manifest(Guest::Hostile, digest);
    manifest.limits = texts(&[("concurrency", "2"), ("memory_bytes", "67108864")]);
    h.runtime.register(manifest).await.unwrap();
}

async fn what_a_process_is_granted_is_kept_with_its_entry(h: Harness) {
    let digest = h.place_guest(Guest::Hostile).unwrap();
    let mut manifest = h.manifest(Guest::Hostile, digest);
    manifest.grants = vec!["network".to_owned()];
    manifest.required_layers = vec!["seccomp".to_owned()];
    manifest.re_executes = true;
    manifest.dedicated = true;
    h.runtime.register(manifest).await.unwrap();
    let stored = h.runtime.entry(&key("hostile")).await.unwrap().unwrap();
    assert!(stored.grants.has(&Grant::Network) && stored.process.re_executes);
    assert!(stored.process.dedicated);
    assert_eq!(stored.process.required_layers, [Layer::Seccomp].into());
}

async fn a_grant_that_is_none_is_refused_with_those_that_are(h: Harness) {
    let digest = h.place_guest(Guest::Hostile).unwrap();
    let mut manifest = h.manifest(Guest::Hostile, digest);
    manifest.grants = vec!["internet".to_owned()];
    let (kind, said) = refused(&h, manifest.clone()).await;
    assert_eq!(kind, ErrorKind::InvalidInput, "{said}");
    assert!(
        said.contains("internet") && said.contains("network"),
        "{said}"
    );
    manifest.grants.clear();
    manifest.required_layers = vec!["moat".to_owned()];
    let (kind, said) = refused(&h, manifest).await;
    assert_eq!(kind, ErrorKind::InvalidInput, "{said}");
    assert!(
        said.contains("moat") && said.contains("cgroup.memory"),
        "{said}"
    );
}

async fn a_limit_is_kept_with_its_entry(h: Harness) {
    h.mount_with_limits(Guest::Hostile, &[("queue", "7")]).await;
    let stored = h.runtime.entry(&key("hostile")).await.unwrap().unwrap();
    let expected = Limits {
        queue: 7,
        ..Limits::of(RuntimeKind::Native)
    };
    assert_eq!(stored.limits, expected);
}

async fn a_profile_is_kept_with_its_component_and_refused_for_a_process(h: Harness) {
    let large = |manifest| Manifest {
        profile: Some(Profile::Large),
        ..manifest
    };
    let digest = h.place_guest(Guest::Hostile).unwrap();
    let (kind, said) = refused(&h, large(h.manifest(Guest::Hostile, digest))).await;
    assert_eq!(kind, ErrorKind::InvalidInput, "{said}");
    assert!(
        said.contains("profile means nothing for a native plugin"),
        "{said}"
    );

    let component = std::fs::read(Guest::Hostile.component()).unwrap();
    let digest = h.place("hostile", &component);
    for (manifest, profile) in [
        (
            h.manifest(Guest::Hostile, digest.clone()),
            Profile::Ordinary,
        ),
        (large(h.manifest(Guest::Hostile, digest)), Profile::Large),
    ] {
        h.runtime.register(manifest).await.unwrap();
        let stored = h.runtime.entry(&key("hostile")).await.unwrap().unwrap();
        assert_eq!(stored.limits.profile, profile);
        let listed = h.runtime.entries().await.unwrap();
        assert!(listed.iter().any(|entry| entry.profile == Some(profile)));
    }
}

async fn a_component_runs_in_the_engine_of_its_profile(h: Harness) {
    let component = std::fs::read(Guest::Kv.component()).unwrap();
    let digest = h.place("kv", &component);
    for (path, profile) in [("kv", Profile::Ordinary), ("large", Profile::Large)] {
        let manifest = Manifest {
            profile: Some(profile),
            ..h.manifest(Guest::Kv, digest.clone())
        };
        h.runtime.register(manifest).await.unwrap();
        h.enable(path, Guest::Kv, &[]).await.unwrap();
        let data = format!("{path}/data/a");
        h.write(&data, json!({ "data": { "k": path } }))
            .await
            .unwrap();
        assert_eq!(h.read(&data).await.unwrap()["data"]["k"], path);
    }
    // From one engine to the other, with what was written.
    h.reload("kv").await.unwrap();
    assert_eq!(h.read("kv/data/a").await.unwrap()["data"]["k"], "kv");
}

async fn a_component_that_imports_too_much_is_refused_by_name(h: Harness) {
    let component = wat::parse_str(
        r#"(component
            (import "wasi:http/outgoing-handler@0.2.6" (instance))
            (import "wasi:keyvalue/store@0.2.0" (instance))
            (core module (@custom "palisade:plugin"
                "{\"contract\":\"0.1.0\",\"type\":\"secret\",\"version\":\"\"}"))
            (instance $backend)
            (export "palisade:plugin/backend@0.1.0" (instance $backend)))"#,
    );
    let digest = h.place("hostile", &component.unwrap());
    let error = refused(&h, h.manifest(Guest::Hostile, digest)).await;
    assert_eq!(error.0, ErrorKind::ImportRefused, "{}", error.1);
    assert!(
        error.1.contains("wasi:http/outgoing-handler"),
        "{}",
        error.1
    );
    assert!(error.1.contains("wasi:keyvalue/store"), "{}", error.1);
}

async fn a_component_that_exports_nothing_is_refused(h: Harness) {
    let digest = h.place("hostile", &wat::parse_str("(component)").unwrap());
    let error = refused(&h, h.manifest(Guest::Hostile, digest)).await;
    assert_eq!(error.0, ErrorKind::ComponentInvalid, "{}", error.1);
}

async fn a_component_of_another_type_is_refused(h: Harness) {
    let component = std::fs::read(Guest::Hostile.component()).unwrap();
    let digest = h.place("hostile", &component);
    let mut manifest = h.manifest(Guest::Hostile, digest);
    manifest.plugin_type = PluginType::Auth;
    let error = h.runtime.register(manifest.clone()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PluginMismatch, "{error}");
    manifest.plugin_type = PluginType::Secret;
    h.runtime.register(manifest).await.unwrap();
}

async fn registering_runs_nothing(h: Harness) {
    // A program that is no plugin, and calls when it runs: no file that it could leave is seen from outside its walls.
    let called = TcpListener::bind("127.0.0.1:0").unwrap();
    called.set_nonblocking(true).unwrap();
    let program = std::fs::read("/bin/bash").unwrap();
    let mut manifest = h.manifest(Guest::Hostile, h.place("hostile", &program));
    let port = called.local_addr().unwrap().port();
    manifest.args = vec![
        "-c".to_owned(),
        format!("exec 3<>/dev/tcp/127.0.0.1/{port}"),
    ];
    manifest.grants = vec!["network".to_owned()];
    h.runtime.register(manifest).await.unwrap();
    assert!(called.accept().is_err(), "registering ran the plugin");

    // The control: when it is started, it does call.
    h.enable("x", Guest::Hostile, &[]).await.unwrap_err();
    let started = called.accept();
    assert!(started.is_ok(), "it would not have shown that it ran");
}

async fn of_two_registrations_at_once_with_other_bytes_one_wins(h: Harness) {
    let program = std::fs::read("/usr/bin/touch").unwrap();
    let other = [&program[..], b"\0"].concat();
    for _ in 0..5 {
        let one = h.place("one", &program);
        let two = h.place("two", &other);
        let register = |file: &str, digest: &str| {
            let mut manifest = h.manifest(Guest::Hostile, digest.to_owned());
            manifest.command = file.to_owned();
            let runtime = h.runtime.clone();
            tokio::spawn(async move { runtime.register(manifest).await })
        };
        let (first, second) = (register("one", &one), register("two", &two));
        let outcomes = [first.await.unwrap(), second.await.unwrap()];
        let stored = h.runtime.entry(&key("hostile")).await.unwrap().unwrap();
        let mut won = 0;
        for outcome in outcomes {
            match outcome {
                Ok(entry) => won += usize::from(entry == stored),
                Err(error) => assert_eq!(error.kind(), ErrorKind::EntryConflict),
            }
        }
        assert_eq!(won, 1, "what is stored is what one of them was told");
        h.runtime.deregister(&key("hostile")).await.unwrap();
    }
}

async fn the_same_registration_twice_is_one(h: Harness) {
    let digest = h.place_guest(Guest::Hostile).unwrap();
    for _ in 0..2 {
        h.runtime
            .register(h.manifest(Guest::Hostile, digest.clone()))
            .await
            .unwrap();
    }
    let entries = h.runtime.entries().await.unwrap();
    let registered = entries.iter().filter(|entry| entry.sha256.is_some());
    assert_eq!(registered.count(), 1);
}

async fn a_registered_entry_wins_over_a_builtin_and_says_so(h: Harness) {
    let shadowed = async || {
        let entries = h.runtime.entries().await.unwrap();
        let builtin = entries
            .into_iter()
            .find(|e| e.name == "kv" && e.sha256.is_none());
        builtin.expect("kv is linked in").shadowed
    };
    assert!(!shadowed().await);
    let mount = h.mount(Guest::Kv).await;
    assert_eq!(mount.runtime, RuntimeKind::Native);
    assert!(shadowed().await);
    assert_eq!(mount.running_version, "");
}

async fn versions_stand_side_by_side(h: Harness) {
    let digest = h.place_guest(Guest::Kv).unwrap();
    for version in ["v1.0.0", "v1.10.0", "v1.9.0"] {
        let mut manifest = h.manifest(Guest::Kv, digest.clone());
        manifest.version = version.to_owned();
        h.runtime.register(manifest).await.unwrap();
    }
    let newest = h.enable("newest", Guest::Kv, &[]).await.unwrap();
    assert_eq!(newest.running_version, "v1.10.0");
    let mount = palisade_runtime::NewMount {
        plugin: "kv".to_owned(),
        version: Some("v1.0.0".parse().unwrap()),
        ..Default::default()
    };
    let oldest = h
        .runtime
        .enable("oldest".parse().unwrap(), mount)
        .await
        .unwrap();
    assert_eq!(oldest.running_version, "v1.0.0");
}

async fn a_deregistered_entry_is_gone_and_what_runs_goes_on(h: Harness) {
    h.mount(Guest::Hostile).await;
    h.runtime.deregister(&key("hostile")).await.unwrap();
    assert_eq!(h.runtime.entry(&key("hostile")).await.unwrap(), None);
    assert!(h.read("hostile/echo").await.is_ok());
    h.runtime.deregister(&key("hostile")).await.unwrap();
}

/// Registers what must be refused; nothing is stored of it.
async fn refused(h: &Harness, manifest: Manifest) -> (ErrorKind, String) {
    let error = h.runtime.register(manifest).await.unwrap_err();
    let entries = h.runtime.entries().await.unwrap();
    let stored = entries.iter().find(|entry| entry.sha256.is_some());
    assert!(stored.is_none(), "something was stored: {stored:?}");
    (error.kind(), error.to_string())
}

fn key(name: &str) -> EntryKey {
    EntryKey {
        plugin_type: PluginType::Secret,
        name: name.parse().unwrap(),
        version: None,
    }
}
