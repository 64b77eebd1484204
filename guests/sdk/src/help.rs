//! Help texts in OpenBao's shape: the text itself, what to see also, and a short OpenAPI document.

use palisade_contract::Operation;
use serde_json::{Map, Value, json};

use crate::Answer;
use crate::answer;
use crate::field::FieldSchema;
use crate::known::Known;
use crate::path::Path;

/// The help of the mount itself: what it is for, and its paths.
pub(crate) fn of_mount<S: Send + Sync + 'static>(text: &str, paths: &[Known<S>]) -> Answer {
    let text = text.trim();
    let mut help = format!(
        "## DESCRIPTION\n\n{text}\n\n## PATHS\n\n\
         These are the patterns of the paths that this backend answers. Ask for the help of a path\n\
         that matches one of them to learn what it takes. Policies decide which of them your token\n\
         may use.\n\n"
    );
    let paths = paths.iter().map(Known::path);
    for path in paths.clone() {
        let synopsis = path.synopsis.trim();
        help.push_str(&format!("    {}\n        {synopsis}\n\n", path.pattern()));
    }
    let paths = paths.map(|path| (path.pattern(), document(path)));
    answer(help, paths.collect())
}

/// The help of one path: what it is for, and its fields.
pub(crate) fn of_path<S>(request: &str, path: &Path<S>) -> Answer {
    let mut help = format!(
        "Request:        {request}\nMatching Route: {}\n\n{}\n\n",
        path.pattern(),
        path.synopsis.trim()
    );
    if !path.fields.is_empty() {
        help.push_str("## PARAMETERS\n");
        path.fields
            .iter()
            .for_each(|field| help.push_str(&parameter(field)));
        help.push('\n');
    }
    help.push_str(&format!("## DESCRIPTION\n\n{}\n", path.description.trim()));
    answer(
        help,
        [(path.pattern(), document(path))].into_iter().collect(),
    )
}

fn parameter(field: &FieldSchema) -> String {
    let description = field.description().replace('\n', "\n        ");
    let kind = field.kind().word();
    format!("\n    {} ({kind})\n        {description}\n", field.name())
}

fn answer(help: String, paths: Map<String, Value>) -> Answer {
    answer::data(&json!({
        "help": help,
        "see_also": null,
        "openapi": {
            "openapi": "3.0.2",
            "info": { "title": "Palisade plugin", "version": palisade_contract::CONTRACT_VERSION },
            "paths": paths,
        },
    }))
}

/// The path in OpenAPI's words: what it is for, its fields, and the HTTP methods it answers.
fn document<S>(path: &Path<S>) -> Value {
    let fields = path.fields.iter().map(|field| {
        json!({
            "name": field.name(),
            "in": "query",
            "description": field.description(),
            "required": field.is_required(),
            "schema": { "type": field.kind().openapi() },
        })
    });
    let mut item = Map::new();
    item.insert("description".to_owned(), json!(path.synopsis.trim()));
    item.insert("parameters".to_owned(), fields.collect());
    for method in path.operations().filter_map(method) {
        let done = json!({ "summary": path.synopsis.trim(), "responses": { "200": { "description": "OK" } } });
        item.insert(method.to_owned(), done);
    }
    Value::Object(item)
}

fn method(operation: Operation) -> Option<&'static str> {
    match operation {
        Operation::Read | Operation::List | Operation::Scan => Some("get"),
        Operation::Create | Operation::Update => Some("post"),
        Operation::Patch => Some("patch"),
        Operation::Delete => Some("delete"),
        Operation::Header => Some("head"),
        _ => None,
    }
}
