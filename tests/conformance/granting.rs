//! What an operator grants: an environment, and folders, of which a plugin has what it was given and nothing beside.

use std::fs;
use std::os::unix::fs::symlink;

use palisade_runtime::ErrorKind;
use palisade_tests::{Guest, Harness, texts};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::case::cases;

cases! {
    a_stated_environment_is_what_a_plugin_has,
    a_granted_folder_is_read_and_written,
    a_folder_that_is_not_granted_is_not_there,
    a_folder_that_is_granted_for_reading_is_not_written,
    no_path_leads_out_of_a_granted_folder,
    a_file_with_a_second_name_is_not_written,
    nothing_moves_from_one_granted_folder_to_another,
    a_folder_takes_no_more_bytes_than_its_entry_says,
    requests_side_by_side_stay_within_one_quota,
    files_that_are_removed_while_they_are_open_count,
    a_folder_takes_no_more_files_than_its_entry_says,
    a_plugin_has_no_more_files_open_than_it_may,
    a_granted_folder_that_is_missing_fails_the_enable,
}

async fn a_stated_environment_is_what_a_plugin_has(h: Harness) {
    let stated = |manifest: &mut palisade_runtime::catalog::Manifest| {
        manifest.env = vec!["COLOUR=blue=green".to_owned(), "EMPTY=".to_owned()];
    };
    h.mount_changed(Guest::Hostile, stated).await.unwrap();
    let seen = h.read("hostile/environment").await.unwrap();
    assert_eq!(
        (&seen["vars"]["COLOUR"], &seen["vars"]["EMPTY"]),
        (&json!("blue=green"), &json!(""))
    );
    if h.mode.is_wasm() {
        assert_eq!(seen["vars"].as_object().unwrap().len(), 2, "{seen}");
    }
}

async fn a_granted_folder_is_read_and_written(h: Harness) {
    fs::create_dir(h.folders().join("spool")).unwrap();
    fs::write(h.folders().join("spool/given"), "by the operator").unwrap();
    mount(&h, &["folder:spool:rw"], &[]).await;
    assert_eq!(
        files(&h, "read", "/spool/given").await["text"],
        "by the operator"
    );
    fine(
        &act(
            &h,
            json!({"op": "write", "path": "/spool/made", "text": "by "}),
        )
        .await,
    );
    fine(
        &act(
            &h,
            json!({"op": "append", "path": "/spool/made", "text": "the plugin"}),
        )
        .await,
    );
    fine(&files(&h, "make-folder", "/spool/deep").await);
    fine(
        &act(
            &h,
            json!({"op": "rename", "path": "/spool/made", "to": "/spool/deep/moved"}),
        )
        .await,
    );
    let made = fs::read_to_string(h.folders().join("spool/deep/moved")).unwrap();
    assert_eq!(made, "by the plugin");
    assert_eq!(
        files(&h, "list", "/spool").await["names"],
        json!(["deep", "given"])
    );
    fine(
        &act(
            &h,
            json!({"op": "write", "path": "/spool/given", "text": "short"}),
        )
        .await,
    );
    assert_eq!(files(&h, "read", "/spool/given").await["text"], "short");
    fine(&files(&h, "remove", "/spool/deep/moved").await);
    fine(&files(&h, "remove-folder", "/spool/deep").await);
}

async fn a_folder_that_is_not_granted_is_not_there(h: Harness) {
    for name in ["spool", "other"] {
        fs::create_dir(h.folders().join(name)).unwrap();
        fs::write(h.folders().join(name).join("given"), "x").unwrap();
    }
    h.mount(Guest::Hostile).await;
    failed(&files(&h, "read", "/spool/given").await);
    // The control: with the grant it is there, and still no other.
    h.disable("hostile").await.unwrap();
    mount(&h, &["folder:spool:ro"], &[]).await;
    fine(&files(&h, "read", "/spool/given").await);
    for path in ["/other/given", "/given", "/", "/etc/passwd", "given"] {
        failed(&files(&h, "read", path).await);
    }
}

