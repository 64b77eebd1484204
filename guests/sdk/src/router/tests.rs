//! A small backend, to see that requests reach the handlers they should.

#![expect(
    dead_code,
    unreachable_pub,
    reason = "the macro makes what a plugin crate exports, and this module exports nothing"
)]

use serde_json::{Value, json};

use super::*;
use crate::testing::Mount;
use crate::{Failure, Field, Json, PluginErrorKind, SetupConfig, data, pattern};

crate::plugin! { type: secret, version: "v9.9.9", setup: setup }

struct Small;

const NAME: Field<String> = Field::string("name", "A name.");
const COUNT: Field<i64> = Field::int("count", "How many.\nOr how few.").default("3");
const NEEDED: Field<String> = Field::string("needed", "Must be there.").required();

async fn setup(config: SetupConfig, _: &dyn Host) -> Result<Box<dyn Backend>, PluginError> {
    let pattern = match config.options.get("pattern") {
        Some(pattern) => pattern.clone(),
        None => format!("things/{}", pattern::name("name")),
    };
    Router::new(Small)
        .help("A small backend.")
        .path(
            Path::new(pattern)
                .field(&NAME)
                .field(&COUNT)
                .field(&NEEDED)
                .read(show)
                .write(show)
                .exists(exists)
                .help("One thing.", "Shows it."),
        )
        .path(Path::new("things/.*").list(show).delete(refuse))
        .build()
}

async fn show(_: &Small, call: Call<'_>) -> Answer {
    data(&json!({
        "name": call.value(&NAME)?,
        "count": call.value(&COUNT)?,
        "operation": call.request().operation.as_str(),
    }))
}

async fn exists(_: &Small, call: Call<'_>) -> Result<bool, Failure> {
    Ok(call.value(&NAME)? == "known")
}

async fn refuse(_: &Small, _: Call<'_>) -> Answer {
    Err(Failure::refused("not this one"))
}

fn mount() -> Mount {
    Mount::enable(plugin(), &[]).unwrap()
}

fn body(response: Option<Response>) -> Value {
    response.unwrap().data.parse().unwrap()
}

#[test]
fn a_group_of_the_pattern_becomes_a_field_and_wins_over_the_body() {
    let answer = mount().write(
        "things/a",
        json!({ "name": "b", "needed": "x", "count": "5" }),
    );
    let expected = json!({ "name": "a", "count": 5, "operation": "create" });
    assert_eq!(body(answer.unwrap()), expected);
}

#[test]
fn the_existence_check_decides_between_create_and_update() {
    let answer = mount()
        .write("things/known", json!({ "needed": "x" }))
        .unwrap();
    assert_eq!(body(answer)["operation"], "update");
}

#[test]
fn a_default_stands_in_for_what_is_not_given() {
    assert_eq!(body(mount().read("things/a").unwrap())["count"], 3);
}

#[test]
fn a_field_of_the_wrong_type_is_refused_by_name_and_without_its_value() {
    let answer = mount().write("things/a", json!({ "needed": "x", "count": "hunter2" }));
    let text = answer.unwrap().unwrap().error_text().unwrap();
    assert!(text.contains("field \"count\""), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn a_required_field_is_required_of_writes_only() {
    let refused = mount().write("things/a", json!({})).unwrap().unwrap();
    let text = refused.error_text().unwrap();
    assert_eq!(text, "missing required field \"needed\"");
    assert!(mount().read("things/a").unwrap().is_some());
}

#[test]
fn unknown_paths_and_operations_are_told_apart() {
    let unknown = mount().read("else").unwrap_err();
    assert_eq!(unknown.kind, PluginErrorKind::UnsupportedPath);
    let unsupported = mount().patch("things/a", json!({})).unwrap_err();
    assert_eq!(unsupported.kind, PluginErrorKind::UnsupportedOperation);
    let request = Request::new(Operation::Revoke, "things/a", Json::null());
    let revoke = mount().send(request).unwrap_err();
    assert_eq!(revoke.kind, PluginErrorKind::UnsupportedOperation);
}

#[test]
fn the_first_path_that_matches_answers() {
    let listed = mount().list("things/").unwrap();
    assert_eq!(body(listed)["operation"], "list");
    let shadowed = mount().delete("things/a").unwrap_err();
    assert_eq!(shadowed.kind, PluginErrorKind::UnsupportedOperation);
}

#[test]
fn data_that_is_no_object_is_refused() {
    for text in ["[1]", "\"text\"", "{\"a\":"] {
        let request = Request::new(Operation::Update, "things/a", Json::from_text(text));
        let refused = mount().send(request).unwrap().unwrap();
        assert!(
            refused.error_text().unwrap().contains("not a JSON object"),
            "{text}"
        );
    }
}

#[test]
fn help_describes_a_path_and_its_fields() {
    let request = Request::new(Operation::Help, "things/a", Json::null());
    let help = body(mount().send(request).unwrap());
    let text = help["help"].as_str().unwrap();
    assert!(text.starts_with("Request:        things/a\nMatching Route: ^things/"));
    assert!(text.contains("    count (int)\n        How many.\n        Or how few.\n"));
    assert_eq!(help["see_also"], Value::Null);
    assert_eq!(help["openapi"]["openapi"], "3.0.2");
}

#[test]
fn a_pattern_that_is_no_regular_expression_fails_before_the_first_request() {
    let error = Mount::enable(plugin(), &[("pattern", "things/(")])
        .err()
        .unwrap();
    assert_eq!(error.kind, PluginErrorKind::Internal);
    assert!(error.message.contains("things/("), "{}", error.message);
}

#[test]
fn the_description_is_what_the_macro_was_told() {
    let description = plugin().describe();
    assert_eq!(description.version, "v9.9.9");
    assert_eq!(description.contract_version, crate::CONTRACT_VERSION);
}
