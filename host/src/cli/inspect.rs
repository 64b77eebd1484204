//! `plugin inspect FILE`: what a file is, without a server. A file that would not be registered is exit code 1.

use std::path::Path;

use palisade_runtime::catalog::Survey;
use palisade_runtime::{Examination, RegisterError, Workers, examine};
use serde_json::{Value, json};

use super::{Failure, exactly};
use crate::args::PluginInspect;
use crate::output::{Printer, table};

pub(super) async fn run(args: &PluginInspect, workers: &Workers) -> Result<(), Failure> {
    let [file] = exactly(&args.names)?;
    let printer = Printer::new(&args.output)?;
    let found = examine(workers, Path::new(file)).await.map_err(refusal)?;
    if printer.field().is_some() {
        let all = object(file, &found);
        printer.one_field(all.as_object().unwrap_or(&serde_json::Map::new()))?;
    } else if printer.is_json() {
        printer.json(&object(file, &found))?;
    } else {
        printer.text(&text(file, &found))?;
    }
    found.refusal.map_or(Ok(()), |error| Err(refusal(error)))
}

fn refusal(error: RegisterError) -> Failure {
    Failure::coded(
        error.kind().code(),
        format!("It would not be registered: {error}"),
    )
}

fn object(file: &str, found: &Examination) -> Value {
    let mut object = json!({
        "file": file,
        "sha256": found.sha256.to_string(),
        "size_bytes": found.size_bytes,
        "runtime": found.runtime.as_str(),
        "refusal": found.refusal.as_ref().map(|error| json!({
            "code": error.kind().code(),
            "text": error.to_string(),
        })),
    });
    if let Some(survey) = &found.survey {
        object["world"] = json!(survey.world());
        object["contract"] = json!(survey.facts.contract);
        object["type"] = json!(survey.facts.plugin_type);
        object["version"] = json!(survey.facts.version);
        object["imports"] = json!(survey.imports);
        object["exports"] = json!(survey.exports);
        object["structure"] = json!(survey.structure);
        object["languages"] = json!(survey.languages());
        object["producers"] = json!(survey.producers);
    }
    object
}

fn text(file: &str, found: &Examination) -> String {
    let mut rows = vec![
        row("Key", "Value"),
        row("File", file),
        row("SHA-256", found.sha256),
        row("Size", found.size_bytes),
        row("Runtime", found.runtime),
    ];
    let Some(survey) = &found.survey else {
        return table(&rows);
    };
    rows.extend(survey_rows(survey));
    let header = row("Import", "Verdict");
    let imports = survey.imports.iter();
    let imports = imports.map(|import| row(&import.name, import.verdict));
    let imports: Vec<_> = std::iter::once(header).chain(imports).collect();
    format!("{}\n\n{}", table(&rows), table(&imports))
}

fn survey_rows(survey: &Survey) -> Vec<[String; 2]> {
    let structure = &survey.structure;
    vec![
        row("World", survey.world().escape_debug()),
        row("Type", survey.facts.plugin_type),
        row("Version", survey.facts.version.escape_debug()),
        row("Language", list(&survey.languages())),
        row("Made by", list(&survey.producers)),
        row("Modules", structure.parts),
        row("Functions", structure.functions),
        row("Memory Pages", list(&structure.memories)),
        row("Table Elements", list(&structure.tables)),
        row("Exports", list(&survey.exports)),
    ]
}

fn row(key: impl ToString, value: impl ToString) -> [String; 2] {
    [key.to_string(), value.to_string()]
}

fn list(items: &[impl ToString]) -> String {
    let items: Vec<_> = items.iter().map(ToString::to_string).collect();
    items.join(", ")
}