async fn a_folder_that_is_granted_for_reading_is_not_written(h: Harness) {
    fs::create_dir_all(h.folders().join("certs/sub")).unwrap();
    fs::write(h.folders().join("certs/given"), "as it was").unwrap();
    mount(&h, &["folder:certs:ro"], &[]).await;
    assert_eq!(files(&h, "read", "/certs/given").await["text"], "as it was");
    for change in [
        json!({"op": "write", "path": "/certs/given", "text": "x"}),
        json!({"op": "append", "path": "/certs/given", "text": "x"}),
        json!({"op": "write", "path": "/certs/new", "text": "x"}),
        json!({"op": "lengthen", "path": "/certs/given", "len": 0}),
        json!({"op": "rename", "path": "/certs/given", "to": "/certs/new"}),
        json!({"op": "link", "path": "/certs/given", "to": "/certs/new"}),
        json!({"op": "make-folder", "path": "/certs/new"}),
        json!({"op": "remove", "path": "/certs/given"}),
        json!({"op": "remove-folder", "path": "/certs/sub"}),
    ] {
        refused(&act(&h, change).await);
    }
    let left = fs::read_to_string(h.folders().join("certs/given")).unwrap();
    assert_eq!(left, "as it was");
    assert!(h.folders().join("certs/sub").exists() && !h.folders().join("certs/new").exists());
}

async fn no_path_leads_out_of_a_granted_folder(h: Harness) {
    let (root, outside) = (h.folders(), tempfile::tempdir().unwrap());
    fs::create_dir_all(root.join("spool/deep")).unwrap();
    fs::write(root.join("spool/own"), "own").unwrap();
    fs::write(root.join("beside"), "secret").unwrap();
    fs::write(outside.path().join("far"), "secret").unwrap();
    symlink("../beside", root.join("spool/up")).unwrap();
    symlink(outside.path().join("far"), root.join("spool/away")).unwrap();
    symlink(outside.path(), root.join("spool/folder")).unwrap();
    symlink("own", root.join("spool/within")).unwrap();
    mount(&h, &["folder:spool:rw"], &[]).await;
    // The controls: the links lead there, and one that stays inside is followed.
    assert_eq!(fs::read_to_string(root.join("spool/up")).unwrap(), "secret");
    assert_eq!(files(&h, "read", "/spool/within").await["text"], "own");
    let far = outside.path().join("far");
    let absolute = far.to_str().unwrap();
    for path in [
        "/spool/../beside",
        "/spool/deep/../../beside",
        "../beside",
        absolute,
        "/spool/up",
        "/spool/away",
        "/spool/folder/far",
        "/proc/self/environ",
    ] {
        for op in ["read", "write", "append", "remove", "lengthen"] {
            // To remove a link, not what it leads to, is the plugin's right.
            if op == "remove" && ["/spool/up", "/spool/away"].contains(&path) {
                continue;
            }
            failed(&act(&h, json!({"op": op, "path": path, "text": "x"})).await);
        }
    }
    for to in ["/spool/../moved", "/spool/folder/moved", "/moved"] {
        failed(&act(&h, json!({"op": "rename", "path": "/spool/own", "to": to})).await);
    }
    refused(
        &act(
            &h,
            json!({"op": "link", "path": "/spool/own", "to": "/spool/second"}),
        )
        .await,
    );
    for file in [root.join("beside"), far] {
        assert_eq!(fs::read_to_string(file).unwrap(), "secret");
    }
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
}

async fn a_file_with_a_second_name_is_not_written(h: Harness) {
    let root = h.folders();
    fs::create_dir(root.join("spool")).unwrap();
    fs::write(root.join("outside"), "as it was").unwrap();
    fs::hard_link(root.join("outside"), root.join("spool/inside")).unwrap();
    fs::write(root.join("spool/single"), "as it was").unwrap();
    mount(&h, &["folder:spool:rw"], &[]).await;
    for (op, text) in [("write", "x"), ("append", "x"), ("lengthen", "")] {
        refused(&act(&h, json!({"op": op, "path": "/spool/inside", "text": text})).await);
        // The control: with one name it is written.
        fine(&act(&h, json!({"op": op, "path": "/spool/single", "text": text})).await);
    }
    assert_eq!(
        fs::read_to_string(root.join("outside")).unwrap(),
        "as it was"
    );
    assert_eq!(
        files(&h, "read", "/spool/inside").await["text"],
        "as it was"
    );
}

