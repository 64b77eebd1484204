//! The key-value engine in other languages, through the WIT package alone: each answers as the one in Rust does.

use libtest_mimic::Trial;
use palisade_runtime::contract::Operation;
use palisade_runtime::{Profile, RegisterError};
use palisade_tests::{Guest, Harness, Language, Mode, corpus};
use serde_json::{Value, json};

use crate::case::{self, Case};
use crate::comparing::{
    every_answer_is_the_one_of_the_engine_in_rust, invented_requests_are_answered_as_in_rust,
};

macro_rules! with_every_engine {
    ($($name:ident),* $(,)?) => {
        case::cases! {
            numbers_keep_their_digits_in_any_language,
            what_is_wrong_is_refused_in_the_same_words,
            every_answer_is_the_one_of_the_engine_in_rust,
            invented_requests_are_answered_as_in_rust,
            a_megabyte_is_kept_in_any_language,
            a_mount_keeps_its_data_when_the_language_changes,
            $($name,)*
        }

        $(async fn $name(h: Harness) {
            corpus::$name(h).await;
        })*
    };
}

palisade_tests::kv_corpus!(with_every_engine);

/// How many cases at the beginning of the list the engine in Rust passes here; the others it passes as part of the corpus.
const OWN_CASES: usize = 6;

const MODES: [Mode; 2] = [Mode::WasmCall, Mode::WasmMount];

/// One trial for each language, mode and case; those whose component is not built are skipped.
pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for mode in MODES {
        trials.extend(CASES[..OWN_CASES].iter().map(|case| in_rust(case, mode)));
    }
    for language in Language::ALL {
        let is_built = language.is_built();
        for mode in MODES {
            let cases = CASES.iter();
            trials.extend(cases.map(|case| trial(case, language, mode, is_built)));
        }
    }
    let refused = Trial::test("python::a_large_component_has_to_say_so", || {
        case::block_on(a_large_component_has_to_say_so())
    });
    trials.push(refused.with_ignored_flag(!Language::Python.is_built()));
    trials
}

fn trial(case: &'static Case, language: Language, mode: Mode, is_built: bool) -> Trial {
    let name = format!("{}_{}::{}", language.name(), mode.name(), case.name);
    let run = move || {
        case::block_on(async {
            let harness = Harness::new(mode).await;
            // The first one compiles it, which no case is blamed for.
            language.mount(&harness).await;
            case::run(case, harness).await;
        })
    };
    Trial::test(name, run).with_ignored_flag(!is_built)
}

/// What the others are held to.
fn in_rust(case: &'static Case, mode: Mode) -> Trial {
    let name = format!("rust_{}::{}", mode.name(), case.name);
    Trial::test(name, move || {
        case::block_on(async {
            let harness = Harness::new(mode).await;
            harness.mount(Guest::Kv).await;
            case::run(case, harness).await;
        })
    })
}

async fn numbers_keep_their_digits_in_any_language(h: Harness) {
    const NUMBER: &str = "123456789012345678901234567890.10";
    const SMALL: &str = "0.000000000000000000000000000001";
    let body = |inner: &str| format!(r#"{{"data":{{{inner}}}}}"#);
    let send = async |operation, body| {
        let patience = std::time::Duration::from_secs(30);
        h.request_text(patience, operation, "kv/data/n", body).await
    };
    let whole = body(&format!(r#""n":{NUMBER},"text":"a\u00e9\ud83d\ude00\n""#));
    send(Operation::Update, whole).await.unwrap();
    send(Operation::Patch, body(&format!(r#""m":{SMALL}"#)))
        .await
        .unwrap();
    let answer = h.request(Operation::Read, "kv/data/n", Value::Null).await;
    let answer = answer.unwrap().unwrap();
    for digits in [NUMBER, SMALL] {
        assert!(answer.data.as_str().contains(digits), "{answer:?}");
    }
    let read: Value = answer.data.parse().unwrap();
    assert_eq!(read["data"]["text"], "aé😀\n");
}

async fn a_megabyte_is_kept_in_any_language(h: Harness) {
    let text = "é\\ \u{1F600}".repeat(128 << 10);
    let body = json!({ "data": { "k": text } });
    h.write("kv/data/a", body).await.unwrap();
    assert_eq!(h.read("kv/data/a").await.unwrap()["data"]["k"], text);
}

async fn what_is_wrong_is_refused_in_the_same_words(h: Harness) {
    for (path, body, said) in [
        ("kv/data/a", json!({}), "no data provided"),
        ("kv/data/", json!({ "data": {} }), "missing path"),
        (
            "kv/data/a",
            json!({ "data": "text" }),
            "error converting input for field \"data\": expected an object, got text",
        ),
        (
            "kv/data/a",
            json!({ "data": {}, "options": { "cas": "x" } }),
            "error parsing check-and-set parameter",
        ),
        (
            "kv/config",
            json!({ "max_versions": -1 }),
            "max_versions is -1, and has to be from 0 to 4294967295",
        ),
        (
            "kv/config",
            json!({ "delete_version_after": "1x" }),
            "expected a duration such as 90 or 1h30m, got text",
        ),
        ("kv/delete/a", json!({}), "No version number provided"),
        (
            "kv/metadata/a",
            json!({ "custom_metadata": { "d": "x".repeat(513), "": "y" } }),
            "2 errors occurred:\n\t* custom_metadata validation failed: length of key \"\" is 0 but must be \
             0 < len(key) <= 128\n\t* custom_metadata validation failed: length of value for key \"d\" is 513 \
             but must be 0 < len(value) <= 512\n\n",
        ),
    ] {
        let text = h.said_no(path, body).await;
        assert!(text.contains(said), "{path}: {text:?}");
    }
}

async fn a_mount_keeps_its_data_when_the_language_changes(h: Harness) {
    let settings = json!({
        "max_versions": 4, "delete_version_after": "90s", "custom_metadata": { "owner": "a" },
    });
    h.write(
        "kv/config",
        json!({ "max_versions": 3, "cas_required": false }),
    )
    .await
    .unwrap();
    h.write("kv/metadata/a/b", settings).await.unwrap();
    for value in ["1", "2"] {
        let body = json!({ "data": { "k": value } });
        h.write("kv/data/a/b", body).await.unwrap();
    }
    let before = everything(&h).await;
    h.register(Guest::Kv).await.unwrap();
    h.reload("kv").await.unwrap();
    assert_eq!(everything(&h).await, before);
    let body = json!({ "data": { "k": "3" }, "options": { "cas": 2 } });
    assert_eq!(h.write("kv/data/a/b", body).await.unwrap()["version"], 3);
}

/// What a mount says of itself and of one key.
async fn everything(h: &Harness) -> Vec<Value> {
    let mut all = Vec::new();
    for path in [
        "kv/config",
        "kv/metadata/a/b",
        "kv/data/a/b",
        "kv/subkeys/a/b",
    ] {
        all.push(h.read(path).await.unwrap());
    }
    all
}

async fn a_large_component_has_to_say_so() {
    let h = Harness::new(Mode::WasmCall).await;
    for profile in [None, Some(Profile::Ordinary)] {
        let mut manifest = Language::Python.manifest(&h);
        manifest.profile = profile;
        match h.runtime.register(manifest).await {
            Err(RegisterError::Component(fault)) => {
                assert!(fault.contains("-profile=large"), "{fault}");
            }
            other => panic!("{other:?}"),
        }
    }
    h.shutdown().await;
}
