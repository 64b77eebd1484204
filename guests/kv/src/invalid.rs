//! Every other path: mostly clients that take the mount for a store without versions, so they are told the way.

use palisade_plugin::{Answer, Call, Operation, Path, Response, with_status};

use crate::Kv;

pub(crate) fn path() -> Path<Kv> {
    let operations = [
        Operation::Create,
        Operation::Update,
        Operation::Patch,
        Operation::Read,
        Operation::Delete,
        Operation::List,
        Operation::Scan,
    ];
    operations
        .into_iter()
        .fold(Path::new(".*"), |path, operation| {
            path.on(operation, answer)
        })
        .help(
            "Anything else is not a path of this store.",
            "Ask for the help of the mount itself to see its paths.",
        )
}

async fn answer(_: &Kv, call: Call<'_>) -> Answer {
    let request = call.request();
    let warning = match request.path.as_str() {
        "metadata" | "data" | "delete" | "undelete" | "destroy" => {
            "Non-listing operations on the root of a K/V v2 mount are not supported.".to_owned()
        }
        _ => format!(
            "Invalid path for a versioned K/V secrets engine. See the API docs for the appropriate API \
             endpoints to use. If using the OpenBao CLI, use 'bao kv {}' for this operation.",
            command(request.operation)
        ),
    };
    let response = Response {
        warnings: vec![warning],
        ..Response::default()
    };
    with_status(404, Some(response), request)
}

/// The word of the command line for that operation.
fn command(operation: Operation) -> &'static str {
    match operation {
        Operation::Create | Operation::Update => "put",
        Operation::Patch => "patch",
        Operation::List => "list",
        Operation::Scan => "scan",
        Operation::Delete => "delete",
        _ => "get",
    }
}