async fn nothing_moves_from_one_granted_folder_to_another(h: Harness) {
    for name in ["one", "two"] {
        fs::create_dir(h.folders().join(name)).unwrap();
    }
    fs::write(h.folders().join("one/file"), "x").unwrap();
    mount(&h, &["folder:one:rw", "folder:two:rw"], &[]).await;
    let moved = act(
        &h,
        json!({"op": "rename", "path": "/one/file", "to": "/two/file"}),
    )
    .await;
    assert_eq!(moved["kind"], "CrossesDevices", "{moved}");
    // The control: within one of them it moves.
    fine(
        &act(
            &h,
            json!({"op": "rename", "path": "/one/file", "to": "/one/moved"}),
        )
        .await,
    );
}

async fn a_folder_takes_no_more_bytes_than_its_entry_says(h: Harness) {
    let root = h.folders();
    fs::create_dir(root.join("spool")).unwrap();
    mount(&h, &["folder:spool:rw"], &[("folder_bytes", "262144")]).await;
    let fill = json!({"op": "fill", "path": "/spool/big", "len": 1 << 20});
    let filled = act(&h, fill.clone()).await;
    takes_no_more(&filled);
    let written = filled["written"].as_u64().unwrap();
    assert!((200 << 10..=256 << 10).contains(&written), "{filled}");
    // What its last write had come to before it failed is there as well.
    let length = fs::metadata(root.join("spool/big")).unwrap().len();
    assert!((written..=256 << 10).contains(&length), "{length} {filled}");
    takes_no_more(
        &act(
            &h,
            json!({"op": "append", "path": "/spool/more", "text": "x".repeat(60 << 10)}),
        )
        .await,
    );
    // No file is longer than that either, with holes or without.
    for len in [262_145_u64, 1 << 40] {
        failed(
            &act(
                &h,
                json!({"op": "lengthen", "path": "/spool/big", "len": len}),
            )
            .await,
        );
    }
    // What is removed makes room, also when it was not the plugin that removed it.
    fine(&files(&h, "remove", "/spool/big").await);
    takes_no_more(&act(&h, fill.clone()).await);
    fs::remove_file(root.join("spool/big")).unwrap();
    let again = act(&h, fill).await["written"].as_u64().unwrap();
    assert!(again >= 200 << 10, "{again}");
    assert!(h.read("hostile/echo").await.is_ok());
}

async fn requests_side_by_side_stay_within_one_quota(h: Harness) {
    let root = h.folders();
    fs::create_dir(root.join("spool")).unwrap();
    mount(&h, &["folder:spool:rw"], &[("folder_bytes", "524288")]).await;
    h.enable("second", Guest::Hostile, &[]).await.unwrap();
    let mut filling = JoinSet::new();
    for number in 0..8 {
        let path = ["hostile/files", "second/files"][number % 2];
        let body = json!({"op": "fill", "path": format!("/spool/{number}"), "len": 1 << 20});
        let h = h.clone();
        filling.spawn(async move { h.write(path, body).await.unwrap() });
    }
    filling.join_all().await.iter().for_each(takes_no_more);
    let lengths = fs::read_dir(root.join("spool")).unwrap();
    let total: u64 = lengths
        .map(|file| file.unwrap().metadata().unwrap().len())
        .sum();
    assert!((256 << 10..=512 << 10).contains(&total), "{total}");
}

async fn files_that_are_removed_while_they_are_open_count(h: Harness) {
    fs::create_dir(h.folders().join("spool")).unwrap();
    mount(&h, &["folder:spool:rw"], &[("folder_bytes", "262144")]).await;
    let hoard = json!({"op": "hoard", "path": "/spool", "len": 1 << 20});
    // The control: when they are closed with the request, there is room again.
    for _ in 0..2 {
        let hoarded = act(&h, hoard.clone()).await;
        let written = hoarded["written"].as_u64().unwrap();
        assert!((180 << 10..=256 << 10).contains(&written), "{hoarded}");
        assert_eq!(fs::read_dir(h.folders().join("spool")).unwrap().count(), 0);
    }
}

async fn a_folder_takes_no_more_files_than_its_entry_says(h: Harness) {
    fs::create_dir(h.folders().join("spool")).unwrap();
    mount(&h, &["folder:spool:rw"], &[("folder_files", "10")]).await;
    let made = act(
        &h,
        json!({"op": "make-files", "path": "/spool", "len": 100}),
    )
    .await;
    over_quota(&made);
    assert_eq!(made["made"], 10);
    over_quota(&files(&h, "make-folder", "/spool/folder").await);
    fine(&files(&h, "remove", "/spool/3").await);
    fine(&files(&h, "make-folder", "/spool/folder").await);
    assert_eq!(fs::read_dir(h.folders().join("spool")).unwrap().count(), 10);
}

async fn a_plugin_has_no_more_files_open_than_it_may(h: Harness) {
    fs::create_dir(h.folders().join("spool")).unwrap();
    fs::write(h.folders().join("spool/file"), "x").unwrap();
    mount(&h, &["folder:spool:ro"], &[]).await;
    for _ in 0..3 {
        let opened = act(
            &h,
            json!({"op": "open-files", "path": "/spool/file", "len": 1000}),
        )
        .await;
        over_quota(&opened);
        assert_eq!(opened["held"], 64);
    }
    // The control: as many as that are no trouble.
    fine(
        &act(
            &h,
            json!({"op": "open-files", "path": "/spool/file", "len": 64}),
        )
        .await,
    );
}

async fn a_granted_folder_that_is_missing_fails_the_enable(h: Harness) {
    let granted = |manifest: &mut palisade_runtime::catalog::Manifest| {
        manifest.grants = vec!["folder:spool:ro".to_owned()];
    };
    let error = h.mount_changed(Guest::Hostile, granted).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LaunchFailed);
    let said = error.to_string();
    assert!(
        said.contains("spool") && said.contains("does not exist"),
        "{said}"
    );
    fs::create_dir(h.folders().join("spool")).unwrap();
    h.enable("hostile", Guest::Hostile, &[]).await.unwrap();
}

async fn mount(h: &Harness, grants: &[&str], limits: &[(&str, &str)]) {
    let granted = |manifest: &mut palisade_runtime::catalog::Manifest| {
        manifest.grants = grants.iter().map(|&grant| grant.to_owned()).collect();
        manifest.limits = texts(limits);
    };
    h.mount_changed(Guest::Hostile, granted).await.unwrap();
}

async fn act(h: &Harness, body: Value) -> Value {
    h.write("hostile/files", body).await.unwrap()
}

async fn files(h: &Harness, op: &str, path: &str) -> Value {
    act(h, json!({ "op": op, "path": path })).await
}

fn fine(answer: &Value) {
    assert!(answer["error"].is_null(), "{answer}");
}

fn failed(answer: &Value) {
    assert!(answer["error"].is_string(), "{answer}");
}

fn refused(answer: &Value) {
    assert_eq!(answer["kind"], "PermissionDenied", "{answer}");
}

/// EDQUOT, as WASI counts.
fn over_quota(answer: &Value) {
    let error = answer["error"].as_str().unwrap_or_default();
    assert!(error.contains("os error 19"), "{answer}");
}

/// A file that cannot be made for want of room is told as EDQUOT. Rust's standard library does not ask what a stream failed
/// for: to it everything there is EIO. What a guest that asks is told is tested beside the stream.
fn takes_no_more(answer: &Value) {
    let error = answer["error"].as_str().unwrap_or_default();
    let is_told = error.contains("os error 19") || error.contains("os error 29");
    assert!(is_told, "{answer}");
}
